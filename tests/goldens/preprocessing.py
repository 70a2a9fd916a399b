"""What torchvision's transform of R2Plus1D_18_Weights makes of frames.

Frames are computed from their names on both sides (shared.py, tests/hashed.h). The path "u8" is the transform of
8-bit frames, "float" that of the same frames as fp32 of 0 to 255, as the paper's authors call it. Says beside how
often the 8-bit resize of torchvision differs from the exact value rounded to even, and how near to a tie that is."""

import numpy as np
import torch
import torchvision
from torchvision.models.video import R2Plus1D_18_Weights

from shared import VERSIONS, hashed, write

# As stored by a decoder: larger, smaller, of another aspect ratio, and twice the target, where ties are frequent.
SIZES = [(240, 320), (224, 224), (135, 241), (96, 120), (256, 342), (720, 1280)]
FRAMES = 2
STRIDE = 61  # odd and no multiple of 3: all channels, rows and columns


def frames(height, width):
    count = FRAMES * height * width * 3
    values = np.floor((hashed(f"frames {height}x{width}", count) + 1) * 128).astype(np.uint8)
    return torch.from_numpy(values.reshape(FRAMES, height, width, 3)).permute(0, 3, 1, 2)


def exact_resize(video, height, width):
    """Bilinear, half-pixel centres, as whole numbers over one denominator: [..., height, width]."""
    values = video.numpy().astype(np.int64)
    denominator = 1
    for axis, out in ((-2, height), (-1, width)):
        size = values.shape[axis]
        place = np.clip((2 * np.arange(out) + 1) * size - out, 0, 2 * out * (size - 1))
        first = np.minimum(place // (2 * out), size - 2)
        second = place - first * 2 * out
        shape = [1] * values.ndim
        shape[axis] = out
        values = (np.take(values, first, axis) * (2 * out - second).reshape(shape) +
                  np.take(values, first + 1, axis) * second.reshape(shape))
        denominator *= 2 * out
    return values, denominator


def compare_rounding(name, video, preset):
    height, width = preset.resize_size
    resized = torchvision.transforms.functional.resize(
        video, [height, width], interpolation=preset.interpolation, antialias=False).numpy().astype(np.int64)
    exact, denominator = exact_resize(video, height, width)
    low, rest = np.divmod(exact, denominator)
    rounded = low + ((2 * rest > denominator) | ((2 * rest == denominator) & (low % 2 == 1)))
    differs = rounded != resized
    distance = np.abs(2 * rest - denominator) / (2 * denominator)
    ties = (2 * rest == denominator).sum()
    farthest = float(distance[differs].max()) if differs.any() else 0.0
    print(f"{name}: {differs.sum()} of {differs.size} values differ by one, up to {farthest:.2g} from a tie; "
          f"{ties} exact ties, of them {(differs & (2 * rest == denominator)).sum()} differ")
    assert (np.abs(rounded - resized) <= 1).all()


def stored(value):
    flat = value.flatten().numpy()
    return {"shape": list(value.shape), "stride": STRIDE, "values": [float(f"{x:.8g}") for x in flat[::STRIDE]]}


def make():
    preset = R2Plus1D_18_Weights.DEFAULT.transforms()
    cases = {}
    for height, width in SIZES:
        video = frames(height, width)
        name = f"{height}x{width}"
        compare_rounding(name, video, preset)
        # C T H W -> T H W C
        cases[f"{name} u8"] = stored(preset(video).permute(1, 2, 3, 0))
        if width <= 342:  # beyond, torch's own fp32 coordinates are off by more than the test allows
            cases[f"{name} float"] = stored(preset(video.float()).permute(1, 2, 3, 0))
    write("preprocessing.json", {
        "versions": VERSIONS,
        "resize": preset.resize_size, "crop": preset.crop_size, "mean": preset.mean, "std": preset.std,
        "cases": cases})
