"""What turns a raw input into the tensor that an encoder takes, and says how it does so."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

Transform = Callable[[Any], Tensor]


@dataclass(frozen=True)
class Description:
    """How a raw input becomes what an encoder takes.

    Attributes:
        facts: Plain values for programs: sizes, mean, std, whatever else is needed to do the same elsewhere.
        words: The same in sentences, for a model card.
    """

    facts: Mapping[str, Any]
    words: str

    def then(self, transform: Transform) -> "Description":
        """This, followed by what a transform does to the result."""
        described = description_of(transform)
        if described is None:
            name = getattr(transform, "__name__", type(transform).__name__)
            described = Description({}, f"Then `{name}`, which does not describe itself.")
        return Description({**self.facts, **described.facts}, f"{self.words} {described.words}")


@runtime_checkable
class Described(Protocol):
    """A transform that says what it does; to be asked for it with `description_of`."""

    def describe(self) -> Description:
        """What it does, from the very values that it works with."""


def description_of(transform: Transform) -> Description | None:
    """What a transform says of itself; None if it says nothing."""
    return transform.describe() if isinstance(transform, Described) else None


class ImageTransform(ABC):
    """A transform that takes several views of one image, and can leave what follows the crop to a device.

    Whatever it draws comes from torch's CPU generator, in the same order in `views` and in `pixels`.
    """

    def __call__(self, source: Any) -> Tensor:
        """One view (3, S, S) as floats in [-1, 1]."""
        return self.views(source, 1)[0]

    @abstractmethod
    def views(self, source: Any, count: int) -> Tensor:
        """Views (count, 3, S, S) of one image, as floats in [-1, 1]."""

    @abstractmethod
    def pixels(self, source: Any, count: int) -> tuple[Tensor, Tensor | None]:
        """The same views as uint8, and what a device does to their colours (count, 9); None: nothing."""
