"""Embeddings of 100 captions by the real all-MiniLM-L6-v2 in transformers: tokens, encoder, mean over tokens.
MG_MINILM_DIR: the folder that tools/minilm makes."""
import os

import torch
import transformers

from shared import VERSIONS, stored, write

VERBS = ["touching", "Scratching", "rubbing", "covering", "playing with", "pulling", "holding", "adjusting", "biting",
         "pressing"]
THINGS = ["the head", "an ear", "eyes and forehead", "the neck", "a nail", "their hair", "the caf\u00e9's jewelry, or another object",
          "both arms behind the body", "a shirt-collar", "lips"]


@torch.no_grad()
def make():
    folder = os.environ["MG_MINILM_DIR"]
    captions = [f"{verb} {thing}" for verb in VERBS for thing in THINGS]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).double().eval()
    assert len(tokenizer) == 30522
    inputs = tokenizer(captions, padding=True, truncation=True, max_length=200, return_tensors="pt")
    hidden, mask = model(**inputs).last_hidden_state, inputs["attention_mask"][:, :, None]
    embeddings = (hidden * mask).sum(1) / mask.sum(1)
    write("minilm.json", {"versions": VERSIONS, "captions": captions, "embeddings": stored(embeddings, 4000)})
