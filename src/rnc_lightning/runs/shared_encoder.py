"""Encoders of stage one, found by all that shaped them, so that the heads of one table share a pretraining.

<encoder_dir>/<hash>/             the stage's directory: checkpoints, metrics.csv, encoder.safetensors, stage.json, and
                                  diagnostics.csv where they were made
<encoder_dir>/<hash>/shape.json   what the hash was made of
<encoder_dir>/<hash>.lock         held by the process that trains or copies it
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from rnc_lightning.command_line.identity import shaping
from rnc_lightning.encoders.handoff import load_encoder, read_card
from rnc_lightning.numerics import distributed
from rnc_lightning.runs.fitting.fit import StageSummary
from rnc_lightning.system.code_version import code_version
from rnc_lightning.system.files import write_text, write_whole
from rnc_lightning.system.locks import held

log = logging.getLogger(__name__)


_HANDED_OVER = ("metrics.csv", "encoder.safetensors", "encoder.json", "stage.json")  # the last marks it as whole


_WHERE_MADE = ("diagnostics.csv",)  # nothing is missing without it


def encoder_shape(config: Mapping[str, Any], stage: str, data_fingerprint: str) -> dict[str, Any]:
    """All that shapes the encoder of a stage, as plain values: two runs that agree in it get the same encoder.

    The target is in it where the objective is made for it (its bins are SupCon's classes). Of RnC's only the label
    distance is, as part of the objective: ranges and bins are the head's affair.
    """
    kept = shaping(config)
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
    """A folder of encoders, one for each shape.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def obtain(
        self, shape: Mapping[str, Any], run: str, encoder: nn.Module, into: Path, train: Callable[[Path], None]
    ) -> None:
        """Load the encoder of this shape into `encoder`, training it first where it is missing or damaged.

        One process trains; others that ask for the same wait for it, and take over where it is killed.

        Args:
            shape: From `encoder_shape`.
            run: Name of the run that asks.
            encoder: Gets the weights.
            into: The run's own directory of the stage; it gets a copy without checkpoints.
            train: Fits the stage in the directory that it is given, from its last checkpoint where there is one.
        """
        name = shape_hash(shape)
        home = self.root / name
        self.root.mkdir(parents=True, exist_ok=True)
        lock = held(self.root / f"{name}.lock", f"is training the encoder {home}")
        with lock if distributed.is_first() else nullcontext():
            damage = distributed.broadcast_from_first(_damage(home, encoder) if distributed.is_first() else None)
            if damage is not None:
                if damage and distributed.is_first():
                    log.warning("the shared encoder %s cannot be used and is trained again: %s", home, damage)
                    shutil.rmtree(home)
                log.info("training the encoder %s, which other runs can share", home)
                if distributed.is_first():
                    write_text(home / "shape.json", json.dumps(shape, indent=1, default=str))
                distributed.wait_for_all()
                train(home)
                load_encoder(encoder, home / "encoder.safetensors")
            else:
                trainer = read_card(home / "encoder.safetensors").get("run")
                who = "this run" if trainer == run else trainer or "an unnamed run"
                log.info("reusing the encoder %s, trained by %s; its checksum is right", home, who)
                if not distributed.is_first():  # which has loaded it to see whether it is whole
                    load_encoder(encoder, home / "encoder.safetensors")
            there = [file for file in _WHERE_MADE if (home / file).is_file()]
            for file in (*there, *_HANDED_OVER) if distributed.is_first() else ():
                write_whole(into / file, partial(shutil.copyfile, home / file))
            distributed.wait_for_all()


def _damage(home: Path, encoder: nn.Module) -> str | None:
    """What is wrong with a finished encoder; empty where none is finished, None where it has been loaded."""
    if not (home / "stage.json").is_file():
        return ""
    if missing := [file for file in _HANDED_OVER if not (home / file).is_file()]:
        return f"{', '.join(missing)} missing"
    try:
        StageSummary.read(home)
        load_encoder(encoder, home / "encoder.safetensors")
    except (ValueError, TypeError) as error:
        return str(error)
    return None
