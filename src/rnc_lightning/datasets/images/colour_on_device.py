"""The colour jitter of `rnc_lightning.datasets.images.colour` on a batch, on any device."""

from typing import Any

import torch
from torch import Tensor

from rnc_lightning.datasets.images.colour import CONTRAST, GREY_WEIGHTS, HUE_LEVELS, SATURATION, normalise

_CHUNK = 128  # images at a time: limits the intermediate results to about 0.5 GB at 224 pixels
_NOTHING = -1


def finish_on_device(batch: dict[str, Any]) -> dict[str, Any]:
    """Convert uint8 `x` (B, [V,] C, S, S) to floats in [-1, 1], applying the colour changes left by the loader.

    If the batch has `colour` (B, [V,] 9), the changes are applied and the key removed; the same for `x_local` and
    `colour_local`. Other batches are returned unchanged.
    """
    for x, key in (("x", "colour"), ("x_local", "colour_local")):
        pixels = batch.get(x)
        if isinstance(pixels, Tensor) and pixels.dtype == torch.uint8:
            batch = dict(batch)
            if (colour := batch.pop(key, None)) is None:
                batch[x] = normalise(pixels)
            else:
                batch[x] = apply_colour_batch(pixels.flatten(0, -4), colour.flatten(0, -2)).view(pixels.shape)
    return batch


@torch.no_grad()
def apply_colour_batch(images: Tensor, numbers: Tensor) -> Tensor:
    """Apply colour changes to images and normalise them.

    No step synchronises with the device: every sample goes through the same seven steps (three before the hue, the
    hue, three after it), and steps that do not apply to a sample leave it unchanged.

    Args:
        images: (N, 3, H, W) uint8, or (N, 1, H, W) for grey images.
        numbers: (N, 9) float, each row from `Colour.numbers`.

    Returns:
        float32 in [-1, 1], of the same shape.
    """
    out = torch.empty(images.shape, dtype=torch.float32, device=images.device)
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        colours = images[part].float().expand(-1, 3, -1, -1)
        out[part] = normalise(_apply_colour(colours, numbers[part])[:, : images.shape[1]])
    return out


def _apply_colour(x: Tensor, numbers: Tensor) -> Tensor:
    order, factors, turn, grey = numbers[:, :4], numbers[:, 4:7], numbers[:, 7], numbers[:, 8]
    hue_position = order.argmax(dim=1)  # the hue is the operation with the highest number
    for i in range(3):
        x = _factor_step(x, torch.where(hue_position > i, order[:, i], _NOTHING), factors)
    x = _with_hue(x, turn)
    for i in range(1, 4):
        x = _factor_step(x, torch.where(hue_position < i, order[:, i], _NOTHING), factors)
    return torch.where(_per_image(grey > 0), _grey(x), x)


def _factor_step(x: Tensor, operation: Tensor, factors: Tensor) -> Tensor:
    """Brightness, contrast or saturation, as given by `operation` (N,): each interpolates between a base and x."""
    chosen = operation[:, None] == torch.arange(3, device=x.device)  # brightness, contrast, saturation
    factor = torch.where(chosen, factors, 0).sum(dim=1) + (~chosen.any(dim=1))
    grey = _grey(x)
    mean = grey.mean(dim=(1, 2, 3), keepdim=True).add_(0.5).floor_()
    base = grey * _per_image(operation == SATURATION) + mean * _per_image(operation == CONTRAST)
    return torch.lerp(base, x, _per_image(factor)).clamp_(0, 255).floor_()


def _with_hue(x: Tensor, turn: Tensor) -> Tensor:
    """Rotate the hue of integer values (N, 3, H, W) by (N,), in 1 / `HUE_LEVELS` of a full turn."""
    red, green, blue = x.unbind(dim=1)
    value = x.amax(dim=1)
    chroma = value - x.amin(dim=1)
    divisor = chroma.clamp(min=1)  # if it is 0 the hue does not matter
    hue = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    hue = hue + (turn * (6 / HUE_LEVELS))[:, None, None]
    # A channel is below the value by chroma times a trapezoid function of the hue, shifted by a third of a turn each.
    offsets = 5 - 2 * torch.arange(3, device=x.device)[:, None, None]  # of red, green and blue
    shifted = (hue[:, None] + offsets).remainder_(6)
    share = torch.minimum(shifted, 4 - shifted).clamp_(0, 1)
    return (value[:, None] - chroma[:, None] * share).round_()


def _grey(x: Tensor) -> Tensor:
    red, green, blue = x.unbind(dim=1)
    r, g, b = GREY_WEIGHTS
    return (r * red + g * green + b * blue).add_(0.5).floor_()[:, None]


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]
