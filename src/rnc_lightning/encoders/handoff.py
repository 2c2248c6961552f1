"""What is passed between stages: the encoder's weights as safetensors and a JSON file with their origin."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from rnc_lightning.numerics.finite import find_non_finite
from rnc_lightning.system.files import sha256, write_atomically, write_text
from rnc_lightning.system.plain_files import read_json


def save_encoder(encoder: nn.Module, path: Path, origin: Mapping[str, Any]) -> None:
    """Write the weights to `path` (.safetensors) and a JSON file with origin, size and checksum next to it.

    The JSON file is written last, so an encoder without one is incomplete.

    Args:
        encoder: Module whose state dict is written.
        path: File name ending in `.safetensors`.
        origin: Where the weights come from, as plain values.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    write_atomically(path, lambda temporary: save_file(tensors, temporary))
    card = {
        **origin,
        "num_features": encoder.num_features,
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "sha256": sha256(path),
    }
    write_text(path.with_suffix(".json"), json.dumps(card, indent=1))


def load_encoder(encoder: nn.Module, path: Path) -> None:
    """Load weights written by `save_encoder` into an encoder of the same architecture.

    Raises:
        ValueError: If the file is missing, was changed, or does not fit the encoder, or has weights that are
            not finite.
    """
    card = read_card(path)
    if sha256(path) != card["sha256"]:
        raise ValueError(f"{path} does not match the checksum in its JSON file: it was changed or cut short")
    try:
        encoder.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path} does not fit this encoder: {str(error).splitlines()[0]}") from error
    if (name := find_non_finite(encoder)) is not None:
        raise ValueError(f"{path} has weights that are not finite numbers, the first in {name}")


def read_card(path: Path) -> dict[str, Any]:
    """Read the JSON file of an encoder.

    Raises:
        ValueError: If the encoder or its JSON file is missing or not valid.
    """
    file = path.with_suffix(".json")
    if not path.is_file() or not file.is_file():
        raise ValueError(f"there is no finished encoder at {path}")
    try:
        card = read_json(file)
        if not isinstance(card.get("sha256"), str):
            raise ValueError("the checksum is missing")
    except ValueError as error:
        raise ValueError(f"{file} was changed or cut short: {error}") from None
    return card
