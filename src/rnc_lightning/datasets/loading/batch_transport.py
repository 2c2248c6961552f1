"""How data workers hand batches over where a machine has little shared memory, as containers do (64 MB by default).

PyTorch's workers put each batch into shared memory (/dev/shm), and where it is full the kernel ends them (a bus error).
Here a batch goes through a file without a name instead, in the folder for temporary files: nothing is left of it,
whatever happens to the processes.
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

_PLACE = "/dev/shm"
_PLENTY = 16 << 30  # bytes for which nobody needs to reckon
_WAITING = 2  # batches that PyTorch lets each worker prepare ahead
_ALIGNED = 64  # bytes; where a tensor begins in the file
_Layout = list[tuple[str, torch.dtype, tuple[int, ...], int]]  # key, dtype, shape, offset


def free_shared_memory() -> int | None:
    """Bytes that are free in shared memory; None where it is no file system."""
    try:
        found = os.statvfs(_PLACE)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def is_short_of_shared_memory(sample: Callable[[], Mapping[str, Any]], batch_size: int, workers: int) -> bool:
    """Whether the batches that workers prepare ahead might not fit, with as much again for whoever else is there.

    Args:
        sample: Reads one of the data set, where it is needed.
        batch_size: Samples a batch.
        workers: Those of this loader.
    """
    free = free_shared_memory()
    if free is None or free >= _PLENTY:
        return False
    size = sum(value.numel() * value.element_size() for value in sample().values() if isinstance(value, Tensor))
    needed = size * batch_size * (workers * _WAITING + 1)
    if 2 * needed <= free:
        return False
    _tell()
    return True


@cache  # once
def _tell() -> None:
    log.warning(
        "%s is too small for the batches of the data workers: they go through files in %s instead, the same batches a "
        "little later. A container gets more with --shm-size=8g", _PLACE, tempfile.gettempdir(),
    )  # fmt: skip


def collate_into_file(samples: Sequence[Mapping[str, Any]]) -> "_Filed":
    """What `default_collate` makes of samples, as it is handed over by a data worker; the loader then gives a dict."""
    return _Filed({key: _together([sample[key] for sample in samples]) for key in samples[0]})


def _together(values: Sequence[Any]) -> Tensor:
    # `default_collate` would make it in shared memory.
    together: Tensor = torch.stack(list(values)) if isinstance(values[0], Tensor) else default_collate(list(values))
    return together


class _Filed:
    """A batch in a file, which whoever unpickles it gets as a dict of tensors. Pickled within one machine only."""

    def __init__(self, batch: Mapping[str, Tensor]) -> None:
        self._layout: _Layout = []
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open until the batch has been sent
        for key, tensor in batch.items():
            self._file.write(bytes(-self._file.tell() % _ALIGNED))
            self._layout.append((key, tensor.dtype, tuple(tensor.shape), self._file.tell()))
            self._file.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        self._file.flush()

    def __reduce__(self) -> tuple[Any, ...]:
        return _loaded, (DupFd(self._file.fileno()), self._layout)


def _loaded(handle: Any, layout: _Layout) -> dict[str, Tensor]:
    descriptor = handle.detach()
    try:
        content = mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)
    # The tensors keep the mapping, and with it the file.
    return {
        key: torch.frombuffer(content, dtype=dtype, count=torch.Size(shape).numel(), offset=offset).view(shape)
        for key, dtype, shape, offset in layout
    }
