"""Shared encoders of stage one, so that runs which differ only in the head pretrain once.

An encoder is found by a hash of everything that determines it, called its shape.

<encoder_dir>/<hash>/             the stage's directory: checkpoints, metrics.csv, encoder.safetensors, stage.json, and
                                  diagnostics.csv if the run wrote it
<encoder_dir>/<hash>/shape.json   what was hashed
<encoder_dir>/<hash>.lock         locked by the process that trains or copies the encoder
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
from rnc_lightning.runs.source_encoder import pretrained_weights
from rnc_lightning.system.code_version import code_version
from rnc_lightning.system.files import damaged_files, delete_temporary_files, write_text
from rnc_lightning.system.locks import wait_for_lock

log = logging.getLogger(__name__)


def encoder_shape(config: Mapping[str, Any], stage: str, data_fingerprint: str) -> dict[str, Any]:
    """Everything that determines the encoder of a stage, as plain values: runs with equal values share an encoder.

    The target is included if the objective depends on it (its bins are SupCon's classes). RnC depends only on the
    label distance, which is part of its objective; ranges and bins concern only the head.

    Args:
        config: The resolved configuration.
        stage: Name of the stage.
        data_fingerprint: Fingerprint of the data set.
    """
    relevant = without_volatile(config)
    objective = config["stages"][stage]["module"].get("objective") or {}
    weights = pretrained_weights(relevant["encoder"])
    return {
        "stage": stage,
        **({"target": relevant["target"]} if objective.get("_partial_") else {}),
        "settings": relevant["stages"][stage],
        **{key: relevant[key] for key in ("data", "encoder", "trainer", "seed")},
        "data_fingerprint": data_fingerprint,
        **({} if weights is None else {"weights_sha256": weights["sha256"]}),
        "code": code_version(part["_target_"] for part in (relevant["encoder"], objective) if "_target_" in part),
    }


def shape_hash(shape: Mapping[str, Any]) -> str:
    """Hash of a shape, 16 hexadecimal digits."""
    text = json.dumps(shape, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class SharedEncoders:
    """The shared encoder of one shape in a folder of encoders.

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
        """Name of the run that trained the encoder; None if there is no finished encoder."""
        if not self.home.finished or self.home.missing_files():
            return None
        try:
            return str(read_card(self.home.encoder).get("run") or "an unnamed run")
        except ValueError:
            return None

    def load_or_train(
        self, run: str, encoder: nn.Module, into: StageDirectory, train: Callable[[StageDirectory], None]
    ) -> None:
        """Load the encoder of this shape into `encoder`; train it first if it is missing or damaged.

        One run trains; others that need the same encoder wait, and one of them takes over if it is killed.

        Args:
            run: Name of the run that needs the encoder.
            encoder: Module that receives the weights.
            into: The run's own directory of the stage; it receives a copy without checkpoints.
            train: Fits the stage in the given directory, from its last checkpoint if there is one.
        """
        home, first = self.home, distributed.is_first()
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        lock = wait_for_lock(self._lock, f"is training the encoder {home.path}")
        with lock if first else nullcontext():
            if first:
                delete_temporary_files(home.path)
            damage = distributed.broadcast_from_first(_damage(home, encoder) if first else None)
            if damage is not None:
                if damage and first:
                    log.warning("the shared encoder %s cannot be used and is trained again: %s", home.path, damage)
                    home.mark_unfinished()  # from its last checkpoint, if that is sound
                log.info("training the encoder %s, which other runs can reuse", home.path)
                if first:
                    write_text(home.path / "shape.json", json.dumps(self.shape, indent=1, default=str))
                distributed.wait_for_all()
                train(home)
                load_encoder(encoder, home.encoder)
            else:
                who = "this run" if (trainer := self.trained_by()) == run else trainer
                log.info("reusing the encoder %s, trained by %s; its checksum is correct", home.path, who)
                if not first:  # the first process has already loaded it to check it
                    load_encoder(encoder, home.encoder)
            if first:
                home.copy_to(into)
            distributed.wait_for_all()


def _damage(home: StageDirectory, encoder: nn.Module) -> str | None:
    """What is wrong with a finished encoder; empty if none is finished; None if it was loaded successfully."""
    try:
        if not home.finished:
            return ""
        if missing := home.missing_files():
            return f"{', '.join(missing)} missing"
        summary = StageSummary.read(home)
        assert summary is not None
        needed = {name: checksum for name, checksum in summary.files.items() if name != summary.checkpoint}
        if damaged := damaged_files(home.path, needed):
            return f"{', '.join(damaged)} damaged"
        load_encoder(encoder, home.encoder)
    except (ValueError, TypeError) as error:
        return str(error)
    return None
