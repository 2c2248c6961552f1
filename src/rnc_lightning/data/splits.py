"""One part of a data set: inputs that are read when asked for, targets held in memory."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

SplitName = Literal["train", "val", "test"]


class Inputs(Protocol):
    """Anything with a length that gives an input for an index: a list, a tensor, a lazy reader."""

    def __len__(self) -> int:
        """Number of inputs."""

    def __getitem__(self, index: int, /) -> Any:
        """One input."""


@dataclass(frozen=True)
class Split:
    """Samples of one part (train, val or test).

    Attributes:
        inputs: N inputs, read by index: an image, an array, a signal.
        targets: (N, D) float32 in label units.
        names: N names that a person recognises (a path, a source image), for predictions.csv.
    """

    inputs: Inputs
    targets: Tensor
    names: Sequence[str]

    def __post_init__(self) -> None:
        if self.targets.ndim != 2:
            raise ValueError(f"targets must be (N, D), got {tuple(self.targets.shape)}")
        if not len(self.inputs) == len(self.targets) == len(self.names):
            raise ValueError(
                f"{len(self.inputs)} inputs, {len(self.targets)} targets and {len(self.names)} names do not match"
            )
        if not torch.isfinite(self.targets).all():
            bad = (~torch.isfinite(self.targets).all(dim=1)).nonzero().flatten().tolist()
            shown = ", ".join(self.names[i] for i in bad[:5])
            raise ValueError(f"targets: {len(bad)} are NaN or infinite, the first: {shown}")

    def __len__(self) -> int:
        return len(self.inputs)


def fingerprint(splits: dict[SplitName, Split], *extra: bytes) -> str:
    """SHA-256 over names and targets of all parts, and over whatever else identifies the inputs."""
    digest = hashlib.sha256()
    for part, split in splits.items():
        digest.update(part.encode())
        digest.update("\0".join(split.names).encode())
        digest.update(split.targets.numpy().tobytes())
    for piece in extra:
        digest.update(piece)
    return digest.hexdigest()[:16]
