"""Seeds for every random draw, derived from named parts (seed, stage, epoch, ...) and never from a carried state."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def derive_seed(*parts: int | str) -> int:
    """Hash named parts to a seed below 2**63, the same in every process and on every platform.

    >>> derive_seed(0, "pretrain", 3) == derive_seed(0, "pretrain", 3)
    True
    >>> derive_seed(0, "pretrain", 3) == derive_seed(0, "pretrain", 4)
    False
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") % 2**63


def seed_all(seed: int) -> None:
    """Seed the generators of Python, NumPy and PyTorch (all devices)."""
    import torch  # here, because importing it takes long and derive_seed does not need it

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (users' transforms may draw from it)
    torch.manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the CPU generators for a block and restore their states afterwards."""
    with preserve_generators():
        set_cpu_generators(seed)
        yield


def set_cpu_generators(seed: int, torch_only: bool = False) -> None:
    """Seed the CPU generators of Python, NumPy and PyTorch, or only that of PyTorch."""
    import torch

    torch.default_generator.manual_seed(seed)  # torch.manual_seed also seeds every GPU: 100 times slower
    if not torch_only:
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002


@contextmanager
def preserve_generators(torch_only: bool = False) -> Iterator[None]:
    """Restore the states of the CPU generators, or only that of PyTorch, after a block."""
    import torch

    torch_state = torch.get_rng_state()
    others = None if torch_only else (np.random.get_state(), random.getstate())  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        if others is not None:
            np.random.set_state(others[0])  # noqa: NPY002
            random.setstate(others[1])
