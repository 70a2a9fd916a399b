"""gradients_*.json: the first stage's loss and the gradient of every tensor at step 0, in fp64. Of each gradient its
norm, the distance of PyTorch's own fp32 from it, and projections on vectors of hashed signs: the mean square of a
difference's projections estimates the square of its norm."""
import torch
from contrastive import ContrastiveModel
from networks import padded
from shared import VERSIONS, digits, fill, signs, tensor, write

SIZES = {"width": 8, "blocks": [1, 1, 1, 1], "vocabulary": 50, "positions": 16, "dim": 32, "hidden": 64, "layers": 2, "heads": 4,
         "embedding": 128, "frames": 8, "pixels": 48}
TEXTS = [[2, 7, 11, 5, 13, 19, 3], [2, 40, 8, 3], [2], [2, 23, 3]]
LABELS = [0, 3, 1, 2, 1, 0]
PROJECTIONS = 8
XCLIP = [{"prompt": "xclip", "tokens": tokens, "condition": condition}
         for tokens in ("spatiotemporal", "pooled", "batch") for condition in ("each", "own")]
PAPER = [{"prompt": "paper_eq", "tokens": tokens, "condition": condition}
         for tokens in ("spatiotemporal", "pooled") for condition in ("each", "own")]
FILES = {"gradients_xclip.json": XCLIP, "gradients_paper_eq.json": PAPER,
         "gradients_none_and_bert.json": [{"prompt": "none"}, {"prompt": "none", "text": "bert"},
                                          {"prompt": "xclip", "text": "bert"}]}


def gradients(case, dtype):
    model = fill(ContrastiveModel(SIZES, **case), dtype).train()
    frames = tensor("frames", len(LABELS), SIZES["frames"], SIZES["pixels"], SIZES["pixels"], 3, dtype=dtype)
    loss = model.loss(frames, padded(TEXTS), torch.tensor(LABELS))
    loss.backward()
    return loss.item(), {name: p.grad.double() for name, p in model.named_parameters()}


def is_truly_zero(name, case):
    """A bias of the keys moves all scores alike; so do queries and keys where there is one key."""
    pooled = case.get("tokens") == "pooled" and name.startswith("prompt_generator.")
    return name.endswith(("k_lin.bias", "self.key.bias")) or pooled and any(
        part in name for part in ("query_transform", "key_transform", "norm_for_attention"))


def make_case(case):
    (loss, double), (loss32, single) = gradients(case, torch.float64), gradients(case, torch.float32)
    norm = torch.stack([g.norm() for g in double.values()]).norm().item()
    tensors = {}
    for name, g in double.items():
        assert (g.norm() < 1e-12 * norm) == is_truly_zero(name, case), (case, name, g.norm())
        flat = g.flatten()
        projections = [signs(f"{name} {k}", len(flat)) @ flat for k in range(PROJECTIONS)]
        tensors[name] = [digits(x, 7) for x in (flat.norm(), (single[name] - g).norm(), *projections)]
    apart = sorted((x[1] / x[0], name) for name, x in tensors.items() if x[0] > 1e-12 * norm)
    print(case, loss, f"fp32: loss {abs(loss32 - loss) / loss:.1e}, median {apart[len(apart) // 2][0]:.1e}, max", apart[-1])
    return {**case, "loss": digits(loss, 10), "loss_fp32_distance": digits(abs(loss32 - loss) / loss, 2), "norm": digits(norm),
            "tensors": tensors}


def make():
    for name, cases in FILES.items():
        write(name, {"versions": VERSIONS, "sizes": SIZES, "texts": TEXTS, "labels": LABELS,
                     "cases": [make_case(case) for case in cases]})
