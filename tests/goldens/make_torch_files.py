"""Makes torch_files/: small weight files as PyTorch and safetensors write them, and expected.json: what each holds
by PyTorch's own reading, after the conversions of engine/stored_type.h. Needs torch, safetensors and numpy.

usage: make_torch_files.py

expected.json: file -> {"tensors": {name: {"type", "shape", "values"}}, "left_out": [...]}. Values are written as the
shortest decimal that reads back as the same number, or as the words NaN, Infinity, -Infinity."""
import collections
import json
import math
import pathlib

import numpy as np
import safetensors.torch
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "torch_files"
TYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16",
         torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
         torch.bool: "BOOL"}
expected = {}


def number(value):
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def describe(tensor):
    value = tensor.detach()
    if value.is_floating_point():
        value = value.float()
    values = value.reshape(-1).to(torch.float64 if value.is_floating_point() else torch.int64).tolist()
    return {"type": TYPES[tensor.dtype], "shape": list(tensor.shape), "values": [number(v) for v in values]}


def expect(name, tensors, left_out=()):
    expected[name] = {"tensors": {key: describe(value) for key, value in tensors.items()}, "left_out": list(left_out)}


def save(name, obj, tensors, left_out=(), **options):
    torch.save(obj, FOLDER / name, **options)
    expect(name, tensors, left_out)


def network():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv3d(2, 3, (1, 2, 2)), nn.BatchNorm3d(3), nn.Linear(4, 3))
    net(torch.randn(2, 2, 2, 3, 5)[..., :5])  # the statistics and num_batches_tracked move
    return net


def plain():
    state = network().state_dict()
    save("plain.pth", state, state)
    for protocol in (3, 4, 5):
        save(f"protocol_{protocol}.pth", state, state, pickle_protocol=protocol)


def wrapped():
    net = network()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 6])
    sum(p.square().sum() for p in net.parameters()).backward()
    optimizer.step()
    state = net.state_dict()
    wrapper = {
        "epoch": 3, "state_dict": state, "optimizer": optimizer.state_dict(), "lr_scheduler": scheduler.state_dict(),
        "loss": 0.25, "best": None, "amp": True, "args": {"lr": 1e-3, "layers": [1, 2], "name": "r2plus1d", 5: (1, 2)},
        "seed": 2**80, "negative": -2**40, "raw": b"\x00\xff", "classes": {"a"}, "shape": torch.Size([2, 3]),
        "device": torch.device("cpu"), "dtype": torch.float32, "lr_tensor": torch.tensor(0.5),
    }
    left_out = ["epoch: an int", "optimizer: a dict of 2", "lr_scheduler: a dict of {}".format(
        len(scheduler.state_dict())), "loss: a float", "best: None", "amp: a bool", "args: a dict of 4", "seed: an int",
        "negative: an int", "raw: bytes", "classes: a set", "shape: a torch.Size", "device: a torch.device",
        "dtype: torch.float32", "lr_tensor: a tensor"]
    save("wrapped.pth", wrapper, state, left_out)
    save("wrapped_protocol_4.pth", wrapper, state, left_out, pickle_protocol=4)
    for key in ("model", "model_state_dict", "module", "net"):
        save(f"wrapped_{key}.pth", {key: state, "epoch": 1}, state, ["epoch: an int"])


def types():
    halves = [1.0, -2.5, 2.0**-24, 65504.0, math.inf, -math.inf, math.nan, -0.0, 1 / 3]
    state = {
        "f16": torch.tensor(halves, dtype=torch.float16), "bf16": torch.tensor(halves + [3e38], dtype=torch.bfloat16),
        "f64": torch.tensor([0.1, -1e10, 1e-50, 1e300, math.pi], dtype=torch.float64),
        "f32": torch.tensor([0.1, 1e-45, 3.4e38, math.inf, -0.0]), "i64": torch.tensor([2**62, -1, 0]),
        "i32": torch.tensor([2**31 - 1, -2**31], dtype=torch.int32),
        "i16": torch.tensor([-32768, 32767, 5], dtype=torch.int16),
        "i8": torch.tensor([-128, 127], dtype=torch.int8), "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]), "scalar": torch.tensor(3.5), "steps": torch.tensor(7),
        "empty": torch.zeros(0), "empty_matrix": torch.zeros(3, 0, 2), "rank5": torch.arange(32.0).reshape(2, 2, 2, 2, 2),
    }
    save("types.pth", state, state)
    safetensors.torch.save_file(state, FOLDER / "types.safetensors", metadata={"format": "pt"})
    expect("types.safetensors", state)


def views():
    base = torch.arange(24.0).reshape(4, 6)
    half = torch.arange(12, dtype=torch.float16).reshape(3, 4)
    state = collections.OrderedDict(
        whole=base, tied=base, rows=base[1:3], columns=base[:, 2:5], every_second=base[:, ::2], transposed=base.t(),
        last=base[3, 5], column=base[:, 1:2], none=base[4:], permuted=torch.arange(60).reshape(3, 4, 5).permute(2, 0, 1),
        offset=torch.arange(10)[7:], half_transposed=half.t(), half_part=half[1:, 1:3], one=torch.zeros(1, 1).expand(1, 1),
        diagonal=torch.arange(9, dtype=torch.int16).reshape(3, 3).diagonal())
    save("views.pth", state, state)


def parameters():
    net = network()
    state = net.state_dict(keep_vars=True)  # Parameters, with requires_grad
    assert isinstance(state["0.weight"], nn.Parameter)
    frozen = nn.Parameter(torch.arange(3.0), requires_grad=False)
    tensors = dict(state, frozen=frozen)
    save("parameters.pth", tensors, tensors)
    save("extra_state.pth", dict(state, _extra_state={"scale": 1.0}), state, ["_extra_state: a dict of 1"])


def sharded():
    state = network().state_dict()
    names = sorted(state)
    for kind, index, pattern in (("safetensors", "model.safetensors.index.json", "model-{:05}-of-00002.safetensors"),
                                 ("bin", "pytorch_model.bin.index.json", "pytorch_model-{:05}-of-00002.bin")):
        folder = FOLDER / f"sharded_{kind}"
        folder.mkdir(exist_ok=True)
        shards = {pattern.format(i + 1): {n: state[n].contiguous() for n in names[i::2]} for i in range(2)}
        for file, tensors in shards.items():
            if kind == "safetensors":
                safetensors.torch.save_file(tensors, folder / file, metadata={"format": "pt"})
            else:
                torch.save(tensors, folder / file)
        total = sum(t.numel() * t.element_size() for t in state.values())
        (folder / index).write_text(json.dumps(
            {"metadata": {"total_size": total}, "weight_map": {n: f for f, ts in shards.items() for n in ts}}, indent=2))
        expect(f"sharded_{kind}/{index}", state)
        expect(f"sharded_{kind}", state)


def main():
    FOLDER.mkdir(exist_ok=True)
    for make in (plain, wrapped, types, views, parameters, sharded):
        make()
    versions = {"torch": torch.__version__, "safetensors": safetensors.__version__, "numpy": np.__version__}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in expected.items()]
    text = "{\"versions\": " + json.dumps(versions) + ",\n\"files\": {\n" + ",\n".join(lines) + "\n}}\n"
    (FOLDER / "expected.json").write_text(text)


main()
