"""models.json: each network by itself, small, in fp64."""
import torch
from networks import (AdaptivePrompting, Classifier, EmotionTransformer, ProjectionHead, R2Plus1d, distilbert, padded)
from shared import VERSIONS, fill, stored, tensor, write
from torch import nn
from torchvision.models.video import resnet

TEXTS = [[2, 7, 11, 5, 13, 19, 3], [2, 40, 8, 3], [2], [2, 23, 3]]


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


def make():
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
        cases["classifier"] = stored(fill(Classifier(24, 17, 5))(tensor("x", 4, 24)))
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
