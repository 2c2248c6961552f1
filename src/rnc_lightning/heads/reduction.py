"""What the losses of all heads share: they reduce each sample first, so that weights apply to any of them."""

from torch import Tensor


def check_rows(outputs: Tensor, target: Tensor) -> None:
    """Refuse a target with another number of samples, since one row would broadcast in silence.

    Raises:
        ValueError: With both shapes.
    """
    if len(outputs) != len(target):
        raise ValueError(f"target {tuple(target.shape)} must have as many rows as outputs {tuple(outputs.shape)}")


def check_shape(outputs: Tensor, target: Tensor) -> None:
    """Refuse a target of another shape, since it would broadcast in silence.

    Raises:
        ValueError: With both shapes.
    """
    if outputs.shape != target.shape:
        raise ValueError(f"target {tuple(target.shape)} must have the shape of outputs {tuple(outputs.shape)}")


def batch_mean(per_sample: Tensor, weight: Tensor | None) -> Tensor:
    """Mean over the batch of the samples' losses (B,), each times its weight (B,).

    Raises:
        ValueError: Where the weights are not (B,), since they would broadcast in silence.
    """
    if weight is None:
        return per_sample.mean()
    if weight.shape != per_sample.shape:
        raise ValueError(f"weight must be ({len(per_sample)},), one factor a sample, got {tuple(weight.shape)}")
    return (weight * per_sample).mean()
