"""What all goldens share: values computed from names (as tests/hashed.h does), and how outputs are stored."""
import json
import math
import pathlib

import numpy as np
import torch
import torchvision
import transformers

FOLDER = pathlib.Path(__file__).parent
VERSIONS = {"torch": torch.__version__, "torchvision": torchvision.__version__,
            "transformers": transformers.__version__}


def hashed_bits(name, count):
    """splitmix64 of the FNV-1a hash of the name plus the index."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def hashed(name, count):
    """Uniform in [-1, 1)."""
    return (hashed_bits(name, count) >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0


def hashed_integers(name, count, below):
    return [int(bits >> 33) * below >> 31 for bits in map(int, hashed_bits(name, count))]


def signs(name, count):
    """+1 or -1."""
    return torch.from_numpy(np.where(hashed(name, count) < 0, -1.0, 1.0))


def tensor(name, *shape, dtype=torch.float64):
    return torch.from_numpy(hashed(name, math.prod(shape)).astype(np.float32)).to(dtype).reshape(shape)


def parameter(name, shape):
    """A sensible value by the kind of parameter that the name tells."""
    u = hashed(name, math.prod(shape)).reshape(shape)
    if name.endswith("running_var"):
        value = 1 + 0.5 * u
    elif len(shape) >= 2:
        value = math.sqrt(3 * shape[0] / math.prod(shape)) * u
    elif name.endswith("weight"):
        value = 1 + 0.3 * u
    else:
        value = 0.1 * u
    return torch.from_numpy(value.astype(np.float32)).double()


def fill(module, dtype=torch.float64):
    module.to(dtype)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                value.copy_(parameter(name, tuple(value.shape)))
    return module


def digits(x, count=8):
    return float(f"{x:.{count}g}")


def stored(value, limit=2000):
    flat = value.detach().double().flatten().numpy()
    stride = max(1, -(-len(flat) // limit))
    if stride % 2 == 0:
        stride += 1  # odd: not always the same channel
    return {"shape": list(value.shape), "stride": stride, "values": [digits(x) for x in flat[::stride]]}


def distance(a, b):
    """Relative L2 distance of a to b."""
    a, b = (x.detach().double().flatten() for x in (a, b))
    return float((a - b).norm() / b.norm())


def curve(losses64, *runs32):
    """A training curve and how far PyTorch's fp32 is from it, step by step: the farthest of its runs."""
    apart = [max(abs(a - b) / abs(b) for a in at_step) for b, *at_step in zip(losses64, *runs32)]
    return {"losses": [digits(x, 10) for x in losses64], "fp32_distance": [digits(x, 3) for x in apart]}


def write(name, value):
    path = FOLDER / name
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(value, indent=0, separators=(",", ":")) + "\n")
    aside.rename(path)
    print(f"{name}: {path.stat().st_size} bytes")
