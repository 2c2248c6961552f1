"""What turns a raw input into the tensor that an encoder takes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor

Transform = Callable[[Any], Tensor]


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
