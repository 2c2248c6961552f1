"""What passes between stages: the encoder's weights as safetensors, and a JSON that says where they are from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from rnc_lightning.system.files import sha256, write_atomically, write_text


def save_encoder(encoder: nn.Module, path: Path, origin: Mapping[str, Any]) -> None:
    """Write `path` (.safetensors) and beside it a JSON with the origin, the size and the checksum.

    The JSON comes last, so an encoder without one was not finished.

    Args:
        encoder: Its state dict is written.
        path: File ending in `.safetensors`.
        origin: Where the weights are from, as plain values.
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
        ValueError: Where the file is missing, was altered, or does not fit the encoder.
    """
    card = read_card(path)
    if sha256(path) != card["sha256"]:
        raise ValueError(f"{path} is not the file that its JSON describes: it was altered or cut short")
    try:
        encoder.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path} does not fit this encoder: {str(error).splitlines()[0]}") from error


def read_card(path: Path) -> dict[str, Any]:
    """The JSON beside an encoder.

    Raises:
        ValueError: Where the encoder or its JSON is missing or is not valid.
    """
    file = path.with_suffix(".json")
    if not path.is_file() or not file.is_file():
        raise ValueError(f"there is no finished encoder at {path}")
    try:
        card: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if "sha256" not in card:
            raise ValueError("it lacks the checksum")
    except ValueError as error:
        raise ValueError(f"{file} was altered or cut short: {error}") from None
    return card
