"""An encoder's features for a batch whose activations do not fit into memory at once.

An objective that compares all samples of a batch, as RnC does, cannot be put together from smaller batches: gradient
accumulation leaves out every pair across them. What can be divided is the encoder. A first pass computes the features
chunk by chunk and keeps no activations; the objective sees all features; backward, each chunk is computed once more to
get its activations, and they are let go before the next one. So memory is that of a chunk, time that of one more
forward, and the gradient is exactly that of the whole batch.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rnc_lightning.numerics import distributed


def encode_in_chunks(encoder: nn.Module, x: Tensor, at_once: int) -> Tensor:
    """Features of a batch, with the gradient of one forward over all of it, at the memory of a chunk.

    Random numbers (dropout), autocast and buffers (running statistics) are the same in both passes, and the second
    leaves no trace in the buffers. Chunks are nearly equal in size.

    Layers that mix samples see a chunk, not the batch: batch normalisation in training mode normalises by the
    statistics of each chunk and updates its running ones once a chunk. That is the one difference from an undivided
    batch; an encoder without such layers has none.

    Args:
        encoder: Rows (N, ...) to features (N, F).
        x: The batch. Over several processes, this one's share of it: all take as many chunks as the one with the
            most rows needs, since layers that synchronise their statistics meet in each.
        at_once: Rows of a chunk, at most.

    Returns:
        Features (N, F).
    """
    count = max(1, -(-distributed.max_over_processes(len(x), x.device) // at_once))
    return torch.cat([_encoded_twice(encoder, chunk) for chunk in x.tensor_split(count)])


def _encoded_twice(encoder: nn.Module, chunk: Tensor) -> Tensor:
    features: Tensor = checkpoint(encoder, chunk, use_reentrant=False, context_fn=_both_passes(encoder))
    # Else autocast hands this chunk's copies of the weights to the next, and their gradients add up in half precision.
    torch.clear_autocast_cache()
    return features


def _both_passes(
    encoder: nn.Module,
) -> Callable[[], tuple[AbstractContextManager[object], AbstractContextManager[object]]]:
    return lambda: (nullcontext(), _BuffersAsNow(encoder))


class _BuffersAsNow(AbstractContextManager["_BuffersAsNow"]):
    """Inside, a module's buffers have the values that they had when this was made; outside, what they had before."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._then = _values(module)

    def __enter__(self) -> Self:
        self._outside = _values(self._module)
        _set(self._module, self._then)
        return self

    def __exit__(self, *_: object) -> None:
        _set(self._module, self._outside)


def _values(module: nn.Module) -> list[Tensor]:
    return [buffer.detach().clone() for buffer in module.buffers()]


def _set(module: nn.Module, values: list[Tensor]) -> None:
    with torch.no_grad():  # in place: compiled code and DDP know these very tensors
        for buffer, value in zip(module.buffers(), values, strict=True):
            buffer.copy_(value)
