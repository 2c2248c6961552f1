"""The Rank-N-Contrast loss as the paper writes it: three nested loops, float64, in the log domain."""

import math

import torch
from torch import Tensor


def similarities(features: Tensor, name: str) -> Tensor:
    """All similarities (n, n), from differences, with gradient 0 where two rows coincide."""
    if name == "cosine":
        lengths = [row.norm() for row in features]
        rows = [row / length if length > 0 else row * 0 for row, length in zip(features, lengths, strict=True)]
        return torch.stack([torch.stack([a @ b for b in rows]) for a in rows])
    order = {"negative_l1": 1, "negative_l2": 2}[name]
    return torch.stack([torch.stack([-torch.linalg.vector_norm(a - b, ord=order) for b in features]) for a in features])


def label_distance(a: list[float], b: list[float], name: str) -> float:
    if name == "l1":
        return sum(abs(x - y) for x, y in zip(a, b, strict=True))
    if name == "l2":
        return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))
    scale = math.pi / 180 if name == "angular_degrees" else 1.0
    (p, y), (q, z) = [scale * x for x in a], [scale * x for x in b]
    if (p, y) == (q, z):
        return 0.0
    cosine = math.sin(p) * math.sin(q) + math.cos(p) * math.cos(q) * math.cos(y - z)
    return math.acos(max(-1.0, min(1.0, cosine))) / scale


def label_distances(targets: Tensor, views: int, name: str) -> list[list[float]]:
    """All distances between the rows, each sample repeated for its views."""
    flat = targets.double().reshape(len(targets), -1).repeat_interleave(views, 0).tolist()
    return [[label_distance(a, b, name) for b in flat] for a in flat]


def naive_loss(
    features: Tensor,
    targets: Tensor,
    temperature: float = 2.0,
    similarity: str = "negative_l2",
    target_distance: str = "l1",
    tie_tolerance: float = 0.0,
    positives: int | None = None,
) -> Tensor:
    """The loss of features (B, V, F) or (N, F), differentiable."""
    views = features.shape[1] if features.dim() == 3 else 1
    rows = features.double().reshape(-1, features.shape[-1])
    n = len(rows)
    s = similarities(rows, similarity) / temperature
    d = label_distances(targets, views, target_distance)
    total = s.new_zeros(())
    for i in range(n):
        weights = positive_weights(d[i], i, tie_tolerance, positives)
        for j in range(n):
            if j == i or weights[j] == 0:
                continue
            members = [k for k in range(n) if k != i and d[i][k] >= d[i][j] - tie_tolerance]
            total = total + weights[j] * (torch.logsumexp(s[i, members], 0) - s[i, j])
    return total / (n * min(positives or n - 1, n - 1))


def positive_weights(distances: list[float], i: int, tie_tolerance: float, positives: int | None) -> list[float]:
    """What each row counts as a positive of row i: those nearest count 1, ties at the K-th place share the rest."""
    others = [j for j in range(len(distances)) if j != i]
    # With a tolerance rows tie that reach down to the same distance; the anchor's own is 0.
    reached = {j: min(d for d in [0.0, *distances] if d >= distances[j] - tie_tolerance) for j in others}
    weights = [0.0] * len(distances)
    for j in others:
        nearer = sum(reached[k] < reached[j] for k in others)
        tied = sum(reached[k] == reached[j] for k in others)
        left = (len(others) if positives is None else positives) - nearer
        weights[j] = max(0.0, min(1.0, left / tied))
    return weights


def naive_value_and_gradient(features: Tensor, targets: Tensor, **settings) -> tuple[Tensor, Tensor]:
    leaf = features.detach().double().requires_grad_()
    loss = naive_loss(leaf, targets, **settings)
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), gradient


def naive_floor(targets: Tensor, views: int = 1, target_distance: str = "l1", positives: int | None = None) -> float:
    """L* from its formula, by counting."""
    d = label_distances(targets, views, target_distance)
    n, total = len(d), 0.0
    for i in range(n):
        others = [d[i][j] for j in range(n) if j != i]
        left = float(min(positives or n - 1, n - 1))
        for value in sorted(set(others)):
            counted = min(left, others.count(value))
            total += counted * math.log(others.count(value))
            left -= counted
    return total / (n * min(positives or n - 1, n - 1))
