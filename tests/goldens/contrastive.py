"""The first stage's model and loss in PyTorch, in all kinds of prompting."""
import torch
from networks import AdaptivePrompting, PaperPrompting, ProjectionHead, R2Plus1d, bert, distilbert, with_matrix_convolutions
from torch import nn

TEMPERATURE, LABEL_SCALE = 0.05, 10


class ContrastiveModel(nn.Module):
    """sizes: width, blocks, vocabulary, positions, dim, hidden, layers, heads, embedding. tokens: pooled, batch or
    spatiotemporal. condition: who prompts text j beside clip i: clip i (each), or clip j (own)."""

    def __init__(self, sizes, text="distilbert", prompt="none", tokens="spatiotemporal", condition="each"):
        super().__init__()
        self.image_encoder = with_matrix_convolutions(R2Plus1d(sizes["width"], sizes["blocks"]))
        self.text_encoder = nn.Module()
        self.text_encoder.model = {"distilbert": distilbert, "bert": bert}[text](
            *(sizes[name] for name in ("vocabulary", "positions", "dim", "hidden", "layers", "heads")))
        embedding = sizes["embedding"]
        self.image_projection = ProjectionHead(8 * sizes["width"], embedding)
        self.text_projection = ProjectionHead(sizes["dim"], embedding)
        if prompt != "none":
            kind = AdaptivePrompting if prompt == "xclip" else PaperPrompting
            self.prompt_generator = kind(embedding, max(1, embedding // 64), 1)
        self.prompt, self.tokens, self.condition = prompt, tokens, condition

    def texts(self, t, labels, v, features):
        """-> [B, K, D] or [K, D]; for the condition own [B, D]."""
        own = self.condition == "own"
        t = t[labels] if own else t
        if self.prompt == "none":
            return t
        if self.tokens == "batch":
            return self.prompt_generator(t[None], v[None])[0]
        visual = v[:, None] if self.tokens == "pooled" else self.image_projection(features.flatten(1, 3))
        prompted = self.prompt_generator(t[:, None] if own else t.expand(len(v), -1, -1), visual)
        return prompted[:, 0] if own else prompted

    def loss(self, frames, tokens, labels):
        features = self.image_encoder(frames)
        v = self.image_projection(features.mean((1, 2, 3)))
        t = self.text_projection(self.text_encoder.model(**tokens).last_hidden_state[:, 0])
        t = nn.functional.normalize(self.texts(t, labels, v, features), dim=-1)
        v = nn.functional.normalize(v, dim=-1)
        s = torch.einsum("id,ikd->ik", v, t) if t.dim() == 3 else v @ t.T
        if self.condition == "each":
            s = s[:, labels]
        s = s / TEMPERATURE  # pairs x pairs
        target = (LABEL_SCALE * (labels[:, None] == labels[None]).to(s.dtype)).softmax(1)

        def kl(logits):
            return (target * (target.log() - logits.log_softmax(1))).sum(1).mean()

        return (kl(s) + kl(s.T)) / 2
