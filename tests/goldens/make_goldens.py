"""Makes models.json and wordpiece.json: what PyTorch, torchvision and transformers answer for the cases of
tests/models. Needs torch, torchvision, transformers and MG_DATA_DIR (text/bert-base-uncased-vocab.txt).

usage: make_goldens.py [models] [wordpiece]

Weights and inputs are not stored: both sides compute them from their names (hashed.py, tests/hashed.h).
PyTorch runs in fp64; only outputs are stored, every stride-th element of them."""
import json
import math
import os
import pathlib
import random
import sys

import numpy as np
import torch
import torchvision
import transformers
from torch import nn
from torchvision.models.video import resnet

from hashed import hashed, write

VERSIONS = {"torch": torch.__version__, "torchvision": torchvision.__version__,
            "transformers": transformers.__version__}


def tensor(name, *shape):
    return torch.from_numpy(hashed(name, math.prod(shape)).astype(np.float32)).double().reshape(shape)


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


def fill(module):
    module.double()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                value.copy_(parameter(name, tuple(value.shape)))
    return module


def stored(value, limit=2000):
    flat = value.detach().double().flatten().numpy()
    stride = max(1, -(-len(flat) // limit))
    if stride % 2 == 0:
        stride += 1  # odd: not always the same channel
    return {"shape": list(value.shape), "stride": stride, "values": [float(f"{x:.8g}") for x in flat[::stride]]}


class R2Plus1d(resnet.VideoResNet):
    """torchvision's network without fc, at any width."""

    def __init__(self, width, blocks=(2, 2, 2, 2)):
        nn.Module.__init__(self)
        middle = max(8, (45 * width + 32) // 64)
        self.stem = nn.Sequential(
            nn.Conv3d(3, middle, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False), nn.BatchNorm3d(middle), nn.ReLU(),
            nn.Conv3d(middle, width, (3, 1, 1), 1, (1, 0, 0), bias=False), nn.BatchNorm3d(width), nn.ReLU())
        self.inplanes = width
        for i, count in enumerate(blocks):
            layer = self._make_layer(resnet.BasicBlock, resnet.Conv2Plus1D, width << i, count, 1 if i == 0 else 2)
            setattr(self, f"layer{i + 1}", layer)

    def forward(self, frames):  # N T H W C -> N T H W C
        x = self.stem(frames.permute(0, 4, 1, 2, 3))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.permute(0, 2, 3, 4, 1)


class ProjectionHead(nn.Module):
    def __init__(self, inputs, dim):
        super().__init__()
        self.projection, self.fc, self.layer_norm = nn.Linear(inputs, dim), nn.Linear(dim, dim), nn.LayerNorm(dim)

    def forward(self, x):
        projected = self.projection(x)
        return self.layer_norm(self.fc(nn.functional.gelu(projected)) + projected)


class CrossAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.query_transform, self.key_transform, self.value_transform = (
            nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.output_projection = nn.Linear(dim, dim)

    def forward(self, text, visual):
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f, x in (
            (self.query_transform, text), (self.key_transform, visual), (self.value_transform, visual)))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        return self.output_projection((weights @ v).transpose(1, 2).flatten(2))


class QuickGelu(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class PromptBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.cross_attention = CrossAttention(dim, heads)
        self.norm_for_attention, self.norm_for_ffn = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.feed_forward_net = nn.Sequential(nn.Linear(dim, 4 * dim), QuickGelu(), nn.Dropout(0), nn.Linear(4 * dim, dim))

    def forward(self, text, visual):
        text = text + self.cross_attention(self.norm_for_attention(text), visual)
        return text + self.feed_forward_net(self.norm_for_ffn(text))


class AdaptivePrompting(nn.Module):
    def __init__(self, dim, heads, layers):
        super().__init__()
        self.visual_feature_normalizer = nn.LayerNorm(dim)
        self.refinement_blocks = nn.ModuleList(PromptBlock(dim, heads) for _ in range(layers))
        self.prompt_scaling_factor = nn.Parameter(torch.zeros(dim))

    def forward(self, text, visual):  # [K, D], [B, M, D] -> [B, K, D]
        text = text.expand(len(visual), -1, -1)
        visual = self.visual_feature_normalizer(visual)
        refined = text
        for block in self.refinement_blocks:
            refined = block(refined, visual)
        return text + self.prompt_scaling_factor * refined


class EmotionTransformer(nn.Module):
    def __init__(self, gestures, emotions, dim, hidden, layers, heads, positions, pre_norm):
        super().__init__()
        self.embedding, self.position_embedding = nn.Embedding(gestures + 2, dim), nn.Embedding(positions, dim)
        layer = nn.TransformerEncoderLayer(dim, heads, hidden, dropout=0, batch_first=True, norm_first=pre_norm)
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(dim) if pre_norm else None,
                                             enable_nested_tensor=False)
        self.classifier = nn.Linear(dim, emotions)
        self.gestures = gestures

    def fill(self):
        """The packed projection takes its three parts' values."""
        fill(self)
        for i, layer in enumerate(self.encoder.layers):
            dim = layer.self_attn.embed_dim
            for kind, shape in (("weight", (dim, dim)), ("bias", (dim,))):
                parts = [parameter(f"encoder.layers.{i}.self_attn.{p}_proj.{kind}", shape) for p in "qkv"]
                getattr(layer.self_attn, f"in_proj_{kind}").data.copy_(torch.cat(parts))
        return self

    def forward(self, sequences):
        longest = max(map(len, sequences)) + 1
        rows = [[self.gestures, *s] + [self.gestures + 1] * (longest - 1 - len(s)) for s in sequences]
        ids = torch.tensor(rows)
        x = self.embedding(ids) + self.position_embedding(torch.arange(longest))
        return self.classifier(self.encoder(x, src_key_padding_mask=ids == self.gestures + 1)[:, 0])


def distilbert(vocabulary, positions, dim, hidden, layers, heads):
    config = transformers.DistilBertConfig(
        vocab_size=vocabulary, max_position_embeddings=positions, dim=dim, hidden_dim=hidden, n_layers=layers,
        n_heads=heads, dropout=0, attention_dropout=0, attn_implementation="eager")
    return transformers.DistilBertModel(config)


TEXTS = [[2, 7, 11, 5, 13, 19, 3], [2, 40, 8, 3], [2], [2, 23, 3]]


def padded(texts):
    longest = max(map(len, texts))
    ids = torch.tensor([t + [0] * (longest - len(t)) for t in texts])
    return {"input_ids": ids, "attention_mask": torch.tensor([[1] * len(t) + [0] * (longest - len(t)) for t in texts])}


class ContrastiveModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.image_encoder = R2Plus1d(8, (1, 1, 1, 1))
        self.text_encoder = nn.Module()
        self.text_encoder.model = distilbert(50, 16, 32, 64, 2, 4)
        self.image_projection, self.text_projection = ProjectionHead(64, 32), ProjectionHead(32, 32)
        self.prompt_generator = AdaptivePrompting(32, 1, 1)

    def loss(self, frames, texts, labels):
        features = self.image_encoder(frames)
        v = nn.functional.normalize(self.image_projection(features.mean((1, 2, 3))), dim=-1)
        t = self.text_projection(self.text_encoder.model(**texts).last_hidden_state[:, 0])
        t = nn.functional.normalize(self.prompt_generator(t, self.image_projection(features.flatten(1, 3))), dim=-1)
        s = torch.einsum("id,ikd->ik", v, t)[:, labels] / 0.05  # pairs x pairs
        target = (10 * (labels[:, None] == labels[None]).double()).softmax(1)

        def kl(logits):
            return (target * (target.log() - logits.log_softmax(1))).sum(1).mean()

        return s, (kl(s) + kl(s.T)) / 2


def make_models():
    cases = {}
    frames = tensor("frames", 2, 16, 64, 64, 3)
    net = fill(R2Plus1d(16)).eval()
    with torch.no_grad():
        cases["r2plus1d eval"] = stored(net(frames))
        net.train()
        cases["r2plus1d train"] = stored(net(frames))
        state = net.state_dict()
        for name in ("stem.1", "stem.4", "layer1.0.conv1.0.1", "layer2.0.downsample.1", "layer4.1.conv2.1"):
            for kind in ("running_mean", "running_var"):
                cases[f"r2plus1d {name}.{kind}"] = stored(state[f"{name}.{kind}"])
        full = fill(resnet.r2plus1d_18(weights=None)).eval()
        x = tensor("frames", 1, 8, 32, 32, 3).permute(0, 4, 1, 2, 3)
        x = full.layer4(full.layer3(full.layer2(full.layer1(full.stem(x)))))
        cases["r2plus1d full"] = stored(x.permute(0, 2, 3, 4, 1))

        bert = fill(distilbert(50, 16, 32, 64, 2, 4)).eval()
        inputs = padded(TEXTS)
        mask = inputs["attention_mask"][:, :, None]
        for i, hidden in enumerate(bert(**inputs, output_hidden_states=True).hidden_states):
            cases[f"distilbert hidden {i}"] = stored(hidden * mask)
        cases["distilbert mean"] = stored((hidden * mask).sum(1) / mask.sum(1))

        cases["projection head"] = stored(fill(ProjectionHead(48, 24))(tensor("x", 5, 48)))
        prompting = fill(AdaptivePrompting(128, 2, 2))
        cases["adaptive prompting"] = stored(prompting(tensor("text", 3, 128), tensor("visual", 2, 5, 128)))
        classifier = fill(nn.Sequential())
        classifier.fc1, classifier.gelu, classifier.fc2 = nn.Linear(24, 17), nn.GELU(), nn.Linear(17, 5)
        cases["classifier"] = stored(fill(classifier)(tensor("x", 4, 24)))
        for pre_norm in (True, False):
            emotion = EmotionTransformer(11, 2, 32, 48, 3, 4, 9, pre_norm).fill().eval()
            cases["emotion pre-norm" if pre_norm else "emotion post-norm"] = stored(
                emotion([[1, 10, 3, 3, 7], [], [0, 2, 5]]))

    model = fill(ContrastiveModel()).train()
    logits, loss = model.loss(tensor("frames", 5, 8, 32, 32, 3), padded(TEXTS), torch.tensor([0, 3, 1, 2, 1]))
    loss.backward()
    cases["contrastive logits"] = stored(logits)
    cases["contrastive loss"] = stored(loss.reshape(1))
    for name, p in model.named_parameters():
        if not name.endswith("k_lin.bias"):  # zero but for rounding: softmax does not see it
            cases["contrastive gradient " + name] = stored(p.grad, 12)
    write("models.json", {"versions": VERSIONS, "cases": cases})


POOLS = {
    "ascii": [(0x20, 0x7E)], "latin": [(0xA1, 0x17F), (0x1E00, 0x1EFF)], "marks": [(0x61, 0x7A), (0x300, 0x36F)],
    "greek": [(0x391, 0x3A1), (0x3A3, 0x3CE), (0x1F00, 0x1F15)], "cyrillic": [(0x400, 0x45F)],
    "hebrew": [(0x5D0, 0x5EA), (0x5B0, 0x5BD)], "arabic": [(0x620, 0x655)], "devanagari": [(0x904, 0x94D)],
    "thai": [(0xE01, 0xE3A), (0xE40, 0xE4E)], "hangul": [(0xAC00, 0xD7A3)], "kana": [(0x3041, 0x3096), (0x30A1, 0x30FA)],
    "cjk": [(0x4E00, 0x9FFF), (0x3400, 0x34FF), (0x20000, 0x20100), (0xF900, 0xF9FF)],
    "emoji": [(0x1F600, 0x1F64F), (0x1F466, 0x1F469), (0x200D, 0x200D), (0xFE0F, 0xFE0F), (0x1F3FB, 0x1F3FF)],
    "punctuation": [(0x2010, 0x2027), (0x2030, 0x205E), (0x3001, 0x3011)], "symbols": [(0x20A0, 0x20BF), (0x2190, 0x22FF)],
    "space": [(0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x2000, 0x200A), (0x2028, 0x202F), (0x3000, 0x3000)],
    "control": [(0x00, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x200B, 0x200F), (0xE000, 0xE010), (0xFEFF, 0xFEFF), (0xFFFD, 0xFFFD)],
    "fullwidth": [(0xFF01, 0xFF5E)], "math": [(0x1D400, 0x1D433)],
}
WRITTEN = [
    "", " ", "Touching or scratching head", "Playing with jewelry, and manipulating other objects",
    "Turtle neck", "a\u0301 e\u0300 \u00e9\u00c9 \u0130stanbul STRASSE stra\u00dfe \ufb01n", "\u4f60\u597d\u4e16\u754c hello\u4e16",
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u0160koda", "don't can't it's", "e-mail@example.com $5.00 50% #tag [x] {y} ~a`b^c_d|e",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family", "tab\tnew\nline\rreturn", "nul\x00byte bell\x07 soft\u00adhyphen",
    "a" * 100, "a" * 101, "b" * 250 + " tail", "\u00e9" * 100, "\u00e9" * 101, "supercalifragilisticexpialidocious", "1234567890 3.14",
    "\u0e44\u0e17\u0e22 \u0939\u093f\u0928\u094d\u0926\u0940 \ud55c\uad6d\uc5b4", "...!!!???", "\u201cquoted\u201d \u2014 dash\u2026", "UPPER lower MiXeD",
    "word " * 150, "\u03a3\u0391\u03a3 \u03c3\u03b1\u03c2", "\ufeffbom", "x\u200by zero width", "\u1e9e \u01c5 \u01f1",
]


def make_wordpiece():
    generator = random.Random(7)
    texts = list(WRITTEN)
    pools = [[chr(c) for first, last in ranges for c in range(first, last + 1)] for ranges in POOLS.values()]
    for i in range(300):
        mix = [pools[i % len(pools)]] if i < 3 * len(pools) else generator.sample(pools, 3) + [pools[0]]
        words = ["".join(generator.choice(generator.choice(mix)) for _ in range(generator.randint(1, 9)))
                 for _ in range(generator.randint(1, 6))]
        texts.append(" ".join(words))
    letters = [chr(c) for c in range(97, 123)] + list("0123456789.,-'") + ["\u4f60", "\u03c3", "\u0e44", "\u1112", "\u1161"]
    small = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters),
             "touch", "##ing", "head", "scratch", "or", "##tle", "tur", "neck", "##na", "cafe", "##ss", "he", "##ll", "##llo"]
    bert_file = pathlib.Path(os.environ["MG_DATA_DIR"]) / "text/bert-base-uncased-vocab.txt"
    bert = bert_file.read_text(encoding="utf-8").split("\n")[:-1]
    ids = {}
    for name, vocabulary in (("small", small), ("bert", bert)):
        tokenizer = transformers.BertTokenizer(vocab={token: i for i, token in enumerate(vocabulary)})
        assert tokenizer.vocab_size == len(vocabulary), (tokenizer.vocab_size, len(vocabulary))
        ids[name] = [tokenizer(text, truncation=True, max_length=200)["input_ids"] for text in texts]
    cases = [{"text": t, "small": s, "bert": b} for t, s, b in zip(texts, ids["small"], ids["bert"])]
    write("wordpiece.json", {"versions": VERSIONS, "max_length": 200, "small_vocabulary": small, "cases": cases})


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["models", "wordpiece"]
    if "models" in wanted:
        make_models()
    if "wordpiece" in wanted:
        make_wordpiece()
