"""The colour jitter of `rnc_lightning.datasets.images.colour` on a batch, on any device."""

from typing import Any

import torch
from torch import Tensor

from rnc_lightning.datasets.images.colour import CONTRAST, GREY_WEIGHTS, HUE_LEVELS, SATURATION, normalised

_AT_ONCE = 128  # images in one go: bounds what the intermediate results take to about 0.5 GB at 224 pixels
_NOTHING = -1


def finish_on_device(batch: dict[str, Any]) -> dict[str, Any]:
    """Do what the loader left for the device: uint8 `x` (B, [V,] 3, S, S) becomes floats in [-1, 1].

    Where the batch has `colour` (B, [V,] 9), the jitter is carried out and the key dropped; the same for `x_local` and
    `colour_local`. A batch of anything else comes back as it is.
    """
    for x, colour in (("x", "colour"), ("x_local", "colour_local")):
        pixels = batch.get(x)
        if isinstance(pixels, Tensor) and pixels.dtype == torch.uint8:
            done = _finished(pixels, batch.get(colour))
            batch = {key: value for key, value in batch.items() if key != colour} | {x: done}
    return batch


def _finished(pixels: Tensor, colour: Tensor | None) -> Tensor:
    if colour is None:
        return normalised(pixels)
    return coloured_batch(pixels.flatten(0, -4), colour.flatten(0, -2)).view(pixels.shape)


@torch.no_grad()
def coloured_batch(images: Tensor, numbers: Tensor) -> Tensor:
    """Change the colours of images as drawn and normalise them.

    Nothing here waits for the device: every sample takes the same seven steps (three places before the hue, the hue,
    three places after it), of which those that are not its own leave it as it is.

    Args:
        images: (N, 3, H, W) uint8.
        numbers: (N, 9) float, each row from `Colour.numbers`.

    Returns:
        (N, 3, H, W) float32 in [-1, 1].
    """
    out = torch.empty(images.shape, dtype=torch.float32, device=images.device)
    for start in range(0, len(images), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        out[part] = normalised(_coloured(images[part].float(), numbers[part]))
    return out


def _coloured(x: Tensor, numbers: Tensor) -> Tensor:
    order, factors, turn, grey = numbers[:, :4], numbers[:, 4:7], numbers[:, 7], numbers[:, 8]
    place = order.argmax(dim=1)  # of the hue, the operation with the highest number
    for i in range(3):
        x = _factor_step(x, torch.where(place > i, order[:, i], _NOTHING), factors)
    x = _with_hue(x, turn)
    for i in range(1, 4):
        x = _factor_step(x, torch.where(place < i, order[:, i], _NOTHING), factors)
    return torch.where(_per_image(grey > 0), _grey(x), x)


def _factor_step(x: Tensor, operation: Tensor, factors: Tensor) -> Tensor:
    """Brightness, contrast or saturation, whichever `operation` (N,) says: all move away from or towards a base."""
    chosen = operation[:, None] == torch.arange(3, device=x.device)  # brightness, contrast, saturation
    factor = torch.where(chosen, factors, 0).sum(dim=1) + (~chosen.any(dim=1))
    grey = _grey(x)
    mean = grey.mean(dim=(1, 2, 3), keepdim=True).add_(0.5).floor_()
    base = grey * _per_image(operation == SATURATION) + mean * _per_image(operation == CONTRAST)
    return torch.lerp(base, x, _per_image(factor)).clamp_(0, 255).floor_()


def _with_hue(x: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of whole numbers (N, 3, H, W) by (N,), in 1 / `HUE_LEVELS` of a full turn."""
    red, green, blue = x.unbind(dim=1)
    value = x.amax(dim=1)
    chroma = value - x.amin(dim=1)
    some = chroma.clamp(min=1)  # where it is 0 the hue does not matter
    hue = torch.where(
        value == red,
        (green - blue) / some,
        torch.where(value == green, 2 + (blue - red) / some, 4 + (red - green) / some),
    )
    hue = hue + (turn * (6 / HUE_LEVELS))[:, None, None]
    # A channel lies below the value by chroma times a trapezium of the hue, each channel a third of a turn apart.
    offsets = 5 - 2 * torch.arange(3, device=x.device)[:, None, None]  # of red, green and blue
    away = (hue[:, None] + offsets).remainder_(6)
    share = torch.minimum(away, 4 - away).clamp_(0, 1)
    return (value[:, None] - chroma[:, None] * share).round_()


def _grey(x: Tensor) -> Tensor:
    red, green, blue = x.unbind(dim=1)
    r, g, b = GREY_WEIGHTS
    return (r * red + g * green + b * blue).add_(0.5).floor_()[:, None]


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]
