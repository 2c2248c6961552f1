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
) -> Tensor:
    """The loss of features (B, V, F) or (N, F), differentiable."""
    views = features.shape[1] if features.dim() == 3 else 1
    rows = features.double().reshape(-1, features.shape[-1])
    n = len(rows)
    s = similarities(rows, similarity) / temperature
    d = label_distances(targets, views, target_distance)
    total = s.new_zeros(())
    for i in range(n):
        for j in range(n):
            if j == i:
                continue
            members = [k for k in range(n) if k != i and d[i][k] >= d[i][j] - tie_tolerance]
            total = total + torch.logsumexp(s[i, members], 0) - s[i, j]
    return total / (n * (n - 1))


def naive_value_and_gradient(features: Tensor, targets: Tensor, **settings) -> tuple[Tensor, Tensor]:
    leaf = features.detach().double().requires_grad_()
    loss = naive_loss(leaf, targets, **settings)
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), gradient


def naive_floor(targets: Tensor, views: int = 1, target_distance: str = "l1") -> float:
    """L* from its formula, by counting."""
    d = label_distances(targets, views, target_distance)
    n, total = len(d), 0.0
    for i in range(n):
        others = [d[i][j] for j in range(n) if j != i]
        total += sum(others.count(value) * math.log(others.count(value)) for value in set(others))
    return total / (n * (n - 1))
