"""A run's directory: what makes two runs the same run, and what a finished one holds.

config.yaml             the resolved configuration
stages/<name>/          last.ckpt, best.ckpt, metrics.csv, encoder.safetensors + .json, stage.json when finished;
                        diagnostics.csv of stage one
encoder.safetensors     the final encoder, with its .json
split.csv               which sample is in which part, where the split was drawn and not published
predictions.csv         the test set, one row a sample
features.npz            test features and targets
plots/                  projections, predictions, loss curves, diagnostics of stage one
wandb_id.txt, wandb/    with logger=wandb: the W&B run's id, and what its client wrote
result.json             everything that a report needs, with a status
error.log               why it failed, with the traceback, until it ends well
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rnc_lightning.command_line.identity import differences
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text


class RunDirectory:
    """The directory of one run.

    Args:
        path: Where it is or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def stage(self, name: str) -> Path:
        """Directory of a stage."""
        return self.path / "stages" / name

    def check(self, config: Mapping[str, Any]) -> None:
        """Refuse a directory that holds a run of another configuration.

        Raises:
            UserError: With the differing keys.
        """
        held = self.path / "config.yaml"
        if not held.is_file():
            return
        before = yaml.safe_load(held.read_text(encoding="utf-8"))
        changes = list(differences(before, config))
        if changes:
            raise UserError(
                f"{self.path} holds a run of another configuration ({'; '.join(changes)}). "
                "Give this one a place of its own (paths.run_dir=...), or delete that directory."
            )

    def begin(self, config: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        """Make the directory, write down the configuration, and call the run unfinished until it has ended."""
        self.write_result({**identity, "status": "unfinished"})
        write_text(self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))

    def begun(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "config.yaml").is_file()

    def check_data(self, fingerprint: str) -> None:
        """Note the data's fingerprint at the first start; refuse other data at a later one.

        Raises:
            UserError: Where the data changed in between.
        """
        path = self.path / "data_fingerprint.txt"
        if not path.is_file():
            write_text(path, fingerprint)
        elif (held := path.read_text(encoding="utf-8")) != fingerprint:
            raise UserError(
                f"{self.path} was begun on other data (fingerprint {held}, now {fingerprint}). "
                "Put the data back, or give the run a place of its own (paths.run_dir=...)."
            )

    def result(self) -> dict[str, Any] | None:
        """What the run ended with, or None where it has not ended."""
        path = self.path / "result.json"
        if not path.is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise UserError(f"{path} is not valid JSON ({error}): delete it, and the run goes on") from None
        return found

    def finished(self) -> dict[str, Any] | None:
        """The result of a run that ended well, else None."""
        result = self.result()
        return result if result and result.get("status") == "finished" else None

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write `result.json`."""
        write_text(self.path / "result.json", json.dumps(result, indent=1))

    def write_error(self, text: str) -> None:
        """Keep the whole story of a failure beside the result that gives its reason."""
        write_text(self.path / "error.log", text)

    def forget_error(self) -> None:
        """The run has ended well after all."""
        (self.path / "error.log").unlink(missing_ok=True)

    def keep_encoder(self, stage: str) -> None:
        """Copy a stage's encoder to the top of the directory, the JSON last."""
        for suffix in (".safetensors", ".json"):
            source = self.stage(stage) / f"encoder{suffix}"
            shutil.copyfile(source, self.path / source.name)
