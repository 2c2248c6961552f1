"""The heads' losses and predictions as their papers write them: loops over samples, dimensions and ranks, plain floats.

Outputs and labels are lists of rows; `centres` holds one list of bin centres a dimension.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Rows = list[list[float]]


def centres_of(low: float, step: float, count: int) -> list[float]:
    return [low + k * step for k in range(count)]


def nearest(label: float, centres: list[float]) -> int:
    """Index of the centre nearest to the label; of two equally near, the upper one."""
    best = 0
    for k, centre in enumerate(centres):
        if abs(label - centre) <= abs(label - centres[best]):
            best = k
    return best


def inside(label: float, centres: list[float]) -> float:
    return min(max(label, centres[0]), centres[-1])


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def softmax(logits: list[float]) -> list[float]:
    total = sum(math.exp(logit) for logit in logits)
    return [math.exp(logit) / total for logit in logits]


def expectation(logits: list[float], centres: list[float]) -> float:
    return sum(p * centre for p, centre in zip(softmax(logits), centres, strict=True))


def split(row: list[float], widths: list[int]) -> Rows:
    """The part of a row that belongs to each dimension."""
    parts, start = [], 0
    for width in widths:
        parts.append(row[start : start + width])
        start += width
    assert start == len(row)
    return parts


def absolute(error: float) -> float:
    return abs(error)


def square(error: float) -> float:
    return error * error


def huber(delta: float) -> Callable[[float], float]:
    return lambda error: error * error / 2 if abs(error) <= delta else delta * abs(error) - delta * delta / 2


def point_loss(outputs: Rows, labels: Rows, error: Callable[[float], float], weight: list[float]) -> float:
    total = 0.0
    for row, label, factor in zip(outputs, labels, weight, strict=True):
        total += factor * sum(error(a - b) for a, b in zip(row, label, strict=True)) / len(row)
    return total / len(outputs)


def dex(logits: list[float], label: float, centres: list[float]) -> float:
    return -math.log(softmax(logits)[nearest(label, centres)])


def l2cs(logits: list[float], label: float, centres: list[float]) -> float:
    return dex(logits, label, centres) + square(expectation(logits, centres) - inside(label, centres))


def gaussian(label: float, centres: list[float], sigma: float) -> list[float]:
    """The label's distribution over the grid; sigma in bins."""
    width = sigma * (centres[1] - centres[0])
    return softmax([-((centre - inside(label, centres)) ** 2) / (2 * width**2) for centre in centres])


def dldl(sigma: float, expectation_weight: float, error: Callable[[float], float] = absolute) -> Callable[..., float]:
    def sample_loss(logits: list[float], label: float, centres: list[float]) -> float:
        p, q = gaussian(label, centres, sigma), softmax(logits)
        divergence = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
        return divergence + expectation_weight * error(expectation(logits, centres) - inside(label, centres))

    return sample_loss


def expectation_loss(
    outputs: Rows, labels: Rows, centres: Rows, sample_loss: Callable[..., float], weight: list[float]
) -> float:
    total = 0.0
    for row, label, factor in zip(outputs, labels, weight, strict=True):
        for d, logits in enumerate(split(row, [len(c) for c in centres])):
            total += factor * sample_loss(logits, label[d], centres[d])
    return total / len(outputs) / len(centres)


def ordinal_loss(
    outputs: Rows,
    labels: Rows,
    centres: Rows,
    weight: list[float],
    conditional: bool,
    task_weights: Rows | None = None,
) -> float:
    """OR: the sum over all tasks, a sample. CORN: the mean over all pairs of a task and a sample that it is put to."""
    result = 0.0
    for d in range(len(centres)):
        total, asked = 0.0, 0
        for row, label, factor in zip(outputs, labels, weight, strict=True):
            rank = nearest(label[d], centres[d])
            for t, logit in enumerate(split(row, [len(c) - 1 for c in centres])[d]):
                if conditional and not rank > t - 1:
                    continue
                asked += 1
                p = sigmoid(logit)
                task_weight = 1.0 if task_weights is None else task_weights[d][t]
                total += -factor * task_weight * math.log(p if rank > t else 1 - p)
        result += total / (asked if conditional else len(outputs))
    return result / len(centres)


def above(logits: list[float], conditional: bool) -> list[float]:
    """P(y > r_t) for every threshold."""
    probabilities, product = [], 1.0
    for logit in logits:
        product = product * sigmoid(logit) if conditional else sigmoid(logit)
        probabilities.append(product)
    return probabilities


def ordinal_decode(row: list[float], centres: Rows, conditional: bool, expected: bool = False) -> list[float]:
    prediction = []
    for logits, grid in zip(split(row, [len(c) - 1 for c in centres]), centres, strict=True):
        probabilities = above(logits, conditional)
        rank = sum(probabilities) if expected else len([p for p in probabilities if p > 0.5])
        prediction.append(grid[0] + rank * (grid[1] - grid[0]))
    return prediction


def gradient(loss: Callable[[Rows], float], outputs: Rows, step: float = 1e-5) -> Tensor:
    """By central differences."""
    result = torch.zeros(len(outputs), len(outputs[0]), dtype=torch.float64)
    for i, row in enumerate(outputs):
        for j, value in enumerate(row):
            ends = []
            for end in (value - step, value + step):
                row[j] = end
                ends.append(loss(outputs))
            row[j] = value
            result[i, j] = (ends[1] - ends[0]) / (2 * step)
    return result


def assert_loss_is(
    head: nn.Module,
    reference: Callable[[Rows, Rows, list[float]], float],
    outputs: Tensor,
    labels: Tensor,
    weight: Tensor | None = None,
) -> None:
    """The head's loss (float64) and its gradient equal a reference's, called with outputs, labels and weights."""
    leaf = outputs.detach().clone().requires_grad_()
    loss = head.loss(leaf, labels, weight)
    loss.backward()
    factors = [1.0] * len(labels) if weight is None else weight.tolist()
    rows = labels.tolist()
    expected = reference(outputs.tolist(), rows, factors)
    torch.testing.assert_close(loss.item(), expected, rtol=1e-10, atol=1e-12)
    slopes = gradient(lambda changed: reference(changed, rows, factors), outputs.tolist())
    torch.testing.assert_close(leaf.grad, slopes, rtol=1e-6, atol=1e-8)
