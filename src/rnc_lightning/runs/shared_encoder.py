"""Encoders of stage one, found by all that shaped them, so that the heads of one table share a pretraining.

<encoder_dir>/<hash>/             the stage's directory: checkpoints, metrics.csv, encoder.safetensors, stage.json, and
                                  diagnostics.csv where they were made
<encoder_dir>/<hash>/shape.json   what the hash was made of
<encoder_dir>/<hash>.lock         held by the process that trains or copies it
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from torch import nn

from rnc_lightning.command_line.identity import without_volatile
from rnc_lightning.encoders.handoff import load_encoder, read_card
from rnc_lightning.numerics import distributed
from rnc_lightning.runs.directory import StageDirectory
from rnc_lightning.runs.fitting.fit import StageSummary
from rnc_lightning.system.code_version import code_version
from rnc_lightning.system.files import write_text
from rnc_lightning.system.locks import held

log = logging.getLogger(__name__)


def encoder_shape(config: Mapping[str, Any], stage: str, data_fingerprint: str) -> dict[str, Any]:
    """All that shapes the encoder of a stage, as plain values: two runs that agree in it get the same encoder.

    The target is in it where the objective is made for it (its bins are SupCon's classes). Of RnC's only the label
    distance is, as part of the objective: ranges and bins are the head's affair.
    """
    kept = without_volatile(config)
    objective = config["stages"][stage]["module"].get("objective") or {}
    shapers = [kept["encoder"], objective]
    made_for_target = {"target": kept["target"]} if objective.get("_partial_") else {}
    return {
        "stage": stage,
        **made_for_target,
        "settings": kept["stages"][stage],
        **{key: kept[key] for key in ("data", "encoder", "trainer", "seed")},
        "data_fingerprint": data_fingerprint,
        "code": code_version(part["_target_"] for part in shapers if part and "_target_" in part),
    }


def shape_hash(shape: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that stand for a shape."""
    text = json.dumps(shape, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class SharedEncoders:
    """A folder of encoders, one for each shape, and the one of them that a run asks for.

    Args:
        root: The folder.
        shape: From `encoder_shape`.
    """

    def __init__(self, root: Path, shape: Mapping[str, Any]) -> None:
        self.shape = shape
        name = shape_hash(shape)
        self.home = StageDirectory(root / name)
        self._lock = root / f"{name}.lock"

    def trained_by(self) -> str | None:
        """Name of the run that trained the encoder; None where none is finished."""
        if not self.home.finished or self.home.missing():
            return None
        try:
            return str(read_card(self.home.encoder).get("run") or "an unnamed run")
        except ValueError:
            return None

    def obtain(
        self, run: str, encoder: nn.Module, into: StageDirectory, train: Callable[[StageDirectory], None]
    ) -> None:
        """Load the encoder of this shape into `encoder`, training it first where it is missing or damaged.

        One process trains; others that ask for the same wait for it, and take over where it is killed.

        Args:
            run: Name of the run that asks.
            encoder: Gets the weights.
            into: The run's own directory of the stage; it gets a copy without checkpoints.
            train: Fits the stage in the directory that it is given, from its last checkpoint where there is one.
        """
        home, first = self.home, distributed.is_first()
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        lock = held(self._lock, f"is training the encoder {home.path}")
        with lock if first else nullcontext():
            damage = distributed.broadcast_from_first(_damage(home, encoder) if first else None)
            if damage is not None:
                if damage and first:
                    log.warning("the shared encoder %s cannot be used and is trained again: %s", home.path, damage)
                    home.delete()
                log.info("training the encoder %s, which other runs can share", home.path)
                if first:
                    write_text(home.path / "shape.json", json.dumps(self.shape, indent=1, default=str))
                distributed.wait_for_all()
                train(home)
                load_encoder(encoder, home.encoder)
            else:
                who = "this run" if (trainer := self.trained_by()) == run else trainer
                log.info("reusing the encoder %s, trained by %s; its checksum is right", home.path, who)
                if not first:  # which has loaded it to see whether it is whole
                    load_encoder(encoder, home.encoder)
            if first:
                home.copy_to(into)
            distributed.wait_for_all()


def _damage(home: StageDirectory, encoder: nn.Module) -> str | None:
    """What is wrong with a finished encoder; empty where none is finished, None where it has been loaded."""
    try:
        if home.summary() is None:
            return ""
        if missing := home.missing():
            return f"{', '.join(missing)} missing"
        StageSummary.read(home)
        load_encoder(encoder, home.encoder)
    except (ValueError, TypeError) as error:
        return str(error)
    return None
