"""The encoder of another run, from which a run starts: `encoder_from=runs/...`."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnc_lightning.system.errors import UserError


def encoder_file(encoder_from: str) -> Path:
    """The encoder in a run's directory, or the file itself where one is named."""
    path = Path(encoder_from)
    return path if path.suffix == ".safetensors" else path / "encoder.safetensors"


def source_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a result says of the encoder that its run started from; None where it started from none.

    Raises:
        UserError: Where there is no finished encoder.
    """
    if not config.get("encoder_from"):
        return None
    from rnc_lightning.encoders.handoff import read_card

    file = encoder_file(config["encoder_from"])
    try:
        card = read_card(file)
    except ValueError as error:
        raise UserError(
            f"encoder_from={config['encoder_from']}: {error}; give the directory of a finished run"
        ) from None
    facts = {"file": str(file), "run": card.get("run"), "sha256": card["sha256"]}
    result = file.parent / "result.json"
    if result.is_file():
        told = json.loads(result.read_text(encoding="utf-8"))
        facts |= {key: told.get(key) for key in ("dataset", "method", "scheme", "seed", "setting")}
    return facts


def setting_from(setting: str, source: Mapping[str, Any] | None) -> str:
    """A setting's hash where the run starts from another's encoder: that run's setting is a part of it."""
    if source is None:
        return setting
    return hashlib.sha256(f"{setting}/{source.get('setting') or source['sha256']}".encode()).hexdigest()[:16]
