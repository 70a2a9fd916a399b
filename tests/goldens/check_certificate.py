"""Computes the probe of a folder that `mgconvert import` or `export` made with PyTorch, and says how far its
certificate's outputs, which mg computed, are from it. Needs torch, torchvision, transformers and safetensors.

usage: check_certificate.py FOLDER...      exit status 1 when one is further away than 1e-4"""
import importlib.util
import json
import pathlib
import sys

import numpy as np
import torch

SEED = 1  # kProbeSeed of tools/convert/models/parts.cpp


def philox(site, groups):
    """Philox4x32-10 of (seed, step 0, site, sample 0, group) for each group: [groups, 4] numbers of 32 bits."""
    mask, high = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [np.arange(groups, dtype=np.uint64), *(np.full(groups, x, np.uint64) for x in (0, 0, site))]
    k = [SEED & 0xFFFFFFFF, SEED >> 32]
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> high) ^ c[1] ^ np.uint64(k[0]), p1 & mask, (p0 >> high) ^ c[3] ^ np.uint64(k[1]), p0 & mask]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, 1)


def site(name):
    value = 2166136261
    for byte in name.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def drawn_tensor(name, *shape):
    count = int(np.prod(shape))
    bits = philox(site("probe:" + name), -(-count // 4)).reshape(-1)[:count]
    return torch.from_numpy(2 * ((bits >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)) - 1).reshape(shape)


def drawn_texts(vocabulary):
    lengths = [5, 9, 3]
    first = iter(philox(site("probe:texts"), sum(lengths))[:, 0])
    ids = torch.zeros(3, max(lengths), dtype=torch.long)
    mask = torch.zeros(3, max(lengths), dtype=torch.long)
    for i, length in enumerate(lengths):
        ids[i, :length] = torch.tensor([int(next(first)) % vocabulary for _ in range(length)])
        mask[i, :length] = 1
    return ids, mask


def some_values(tensor):
    stride = -(-tensor.numel() // 256) | 1
    return tensor.double().flatten().numpy()[::stride]


def video_probe(folder, loader):
    net = loader.load(folder).double()
    x = drawn_tensor("frames", 1, 8, 48, 48, 3).double().permute(0, 4, 1, 2, 3)
    features = net.layer4(net.layer3(net.layer2(net.layer1(net.stem(x))))).mean((2, 3, 4))
    probe = {"features": features}
    if isinstance(net.fc, torch.nn.Linear):
        probe["logits"] = net.fc(features)
    return probe


def text_probe(folder, loader):
    model, tokenizer = loader.load(folder)
    assert len(tokenizer) == model.config.vocab_size, (len(tokenizer), model.config.vocab_size)
    ids, mask = drawn_texts(model.config.vocab_size)
    hidden = model.double()(input_ids=ids, attention_mask=mask).last_hidden_state
    return {"first token": hidden[:, 0], "mean": (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)}


@torch.no_grad()
def check(folder):
    certificate = json.loads((folder / "certificate.json").read_text())
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    probe = (video_probe if certificate["kind"] == "r2plus1d" else text_probe)(folder, loader)
    worst = 0.0
    assert probe.keys() == certificate["probe"].keys(), (probe.keys(), certificate["probe"].keys())
    for name, value in probe.items():
        expected, stored = some_values(value), np.array(certificate["probe"][name])
        assert expected.shape == stored.shape, name
        error = np.linalg.norm(stored - expected) / np.linalg.norm(expected)
        print(f"{folder}: {certificate['kind']}, {name}: mg is {error:.1e} away from PyTorch in fp64")
        worst = max(worst, error)
    return worst


if __name__ == "__main__":
    sys.exit(any([check(pathlib.Path(name)) > 1e-4 for name in sys.argv[1:]]))
