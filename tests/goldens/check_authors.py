"""Makes a checkpoint of the authors' shape and full size with PyTorch (encoder registered twice, prompting under its
older names, a module. prefix, inside a training checkpoint), imports it with mgconvert, and says how far the probe
of the import's certificate is from PyTorch. Needs what check_certificate.py needs.

usage: check_authors.py MGCONVERT VOCAB.TXT FOLDER      FOLDER: to make"""
import json
import pathlib
import subprocess
import sys

import numpy as np
import torch
from torch import nn

from check_certificate import drawn_tensor, drawn_texts, some_values
from contrastive import TEMPERATURE, ContrastiveModel

SIZES = {"width": 64, "blocks": (2, 2, 2, 2), "vocabulary": 30522, "positions": 512, "dim": 768, "hidden": 3072,
         "layers": 6, "heads": 12, "embedding": 256}
OLD = [("visual_feature_normalizer", "norm"), ("refinement_blocks", "decoder"),
       ("cross_attention.query_transform", "cross_attn.q_proj"), ("cross_attention.key_transform", "cross_attn.k_proj"),
       ("cross_attention.value_transform", "cross_attn.v_proj"), ("cross_attention.output_projection", "cross_attn.proj"),
       ("norm_for_attention", "norm1"), ("norm_for_ffn", "norm3"), ("feed_forward_net", "mlp"),
       ("prompt_scaling_factor", "alpha")]


def old_prompt_name(name):
    if name.startswith("prompt_generator."):
        for now, before in OLD:
            name = name.replace(now, before)
    return name


def wild(model):
    state = {}
    for name, tensor in model.state_dict().items():
        encoder, _, rest = name.partition("image_encoder.")
        if encoder == "" and rest:
            state["module.image_encoder.pretrained." + rest] = tensor
            state["module.image_encoder.net." + rest] = tensor  # the same storage, as nn.Module registers it
        else:
            state["module." + old_prompt_name(name)] = tensor
    return {"model": state, "epoch": 12, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4, "params": [0, 1]}]}}


@torch.no_grad()
def probe(model):
    model.double().eval()
    features = model.image_encoder(drawn_tensor("frames", 2, 8, 48, 48, 3).double())
    v = model.image_projection(features.mean((1, 2, 3)))
    ids, mask = drawn_texts(SIZES["vocabulary"])
    t = model.text_projection(model.text_encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])
    prompted = model.texts(t, None, v, features)
    unit = [nn.functional.normalize(x, dim=-1) for x in (v, prompted)]
    return {"video embeddings": v, "text embeddings": t, "similarity": torch.einsum("id,ikd->ik", *unit) / TEMPERATURE}


def main(mgconvert, vocabulary, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    torch.manual_seed(3)
    model = ContrastiveModel(SIZES, prompt="xclip").eval()
    nn.init.normal_(model.prompt_generator.prompt_scaling_factor)
    torch.save(wild(model), folder / "CLIPModel.pt")
    out = folder / "run"
    subprocess.run([mgconvert, "import", folder / "CLIPModel.pt", "--as", "authors", "--vocab", vocabulary, "--set",
                    "prompt.kind=xclip", "--out", out], check=True)
    subprocess.run([mgconvert, "verify", out], check=True)
    stored = json.loads((out / "certificate.json").read_text())["probe"]
    for name, value in probe(model).items():
        expected = some_values(value)
        error = np.linalg.norm(np.array(stored[name]) - expected) / np.linalg.norm(expected)
        print(f"authors' model, {name}: mg is {error:.1e} away from PyTorch in fp64")
        assert error < 1e-4


if __name__ == "__main__":
    main(*sys.argv[1:])
