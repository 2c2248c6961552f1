"""Sends batches from data workers through files, for machines with little shared memory (containers: 64 MB by default).

PyTorch's workers put each batch into shared memory (/dev/shm); if that is full, they die of a bus error. Here a batch
goes through an unnamed temporary file instead, so nothing is left behind whatever happens to the processes.
"""

import logging
import mmap
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing.reduction import DupFd
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

log = logging.getLogger(__name__)

_SHARED_MEMORY = "/dev/shm"
_PLENTY = 16 << 30  # bytes; with more, no estimate is needed
_PREFETCHED = 2  # batches that PyTorch lets each worker prepare ahead
_ALIGNMENT = 64  # bytes; tensors start at multiples of it in the file
_Layout = list[tuple[str, torch.dtype, tuple[int, ...], int]]  # key, dtype, shape, offset


def free_shared_memory() -> int | None:
    """Free bytes of shared memory; None if it is not a file system."""
    try:
        stats = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return None
    return stats.f_bavail * stats.f_frsize


def is_short_of_shared_memory(sample: Callable[[], Mapping[str, Any]], batch_size: int, workers: int) -> bool:
    """Whether the prefetched batches may not fit into half of the free shared memory.

    Args:
        sample: Reads one sample; called only if needed.
        batch_size: Samples per batch.
        workers: Worker processes of this loader.
    """
    free = free_shared_memory()
    if free is None or free >= _PLENTY:
        return False
    size = sum(value.numel() * value.element_size() for value in sample().values() if isinstance(value, Tensor))
    needed = size * batch_size * (workers * _PREFETCHED + 1)
    if 2 * needed <= free:
        return False
    _warn_once()
    return True


@cache
def _warn_once() -> None:
    log.warning(
        "%s is too small for the batches of the data workers: they go through files in %s instead, which is a little "
        "slower. A container gets more with --shm-size=8g", _SHARED_MEMORY, tempfile.gettempdir(),
    )  # fmt: skip


def collate_into_file(samples: Sequence[Mapping[str, Any]]) -> "_BatchFile":
    """Like `default_collate`, but for sending through a file; the loader receives a dict of tensors."""
    return _BatchFile({key: _collate([sample[key] for sample in samples]) for key in samples[0]})


def _collate(values: list[Any]) -> Tensor:
    # `default_collate` would stack tensors in shared memory.
    batch: Tensor = torch.stack(values) if isinstance(values[0], Tensor) else default_collate(values)
    return batch


class _BatchFile:
    """A batch in a file; unpickling it on the same machine gives a dict of tensors."""

    def __init__(self, batch: Mapping[str, Tensor]) -> None:
        self._layout: _Layout = []
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open until the batch has been sent
        for key, tensor in batch.items():
            self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
            self._layout.append((key, tensor.dtype, tuple(tensor.shape), self._file.tell()))
            self._file.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        self._file.flush()

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, (DupFd(self._file.fileno()), self._layout)


def _load(handle: Any, layout: _Layout) -> dict[str, Tensor]:
    descriptor = handle.detach()
    try:
        content = mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)
    # The tensors keep the mapping, and so the file, alive.
    return {
        key: torch.frombuffer(content, dtype=dtype, count=torch.Size(shape).numel(), offset=offset).view(shape)
        for key, dtype, shape, offset in layout
    }
