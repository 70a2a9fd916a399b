"""Makes the goldens of tests/models and tests/data: what PyTorch, torchvision and transformers answer. Needs these
three, NumPy, MG_DATA_DIR for the word pieces and MG_MINILM_DIR (of tools/minilm) for minilm.

usage: make_goldens.py [NAME...]

Without names: all but stage1_curves:make_full (training at the published sizes: an hour on two cores).

Weights and inputs are not stored: both sides compute them from their names (shared.py, tests/hashed.h).
PyTorch runs in fp64; only outputs are stored, every stride-th element of them."""
import importlib
import sys

NAMES = ["minilm", "models", "preprocessing", "r2plus1d", "wordpiece", "optimizer", "curves", "gradients", "stage1_curves"]

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        module, _, function = name.partition(":")
        getattr(importlib.import_module(module), function or "make")()
