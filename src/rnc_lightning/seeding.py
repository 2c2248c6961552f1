"""Every random draw comes from named parts: (seed, stage, epoch, ...), never from a state carried along."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_MASK = (1 << 63) - 1


def derive_seed(*parts: int | str) -> int:
    """Hash named parts to a seed below 2**63, the same in every process and on every platform.

    >>> derive_seed(0, "pretrain", 3) == derive_seed(0, "pretrain", 3)
    True
    >>> derive_seed(0, "pretrain", 3) == derive_seed(0, "pretrain", 4)
    False
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") & _MASK


def seed_all(seed: int) -> None:
    """Set the generators of Python, NumPy and PyTorch (all devices)."""
    import torch  # here, so that those who only need derive_seed do not wait for it

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (transforms written by users may draw from it)
    torch.manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block under its own CPU generators and put the former states back afterwards."""
    import torch

    torch_state = torch.get_rng_state()
    numpy_state = np.random.get_state()  # noqa: NPY002
    python_state = random.getstate()
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would also touch every GPU: 100 times slower
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
