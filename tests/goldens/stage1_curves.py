"""stage1_curve_small.json and stage1_curve_full.json: 50 steps of training the first stage, in fp64 and how far PyTorch's
own fp32 is from it. From a plain random start the loss is chaotic: convolutions four times larger (BatchNorm undoes it,
and Adam's first steps move them relatively less) and a gain of 0.3 in each block's last BatchNorm give a curve that can be
compared."""
import sys
import time

import torch
from contrastive import ContrastiveModel
from networks import MatrixConv3d, padded
from shared import VERSIONS, curve, fill, tensor, write

STEPS, BATCH, CLIPS, FRAMES = 50, 8, 96, 8
TEXTS = [[2, 7, 11, 5, 13, 3], [2, 40, 8, 3], [2, 17, 3], [2, 23, 31, 9, 3]]
SMALL = {"width": 16, "blocks": [1, 1, 1, 1], "vocabulary": 50, "positions": 16, "dim": 128, "hidden": 256, "layers": 2,
         "heads": 4, "embedding": 128, "pixels": 32}
FULL = {"width": 64, "blocks": [2, 2, 2, 2], "vocabulary": 1000, "positions": 64, "dim": 768, "hidden": 3072, "layers": 6,
        "heads": 12, "embedding": 256, "pixels": 32}
GROUPS = {"image_encoder.": 1e-4, "text_encoder.": 1e-5, "": 1e-3}  # lr by how a name begins
DECAY = 1e-3


def label_of(clip):
    return clip % len(TEXTS)


def clip_of(number, pixels):
    """Noise, and a little of the pattern of its kind."""
    shape = (FRAMES, pixels, pixels, 3)
    return tensor(f"clip {number}", *shape, dtype=torch.float32) + tensor(f"kind {label_of(number)}", *shape, dtype=torch.float32) / 8


def start(sizes, case, dtype):
    model = fill(ContrastiveModel(sizes, **case), dtype).train()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 5:
                p *= 4
            elif name.endswith("conv2.1.weight"):
                p.fill_(0.3)
    return model


def train(sizes, case, dtype, matrices=False):
    """matrices: fp32 convolutions as products of matrices too, another order of the same sums."""
    model = start(sizes, case, dtype)
    for module in model.modules():
        if isinstance(module, MatrixConv3d):
            module.always = matrices
    groups = {begin: [] for begin in GROUPS}
    for name, p in model.named_parameters():
        groups[next(begin for begin in GROUPS if name.startswith(begin))].append(p)
    optimizer = torch.optim.AdamW([{"params": groups[begin], "lr": lr} for begin, lr in GROUPS.items()], weight_decay=DECAY)
    losses, began = [], time.time()
    for step in range(STEPS):
        clips = [(step * BATCH + j) * 97 % CLIPS for j in range(BATCH)]
        labels = torch.tensor([label_of(c) for c in clips])
        optimizer.zero_grad()
        frames = torch.stack([clip_of(c, sizes["pixels"]) for c in clips]).to(dtype)
        loss = model.loss(frames, padded(TEXTS), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(dtype, step, losses[-1], f"{time.time() - began:.0f} s", file=sys.stderr, flush=True)
    return losses


def make_curve(name, sizes, paths):
    case = {"prompt": "xclip"}
    found = curve(train(sizes, case, torch.float64), *(train(sizes, case, torch.float32, matrices) for matrices in paths))
    write(f"stage1_curve_{name}.json", {
        "versions": VERSIONS, "sizes": {**sizes, "frames": FRAMES}, "case": case, "texts": TEXTS, "batch": BATCH, "clips": CLIPS,
        "lr": GROUPS, "weight_decay": DECAY, "curve": found})


def make():
    make_curve("small", SMALL, [False])


def make_full():
    """At this size one fp32 run is no measure: PyTorch by its other convolution is 11 times as far away at step 3."""
    make_curve("full", FULL, [False, True])
