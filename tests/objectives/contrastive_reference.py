"""Slow, obvious contrastive losses: loops over rows, one number at a time."""

import math

import torch
from torch import Tensor


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt())


def supcon(projections: Tensor, classes: list[int], temperature: float) -> Tensor:
    """(B, V, P) and a class for each sample; anchors without a positive are left out."""
    rows = [view for sample in projections for view in sample]
    labels = [label for label, sample in zip(classes, projections, strict=True) for _ in sample]
    losses = []
    for i, anchor in enumerate(rows):
        scores = {k: cosine(anchor, row) / temperature for k, row in enumerate(rows) if k != i}
        positives = [k for k in scores if labels[k] == labels[i]]
        if not positives:
            continue
        everything = torch.stack(list(scores.values())).exp().sum()
        losses.append(-sum(torch.log(scores[p].exp() / everything) for p in positives) / len(positives))
    return sum(losses) / len(losses) if losses else projections.sum() * 0


def supremix(projections: Tensor, labels: list[float], temperature: float, window: float, mixing: Tensor) -> Tensor:
    """(N, P), a label for each row, and the anchors' shares in their mix-negatives (N, N)."""
    rows = projections / projections.square().sum(dim=1, keepdim=True).sqrt()
    everyone = range(len(rows))
    losses = []
    for i in everyone:
        terms, positives = [], []
        for k in everyone:
            if k == i:
                continue
            score = cosine(rows[i], rows[k]) / temperature
            terms.append((abs(labels[i] - labels[k]) + 1) * score.exp())
            if labels[k] == labels[i]:
                positives.append(score)
                continue
            a = mixing[i, k]
            mixture = (a * rows[i] + (1 - a) * rows[k]).detach()
            mixed_label = a * labels[i] + (1 - a) * labels[k]
            score = cosine(rows[i], mixture) / temperature
            terms.append((abs(labels[i] - mixed_label) + 1) * score.exp())
        for j in everyone:
            for k in everyone:
                if not labels[j] < labels[i] < labels[k]:
                    continue
                if labels[i] - labels[j] > window or labels[k] - labels[i] > window:
                    continue
                a = (labels[k] - labels[i]) / (labels[k] - labels[j])
                score = cosine(rows[i], (a * rows[j] + (1 - a) * rows[k]).detach()) / temperature
                terms.append(score.exp())
                positives.append(score)
        if positives:
            losses.append(torch.log(torch.stack(terms).sum()) - torch.stack(positives).mean())
    return sum(losses) / len(losses) if losses else projections.sum() * 0


def value_and_gradient(loss: Tensor, leaf: Tensor) -> tuple[float, Tensor]:
    (gradient,) = torch.autograd.grad(loss, leaf)
    assert math.isfinite(float(loss))
    return float(loss), gradient
