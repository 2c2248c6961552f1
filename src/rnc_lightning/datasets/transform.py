"""Interfaces of transforms from raw inputs to the encoder's input, and their descriptions."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

Transform = Callable[[Any], Tensor]


@dataclass(frozen=True)
class Description:
    """How a raw input becomes the encoder's input.

    Attributes:
        facts: Plain values (sizes, mean, std, ...) with which another program can do the same.
        words: The same in sentences, for a model card.
    """

    facts: Mapping[str, Any]
    words: str

    def then(self, transform: Transform) -> "Description":
        """This description followed by that of a transform."""
        described = description_of(transform)
        if described is None:
            name = getattr(transform, "__name__", type(transform).__name__)
            described = Description({}, f"Then `{name}`, which does not describe itself.")
        return Description({**self.facts, **described.facts}, f"{self.words} {described.words}")


@runtime_checkable
class Described(Protocol):
    """A transform that describes itself; see `description_of`."""

    def describe(self) -> Description:
        """What the transform does, from the values that it uses."""


def description_of(transform: Transform) -> Description | None:
    """A transform's description of itself; None if it has none."""
    return transform.describe() if isinstance(transform, Described) else None


class ImageTransform(ABC):
    """A transform that makes several views of one image and can leave everything after the crop to the device.

    All random numbers come from torch's CPU generator, in the same order in `views` and in `pixels`.
    """

    def __call__(self, source: Any) -> Tensor:
        """One view (C, S, S), C = 3 or 1 (grey), as floats in [-1, 1]."""
        return self.views(source, 1)[0]

    @abstractmethod
    def views(self, source: Any, count: int) -> Tensor:
        """Views (count, C, S, S) of one image, as floats in [-1, 1]."""

    @abstractmethod
    def pixels(self, source: Any, count: int) -> tuple[Tensor, Tensor | None]:
        """The same views as uint8, and the colour changes (count, 9) left to the device; None if there are none."""
