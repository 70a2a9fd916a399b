"""Numbers that both sides of a golden test compute from a name (tests/hashed.h), and how goldens are written."""
import json
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent


def hashed(name, count):
    """Uniform in [-1, 1): splitmix64 of the FNV-1a hash of the name plus the index."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0


def write(name, value):
    path = FOLDER / name
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(value, indent=0, separators=(",", ":")) + "\n")
    aside.rename(path)
