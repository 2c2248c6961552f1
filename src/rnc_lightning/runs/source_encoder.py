"""The encoder of another run that a run starts from: `encoder_from=runs/...`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnc_lightning.runs.directory import RESULT, RunDirectory
from rnc_lightning.runs.stored_values import check_identity
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import sha256


def encoder_file(encoder_from: str) -> Path:
    """The encoder file in a run's directory, or `encoder_from` itself if it is such a file."""
    path = Path(encoder_from)
    return path if path.suffix == ".safetensors" else RunDirectory(path).encoder


def source_of(encoder_from: str | None) -> dict[str, Any] | None:
    """What `result.json` says about the encoder that the run started from; None if it did not start from one.

    The other run may be anybody's: only its weights, `encoder.json` and `result.json` are read, not its `config.yaml`.

    Raises:
        UserError: If there is no finished encoder.
    """
    if not encoder_from:
        return None
    from rnc_lightning.encoders.handoff import read_card

    file = encoder_file(encoder_from)
    try:
        card = read_card(file)
    except ValueError as error:
        raise UserError(f"encoder_from={encoder_from}: {error}; give the directory of a finished run") from None
    facts = {"file": str(file), "run": card.get("run"), "sha256": card["sha256"]}
    if (about := RunDirectory(file.parent).result()) is not None:
        try:
            check_identity(about)
        except ValueError as error:
            raise UserError(f"encoder_from={encoder_from}: {file.parent / RESULT}: {error}") from error
        facts |= {key: about[key] for key in ("dataset", "method", "scheme", "seed", "setting")}
    return facts


def pretrained_weights(encoder: Mapping[str, Any]) -> dict[str, str] | None:
    """The file of weights that the configuration of an encoder names, with its SHA-256; None if it names none."""
    file = encoder.get("weights")
    if not isinstance(file, str) or not Path(file).is_file():
        return None
    return {"file": file, "sha256": sha256(Path(file))}


def setting_with_source(setting: str, source: Mapping[str, Any] | None) -> str:
    """A setting's hash, combined with the setting of the run whose encoder this run starts from, if there is one."""
    if source is None:
        return setting
    return hashlib.sha256(f"{setting}/{source.get('setting') or source['sha256']}".encode()).hexdigest()[:16]
