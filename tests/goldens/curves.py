"""curves.json: 50 steps of training the second and the third stage's networks, without dropout, rows (k * 97) mod n:
the losses in fp64, and how far PyTorch's own fp32 is from them."""
import torch
from networks import EmotionTransformer, LinearClassifier, Mlp2Classifier, TiedClassifier
from shared import VERSIONS, curve, fill, hashed_integers, tensor, write
from torch import nn

STEPS, BATCH = 50, 8
GESTURES, EMOTIONS, VIDEOS, LONGEST = 11, 3, 64, 20
CLIPS, INPUTS, CLASSES = 60, 24, 5


def rows_of(step, count):
    return [(step * BATCH + j) * 97 % count for j in range(BATCH)]


def train(net, loss_of, lr, decay, max_norm=0.0):
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=decay)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(step)
        loss.backward()
        if max_norm > 0:
            nn.utils.clip_grad_norm_(net.parameters(), max_norm)
        optimizer.step()
        losses.append(loss.item())
    return losses


def emotion(pre_norm, dtype):
    net = EmotionTransformer(GESTURES, EMOTIONS, 32, 64, 3, 4, LONGEST + 1, pre_norm).fill(dtype).train()
    lengths = hashed_integers("emotion lengths", VIDEOS, LONGEST + 1)
    videos = [hashed_integers(f"emotion {i}", LONGEST, GESTURES)[:length] for i, length in enumerate(lengths)]
    labels = [sum(gestures) % EMOTIONS for gestures in videos]

    def loss(step):
        rows = rows_of(step, VIDEOS)
        return nn.functional.cross_entropy(net([videos[r] for r in rows]), torch.tensor([labels[r] for r in rows]))

    return train(net, loss, 1e-3, 1e-2, 1.0)


def classifier(net, dtype):
    net = fill(net, dtype).train()
    x = tensor("embeddings", CLIPS, INPUTS, dtype=torch.float32)
    labels = torch.tensor(hashed_integers("classes", CLIPS, CLASSES))
    x[torch.arange(CLIPS), labels] += 1  # something to learn
    x = x.to(dtype)

    def loss(step):
        rows = rows_of(step, CLIPS)
        return nn.functional.cross_entropy(net(x[rows]), labels[rows], label_smoothing=0.1)

    return train(net, loss, 1e-2, 1e-3)


def both(run):
    return curve(run(torch.float64), run(torch.float32))


def make():
    heads = {"mlp2": lambda: Mlp2Classifier(INPUTS, 17, CLASSES), "authors_tied": lambda: TiedClassifier(INPUTS, CLASSES),
             "linear": lambda: LinearClassifier(INPUTS, CLASSES)}
    curves = {"emotion pre-norm": both(lambda dtype: emotion(True, dtype)),
              "emotion post-norm": both(lambda dtype: emotion(False, dtype))}
    for name, head in heads.items():
        curves["classifier " + name] = both(lambda dtype: classifier(head(), dtype))
    for name, found in curves.items():
        print(name, found["losses"][::7], found["fp32_distance"][::7])
    write("curves.json", {"versions": VERSIONS, "curves": curves})
