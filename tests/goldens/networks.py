"""The networks in PyTorch: from torchvision and transformers where they have them, else written after the paper and
the facts that its authors' code states."""
import math

import torch
import transformers
from shared import fill, parameter
from torch import nn
from torchvision.models.video import resnet


class MatrixConvolution(torch.autograd.Function):
    """A convolution without bias as a product of matrices [positions, taps * C] and [taps * C, K]."""

    @staticmethod
    def taps(x, weight, stride, padding):
        """What each tap of the kernel sees of the padded x [N T H W C], and the extents of the output."""
        kernel = weight.shape[2:]
        extents = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(x.shape[1:4], padding, kernel, stride)]
        (st, sh, sw), (t, h, w) = stride, extents
        return [(slice(None), slice(a, a + st * t, st), slice(b, b + sh * h, sh), slice(c, c + sw * w, sw))
                for a in range(kernel[0]) for b in range(kernel[1]) for c in range(kernel[2])], extents

    @staticmethod
    def padded(x, padding):
        pt, ph, pw = padding
        return nn.functional.pad(x, (0, 0, pw, pw, ph, ph, pt, pt))

    @staticmethod
    def columns(x, taps, padding):
        x = MatrixConvolution.padded(x, padding)
        return torch.cat([x[tap] for tap in taps], -1).flatten(0, 3)

    @staticmethod
    def forward(ctx, x, weight, stride, padding):
        x = x.permute(0, 2, 3, 4, 1)
        taps, extents = MatrixConvolution.taps(x, weight, stride, padding)
        ctx.save_for_backward(x, weight)
        ctx.taps, ctx.padding = taps, padding
        y = MatrixConvolution.columns(x, taps, padding) @ weight.permute(2, 3, 4, 1, 0).flatten(0, 3)
        return y.view(len(x), *extents, len(weight)).permute(0, 4, 1, 2, 3)

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        dy = dy.permute(0, 2, 3, 4, 1).reshape(-1, len(weight))
        dw = MatrixConvolution.columns(x, ctx.taps, ctx.padding).T @ dy
        dw = dw.view(*weight.shape[2:], weight.shape[1], len(weight)).permute(4, 3, 0, 1, 2)
        if not ctx.needs_input_grad[0]:
            return None, dw, None, None
        dx = torch.zeros_like(MatrixConvolution.padded(x, ctx.padding))
        for i, tap in enumerate(ctx.taps):
            seen = dx[tap]
            seen += (dy @ weight.flatten(2)[:, :, i]).view(seen.shape)
        (pt, ph, pw), (t, h, w) = ctx.padding, x.shape[1:4]
        return dx[:, pt:pt + t, ph:ph + h, pw:pw + w].permute(0, 4, 1, 2, 3), dw, None, None


class MatrixConv3d(nn.Conv3d):
    """In fp64, where PyTorch's own convolution is very slow; in fp32 where always is set."""

    always = False

    def forward(self, x):  # N C T H W
        if self.weight.dtype != torch.float64 and not self.always:
            return super().forward(x)
        return MatrixConvolution.apply(x, self.weight, self.stride, self.padding)


def with_matrix_convolutions(module):
    for child in module.modules():
        if type(child) is nn.Conv3d:
            child.__class__ = MatrixConv3d
    return module


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

    def forward(self, text, visual):  # [B, K, D], [B, M, D] -> [B, K, D]
        visual = self.visual_feature_normalizer(visual)
        refined = text
        for block in self.refinement_blocks:
            refined = block(refined, visual)
        return text + self.prompt_scaling_factor * refined


class PaperBlock(nn.Module):
    """Eq. 1-2: att = t + softmax(QK^T / sqrt(d)) V without biases, norms or output projection; att + FFN(att)."""

    def __init__(self, dim, heads):
        super().__init__()
        self.cross_attention = CrossAttention(dim, heads)
        self.cross_attention.output_projection = nn.Identity()
        self.feed_forward_net = nn.Sequential(nn.Linear(dim, 4 * dim), QuickGelu(), nn.Dropout(0), nn.Linear(4 * dim, dim))

    def forward(self, text, visual):
        text = text + self.cross_attention(text, visual)
        return text + self.feed_forward_net(text)


class PaperPrompting(nn.Module):
    def __init__(self, dim, heads, layers):
        super().__init__()
        self.refinement_blocks = nn.ModuleList(PaperBlock(dim, heads) for _ in range(layers))
        self.prompt_scaling_factor = nn.Parameter(torch.zeros(1))

    def forward(self, text, visual):
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

    def fill(self, dtype=torch.float64):
        """The packed projection takes its three parts' values."""
        fill(self, dtype)
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


class Mlp2Classifier(nn.Module):
    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(inputs, hidden), nn.Linear(hidden, classes)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class TiedClassifier(nn.Module):
    """The authors' head (ProjectionHead2): fc is used twice."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.projection, self.fc = nn.Linear(inputs, classes), nn.Linear(classes, classes)
        self.layer_norm = nn.LayerNorm(classes)

    def forward(self, x):
        projected = self.projection(x)
        return self.fc(self.layer_norm(self.fc(nn.functional.gelu(projected)) + projected))


class LinearClassifier(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        return self.fc(x)


def distilbert(vocabulary, positions, dim, hidden, layers, heads):
    config = transformers.DistilBertConfig(
        vocab_size=vocabulary, max_position_embeddings=positions, dim=dim, hidden_dim=hidden, n_layers=layers,
        n_heads=heads, dropout=0, attention_dropout=0, attn_implementation="eager")
    return transformers.DistilBertModel(config)


def bert(vocabulary, positions, dim, hidden, layers, heads):
    config = transformers.BertConfig(
        vocab_size=vocabulary, max_position_embeddings=positions, hidden_size=dim, intermediate_size=hidden,
        num_hidden_layers=layers, num_attention_heads=heads, hidden_dropout_prob=0, attention_probs_dropout_prob=0,
        attn_implementation="eager")
    return transformers.BertModel(config, add_pooling_layer=False)


def padded(texts):
    longest = max(map(len, texts))
    ids = torch.tensor([t + [0] * (longest - len(t)) for t in texts])
    return {"input_ids": ids, "attention_mask": torch.tensor([[1] * len(t) + [0] * (longest - len(t)) for t in texts])}
