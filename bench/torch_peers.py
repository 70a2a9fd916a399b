#!/usr/bin/env python3
"""The same work by PyTorch: the operations whose shapes mgbench wrote, and the contrastive training step.

    usage: torch_peers.py ops --shapes OPS.json --out FILE [--compile]
           torch_peers.py step --batch 16 --frames 32 --side 112 --out FILE [--compile]

bf16 (autocast for the step), channels last, fused AdamW; times are medians by CUDA events after a warm-up. The file is
written anew after each result, so that what is stopped leaves what it has. Without a GPU (--device cpu) it is a
rehearsal: small shapes, times that mean nothing.
"""
import argparse
import json
import math
import os
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

SMALL = 8  # a rehearsal has so many rows, clips or pixels at most


def median_ms(work, device, seconds):
    """Of at least 7 runs and as many as fit seconds; the first ones do not count."""
    for _ in range(2):
        work()
    times, begin = [], time.monotonic()
    while len(times) < 7 or time.monotonic() - begin < seconds:
        if device == "cpu":
            start = time.perf_counter()
            work()
            times.append(1e3 * (time.perf_counter() - start))
            if time.monotonic() - begin > seconds:
                break
            continue
        before, after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        before.record()
        work()
        after.record()
        after.synchronize()
        times.append(before.elapsed_time(after))
    return statistics.median(times)


class Operations:
    """For each operation of mgbench the same by PyTorch: direction -> function without arguments."""

    def __init__(self, device, compiled):
        self.device = device
        self.compiled = compiled

    def wrap(self, function):
        return torch.compile(function, dynamic=False) if self.compiled else function

    def rows(self, *shape, dtype=torch.bfloat16, grad=False):
        return torch.randn(*shape, device=self.device, dtype=dtype, requires_grad=grad)

    def forward_backward(self, function, inputs, forward="forward"):
        """A function of tensors that need gradients: its pass forward, and its pass backward alone."""
        function = self.wrap(function)
        y = function(*inputs)
        dy = torch.randn_like(y)

        def run_forward():
            with torch.no_grad():
                function(*inputs)

        asked = [x for x in inputs if x.requires_grad]
        return {forward: run_forward, "backward": lambda: torch.autograd.grad(y, asked, dy, retain_graph=True)}

    def conv(self, d):
        kernel, stride, padding = ([d[n + "_t"], d[n + "_s"], d[n + "_s"]] for n in ("kernel", "stride", "padding"))
        last = torch.channels_last_3d
        x = self.rows(d["n"], d["inputs"], d["t"], d["h"], d["w"]).to(memory_format=last)
        w = self.rows(d["outputs"], d["inputs"], *kernel).to(memory_format=last)
        forward = self.wrap(lambda x, w: F.conv3d(x, w, None, stride, padding))
        dy = torch.randn_like(forward(x, w))

        def backward(mask):
            function = self.wrap(lambda dy, x, w: torch.ops.aten.convolution_backward(
                dy, x, w, None, stride, padding, [1, 1, 1], False, [0, 0, 0], 1, mask))
            return lambda: function(dy, x, w)

        return {"forward": lambda: forward(x, w), "backward-data": backward([True, False, False]),
                "backward-weight": backward([False, True, False])}

    def linear(self, d):
        x, w, b = self.rows(d["rows"], d["inputs"]), self.rows(d["outputs"], d["inputs"]), self.rows(d["outputs"])
        dy = self.rows(d["rows"], d["outputs"])
        forward, data = self.wrap(F.linear), self.wrap(lambda dy, w: dy @ w)
        weight = self.wrap(lambda dy, x: (dy.t() @ x, dy.sum(0)))
        return {"forward": lambda: forward(x, w, b), "backward-data": lambda: data(dy, w),
                "backward-weight": lambda: weight(dy, x)}

    def attention(self, d):
        # Rows of all heads side by side, as a linear layer gives them.
        def heads(length):
            t = self.rows(d["batch"], length, d["heads"], d["dim"]).transpose(1, 2)
            return t.detach().requires_grad_()

        inputs = [heads(d["queries"]), heads(d["keys"]), heads(d["keys"])]
        p = d["dropout_percent"] / 100
        return self.forward_backward(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, dropout_p=p), inputs)

    def batch_norm(self, d):
        x, residual = self.rows(d["rows"], d["channels"], grad=True), self.rows(d["rows"], d["channels"], grad=True)
        parameters = [self.rows(d["channels"], dtype=torch.float32, grad=True) for _ in range(2)]
        mean, variance = (torch.ones(d["channels"], device=self.device) for _ in range(2))

        def norm(x, w, b, *rest):
            y = F.batch_norm(x, mean, variance, w, b, True, 0.1, 1e-5)
            return F.relu(y + rest[0] if rest else y)

        return self.forward_backward(norm, [x, *parameters] + ([residual] if d["residual"] else []),
                                     "statistics and forward")

    def cross_entropy(self, d):
        logits = self.rows(d["rows"], d["classes"], grad=True)
        targets = torch.softmax(self.rows(d["rows"], d["classes"], dtype=torch.float32), -1)
        return self.forward_backward(lambda x: F.cross_entropy(x.float(), targets), [logits])

    def contrastive_loss(self, d):
        v = self.rows(d["clips"], d["dim"], dtype=torch.float32, grad=True)
        shape = (d["clips"], d["texts"], d["dim"]) if d["prompted"] else (d["texts"], d["dim"])
        t = self.rows(*shape, dtype=torch.float32, grad=True)
        targets = torch.eye(d["texts"], device=self.device).repeat(math.ceil(d["clips"] / d["texts"]), 1)[:d["clips"]]
        return self.forward_backward(lambda v, t: contrastive_loss(v, t, targets), [v, t])


def contrastive_loss(v, t, positives):
    """KL of the similarities of clips and texts, both ways; t is [texts, dim], or as each clip sees it."""
    logits = (v @ t.t() if t.dim() == 2 else torch.einsum("bd,bkd->bk", v, t)) / 0.05
    rows, columns = (positives / positives.sum(i, keepdim=True) for i in (1, 0))
    return (F.kl_div(F.log_softmax(logits, 1), rows, reduction="sum") / len(v)
            + F.kl_div(F.log_softmax(logits, 0), columns, reduction="sum") / positives.shape[1]) / 2


class Pair(nn.Sequential):
    """A spatial and a temporal convolution with as many parameters as one of 3x3x3."""

    def __init__(self, inputs, outputs, middle, stride):
        super().__init__(nn.Conv3d(inputs, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
                         nn.BatchNorm3d(middle), nn.ReLU(inplace=True),
                         nn.Conv3d(middle, outputs, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
                         nn.BatchNorm3d(outputs))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        middle = inputs * outputs * 27 // (inputs * 9 + 3 * outputs)
        self.first, self.second = Pair(inputs, outputs, middle, stride), Pair(outputs, outputs, middle, 1)
        self.down = None if stride == 1 else nn.Sequential(
            nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))

    def forward(self, x):
        y = self.second(F.relu(self.first(x), inplace=True))
        return F.relu(y + (x if self.down is None else self.down(x)), inplace=True)


class VideoEncoder(nn.Sequential):
    """R(2+1)D-18 up to layer4."""

    def __init__(self):
        layers = [nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False), nn.BatchNorm3d(45),
                  nn.ReLU(inplace=True), nn.Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False), nn.BatchNorm3d(64),
                  nn.ReLU(inplace=True)]
        inputs = 64
        for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            layers += [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
            inputs = outputs
        super().__init__(*layers)


class Head(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.first, self.second = nn.Linear(inputs, outputs), nn.Linear(outputs, outputs)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x):
        p = self.first(x)
        return self.norm(p + F.dropout(self.second(F.gelu(p)), 0.1, self.training))


class Prompt(nn.Module):
    """Texts attend to the positions of a clip: cross-attention and feed-forward with norms and residuals."""

    def __init__(self, dim):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.out, self.norms = nn.Linear(dim, dim), nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.expand, self.contract = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.alpha = nn.Parameter(torch.full((dim,), 0.1))

    def forward(self, text, visual):
        clips, heads = len(visual), max(1, text.shape[-1] // 64)
        split = lambda t: t.unflatten(-1, (heads, -1)).transpose(1, 2)
        visual, text = self.norms[0](visual), text.expand(clips, -1, -1)
        y = F.scaled_dot_product_attention(split(self.query(self.norms[1](text))), split(self.key(visual)),
                                           split(self.value(visual)))
        y = text + self.out(y.transpose(1, 2).flatten(2))
        hidden = self.expand(self.norms[2](y))
        y = y + self.contract(hidden * torch.sigmoid(1.702 * hidden))
        return text + self.alpha * y


class Contrastive(nn.Module):
    def __init__(self, text_layers):
        super().__init__()
        self.video = VideoEncoder()
        self.words, self.places = nn.Embedding(30522, 768), nn.Embedding(512, 768)
        self.norm = nn.LayerNorm(768)
        layer = nn.TransformerEncoderLayer(768, 12, 3072, 0.1, "gelu", batch_first=True)
        self.text = nn.TransformerEncoder(layer, text_layers, enable_nested_tensor=False)
        self.video_head, self.text_head, self.prompt = Head(512, 256), Head(768, 256), Prompt(256)

    def forward(self, frames, tokens, positives):
        features = self.video(frames)
        positions = features.flatten(2).transpose(1, 2)
        embedding = self.video_head(positions.mean(1))
        words = F.dropout(self.norm(self.words(tokens) + self.places.weight[:tokens.shape[1]]), 0.1, self.training)
        texts = self.prompt(self.text_head(self.text(words)[:, 0]), self.video_head(positions))
        return contrastive_loss(F.normalize(embedding.float(), dim=-1), F.normalize(texts.float(), dim=-1), positives)


def training_step(options):
    rehearsal = options.device == "cpu"
    batch, frames, side = (2, 8, 32) if rehearsal else (options.batch, options.frames, options.side)
    model = Contrastive(1 if rehearsal else 6).to(options.device).to(memory_format=torch.channels_last_3d).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05, fused=True)
    x = torch.randn(batch, 3, frames, side, side, device=options.device).to(memory_format=torch.channels_last_3d)
    tokens = (torch.arange(batch * 16, device=options.device) * 7919 % 30000).view(batch, 16)
    positives = torch.eye(batch, device=options.device)
    forward = torch.compile(model, dynamic=False) if options.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(options.device, torch.bfloat16):
            loss = forward(x, tokens, positives)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()

    begin = time.monotonic()
    step()
    if options.device == "cuda":
        torch.cuda.synchronize()
    first = time.monotonic() - begin
    ms = median_ms(step, options.device, options.seconds)
    result = {"batch": batch, "frames": frames, "side": side, "median_ms": ms, "first_step_s": first}
    if options.device == "cuda":
        result["peak_bytes_in_use"] = torch.cuda.max_memory_allocated()
        result["bytes_held"] = torch.cuda.max_memory_reserved()
    return result


def smaller(dims):
    """For a rehearsal: few rows, clips and pixels, the channels as they are."""
    few = {"n", "t", "h", "w", "rows", "batch", "clips", "texts"}
    return {name: min(value, SMALL) if name in few else value for name, value in dims.items()}


def write(path, results, options):
    machine = torch.cuda.get_device_name() if options.device == "cuda" else "a rehearsal on the processor"
    text = json.dumps({"torch": torch.__version__, "machine": machine, "compiled": options.compile, "results": results},
                      indent=2)
    with open(path + ".partial", "w", encoding="utf-8") as file:
        file.write(text + "\n")
    os.replace(path + ".partial", path)


def operations(options):
    with open(options.shapes, encoding="utf-8") as file:
        asked = [r for r in json.load(file)["results"] if "dims" in r]
    make, results, seen = Operations(options.device, options.compile), [], set()
    for r in asked:
        key = (r["operation"], r["layer"])
        if key in seen:
            continue
        seen.add(key)
        dims = smaller(r["dims"]) if options.device == "cpu" else r["dims"]
        torch.compiler.reset()  # each shape is compiled for itself
        common = {"operation": r["operation"], "layer": r["layer"]}
        try:
            for direction, work in getattr(make, r["operation"])(dims).items():
                ms = median_ms(work, options.device, options.seconds)
                results.append({**common, "direction": direction, "median_ms": ms})
                print(f"{r['operation']} {r['layer']} {direction}: {ms:.3f} ms", flush=True)
        except RuntimeError as e:  # of memory, or of a compiler
            results.append({**common, "error": str(e).splitlines()[0]})
            print(f"{r['operation']} {r['layer']}: {str(e).splitlines()[0]}", flush=True)
        write(options.out, results, options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ops", "step"])
    parser.add_argument("--shapes", help="what mgbench op --json wrote")
    parser.add_argument("--out", required=True)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=0.05, help="at least so long for each measurement")
    for name, value in (("batch", 16), ("frames", 32), ("side", 112)):
        parser.add_argument("--" + name, type=int, default=value)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    if options.what == "ops":
        operations(options)
    else:
        result = training_step(options)
        print(json.dumps(result))
        write(options.out, [result], options)


if __name__ == "__main__":
    main()
