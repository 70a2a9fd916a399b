"""r2plus1d.json: torchvision's own r2plus1d_18 with its classifier at the sizes of training, in fp64: logits, the
output of each stage, running statistics after a pass in training."""
import torch
from networks import with_matrix_convolutions
from shared import VERSIONS, distance, fill, stored, tensor, write
from torchvision.models.video import r2plus1d_18

SIZES = [(16, 112), (32, 112), (16, 224), (32, 224)]  # frames, pixels
STAGES = ["stem", "layer1", "layer2", "layer3", "layer4"]
NORMS = ["stem.1", "stem.4", "layer1.0.conv1.0.1", "layer1.1.conv2.1", "layer2.0.conv1.0.1", "layer2.0.downsample.1",
         "layer3.0.conv2.0.1", "layer3.1.conv1.1", "layer4.0.downsample.1", "layer4.1.conv2.0.1", "layer4.1.conv2.1"]


def outputs(net, frames):
    x, found = frames.permute(0, 4, 1, 2, 3), {}
    for stage in STAGES:
        x = getattr(net, stage)(x)
        found[stage] = x.permute(0, 2, 3, 4, 1)
    found["logits"] = net.fc(x.mean((2, 3, 4)))
    return found


def check_convolutions():
    """The matrix products are conv3d's, and the stages one after another are the network's forward."""
    own, plain = (fill(r2plus1d_18(weights=None)).eval() for _ in range(2))
    frames = tensor("frames", 1, 4, 32, 32, 3)
    ours, theirs = (outputs(net, frames) for net in (with_matrix_convolutions(own), plain))
    for name, value in ours.items():
        assert distance(value, theirs[name]) < 1e-13, name
    assert distance(ours["logits"], plain(frames.permute(0, 4, 1, 2, 3))) < 1e-13


@torch.no_grad()
def make():
    check_convolutions()
    cases = {}
    for frames, pixels in SIZES:
        x = tensor("frames", 1, frames, pixels, pixels, 3)
        for mode in ("eval", "train"):
            key = f"{frames}x{pixels} {mode} "
            net = with_matrix_convolutions(fill(r2plus1d_18(weights=None))).train(mode == "train")
            expected = outputs(net, x)
            state = {name: value.clone() for name, value in net.state_dict().items()}
            single = outputs(fill(net, torch.float32), x.float())
            for name, value in expected.items():
                cases[key + name] = stored(value, 400 if name == "logits" else 150)
                cases[key + name]["fp32_distance"] = float(f"{distance(single[name], value):.2g}")
            print(key, {name: cases[key + name]["fp32_distance"] for name in expected}, flush=True)
            if mode == "train":
                for norm in NORMS:
                    for kind in ("running_mean", "running_var"):
                        cases[f"{key}{norm}.{kind}"] = stored(state[f"{norm}.{kind}"], 24)
    write("r2plus1d.json", {"versions": VERSIONS, "cases": cases})
