"""models.json: each network by itself, small, in fp64."""
import torch
from networks import (AdaptivePrompting, EmotionTransformer, Mlp2Classifier, PaperPrompting, ProjectionHead, R2Plus1d, bert,
                      distilbert, padded)
from shared import VERSIONS, fill, stored, tensor, write
from torchvision.models.video import resnet

TEXTS = [[2, 7, 11, 5, 13, 19, 3], [2, 40, 8, 3], [2], [2, 23, 3]]


def make():
    cases = {}
    frames = tensor("frames", 2, 16, 64, 64, 3)
    net = fill(R2Plus1d(16)).eval()
    with torch.no_grad():
        cases["r2plus1d eval"] = stored(net(frames))
        net.train()
        cases["r2plus1d train"] = stored(net(frames))
        state = net.state_dict()
        for name in ("stem.1", "stem.4", "layer1.0.conv1.0.1", "layer2.0.downsample.1", "layer4.1.conv2.1"):
            for kind in ("running_mean", "running_var"):
                cases[f"r2plus1d {name}.{kind}"] = stored(state[f"{name}.{kind}"])
        full = fill(resnet.r2plus1d_18(weights=None)).eval()
        x = tensor("frames", 1, 8, 32, 32, 3).permute(0, 4, 1, 2, 3)
        x = full.layer4(full.layer3(full.layer2(full.layer1(full.stem(x)))))
        cases["r2plus1d full"] = stored(x.permute(0, 2, 3, 4, 1))

        inputs = padded(TEXTS)
        mask = inputs["attention_mask"][:, :, None]
        for kind, encoder in (("distilbert", distilbert), ("bert", bert)):
            net = fill(encoder(50, 16, 32, 64, 2, 4)).eval()
            for i, hidden in enumerate(net(**inputs, output_hidden_states=True).hidden_states):
                cases[f"{kind} hidden {i}"] = stored(hidden * mask)
            cases[f"{kind} mean"] = stored((hidden * mask).sum(1) / mask.sum(1))

        cases["projection head"] = stored(fill(ProjectionHead(48, 24))(tensor("x", 5, 48)))
        prompting = fill(AdaptivePrompting(128, 2, 2))
        text, visual = tensor("text", 3, 128).expand(2, -1, -1), tensor("visual", 2, 5, 128)
        cases["adaptive prompting"] = stored(prompting(text, visual))
        cases["paper prompting"] = stored(fill(PaperPrompting(128, 2, 2))(text, visual))
        cases["classifier"] = stored(fill(Mlp2Classifier(24, 17, 5))(tensor("x", 4, 24)))
        for pre_norm in (True, False):
            emotion = EmotionTransformer(11, 2, 32, 48, 3, 4, 9, pre_norm).fill().eval()
            cases["emotion pre-norm" if pre_norm else "emotion post-norm"] = stored(
                emotion([[1, 10, 3, 3, 7], [], [0, 2, 5]]))
    write("models.json", {"versions": VERSIONS, "cases": cases})
