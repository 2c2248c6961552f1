"""Features of a batch whose activations do not fit into memory at once.

An objective that compares all samples of a batch, such as RnC, cannot be computed from smaller batches: gradient
accumulation would miss every pair across them. The encoder can be divided, however. A first pass computes the features
chunk by chunk without keeping activations. The objective uses all features. In the backward pass the activations of
each chunk are computed again and freed before the next chunk. So memory is that of one chunk, the time is that of one
more forward, and the gradient is exactly that of the whole batch.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rnc_lightning.numerics import distributed


def encode_in_chunks(encoder: nn.Module, x: Tensor, at_once: int) -> Tensor:
    """Features of a batch with the gradient of one forward over all of it, in the memory of one chunk.

    Random numbers (dropout), autocast and buffers (running statistics) are the same in both passes, and the second pass
    does not change the buffers. Chunks have nearly equal sizes.

    Layers that mix samples see a chunk instead of the batch: batch normalisation in training mode uses the statistics
    of each chunk and updates its running statistics once per chunk. Nothing else differs from an undivided batch.

    Args:
        encoder: Module from rows (N, ...) to features (N, F).
        x: The rows of this process. All processes use the number of chunks that the one with the most rows needs,
            because layers that synchronise statistics communicate in each chunk.
        at_once: Largest number of rows in a chunk.

    Returns:
        Features (N, F).
    """
    count = max(1, -(-distributed.max_over_processes(len(x), x.device) // at_once))
    return torch.cat([_encode_twice(encoder, chunk) for chunk in x.tensor_split(count)])


def _encode_twice(encoder: nn.Module, chunk: Tensor) -> Tensor:
    contexts = nullcontext(), _CurrentBuffers(encoder)
    features: Tensor = checkpoint(encoder, chunk, use_reentrant=False, context_fn=lambda: contexts)
    # Otherwise autocast reuses this chunk's copies of the weights, and gradients are accumulated in half precision.
    torch.clear_autocast_cache()
    return features


class _CurrentBuffers(AbstractContextManager[None]):
    """Sets a module's buffers to their values at construction and restores them afterwards; reusable."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._values = _copy(module)

    def __enter__(self) -> None:
        self._before = _copy(self._module)
        _set(self._module, self._values)

    def __exit__(self, *_: object) -> None:
        _set(self._module, self._before)


def _copy(module: nn.Module) -> list[Tensor]:
    return [buffer.detach().clone() for buffer in module.buffers()]


def _set(module: nn.Module, values: list[Tensor]) -> None:
    with torch.no_grad():  # in place, because compiled code and DDP hold references to the buffers
        for buffer, value in zip(module.buffers(), values, strict=True):
            buffer.copy_(value)
