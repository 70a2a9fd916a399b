"""optimizer.json: tensors after steps of torch.optim.AdamW from given gradients, and BatchNorm's running statistics
after steps of training, in fp64, each with the distance of PyTorch's own fp32."""
import torch
from shared import VERSIONS, digits, distance, fill, parameter, stored, tensor, write
from torch import nn

STEPS = 10
# lr, weight decay, parameters. `never` gets no gradient, `sometimes` only in every third step.
GROUPS = {
    "video": (1e-4, 1e-3, {"video.weight": (16, 9), "video.bias": (16,)}),
    "text": (1e-5, 1e-3, {"text.weight": (8, 8)}),
    "head": (1e-3, 1e-3, {"head.weight": (7, 5), "head.bias": (5,), "never.weight": (4, 3), "sometimes.weight": (6, 4)}),
    "decayed": (1e-2, 1e-1, {"decayed.weight": (6, 6)}),
}
# lr factors by step; the norm that gradients are clipped to.
RUNS = {"plain": ([1.0] * STEPS, 0), "scheduled and clipped": ([0.25, 0.5, 0.75] + [1.0] * (STEPS - 3), 4.0)}


def has_gradient(name, step):
    return name != "never.weight" and (name != "sometimes.weight" or step % 3 == 1)


def adamw(factors, max_norm, dtype):
    weights = {name: nn.Parameter(parameter(name, shape).to(dtype)) for _, _, p in GROUPS.values() for name, shape in p.items()}
    optimizer = torch.optim.AdamW([{"params": [weights[name] for name in p], "lr": lr, "weight_decay": decay}
                                   for lr, decay, p in GROUPS.values()])
    for step, factor in enumerate(factors):
        for name, weight in weights.items():
            weight.grad = tensor(f"gradient {step} {name}", *weight.shape, dtype=dtype) if has_gradient(name, step) else None
        if max_norm > 0:
            nn.utils.clip_grad_norm_(weights.values(), max_norm)
        for group, (lr, _, _) in zip(optimizer.param_groups, GROUPS.values()):
            group["lr"] = lr * factor
        optimizer.step()
    found = {}
    for name, weight in weights.items():
        found["change." + name] = weight.detach().double() - parameter(name, tuple(weight.shape))
        for kind in ("exp_avg", "exp_avg_sq"):
            if name != "never.weight":
                found[f"{kind}.{name}"] = optimizer.state[weight][kind]
    return found


def batch_norm(dtype):
    """Eight numbers a channel and step: a biased variance would be far off."""
    net = nn.Sequential(nn.Conv3d(3, 6, (1, 3, 3), padding=(0, 1, 1), bias=False), nn.BatchNorm3d(6))
    net = fill(net, dtype).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=1e-3)
    for step in range(5):
        optimizer.zero_grad()
        y = net(tensor(f"x {step}", 2, 1, 2, 2, 3, dtype=dtype).permute(0, 4, 1, 2, 3))
        y.backward(tensor(f"dy {step}", 2, 1, 2, 2, 6, dtype=dtype).permute(0, 4, 1, 2, 3))
        optimizer.step()
    found = {f"running_{kind}": net.state_dict()[f"1.running_{kind}"] for kind in ("mean", "var")}
    y = net.eval()(tensor("x 5", 2, 1, 2, 2, 3, dtype=dtype).permute(0, 4, 1, 2, 3))
    return found | {"eval": y.permute(0, 2, 3, 4, 1)}


def with_distance(run):
    double, single = run(torch.float64), run(torch.float32)
    cases = {}
    for name, value in double.items():
        cases[name] = stored(value)
        cases[name]["fp32_distance"] = digits(distance(single[name], value), 3) if value.abs().sum() > 0 else 0
    return cases


def make():
    runs = {name: {"factors": factors, "max_norm": max_norm,
                   "cases": with_distance(lambda dtype: adamw(factors, max_norm, dtype))}
            for name, (factors, max_norm) in RUNS.items()}
    groups = [{"name": name, "lr": lr, "weight_decay": decay, "parameters": parameters}
              for name, (lr, decay, parameters) in GROUPS.items()]
    write("optimizer.json", {"versions": VERSIONS, "groups": groups, "adamw": runs, "batch_norm": with_distance(batch_norm)})
