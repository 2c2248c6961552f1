"""A run's directory: every file in it, and how it is written and read.

config.yaml             the resolved configuration
stages/<name>/          last.ckpt, best.ckpt, metrics.csv, encoder.safetensors + .json, stage.json when finished;
                        diagnostics.csv of stage one, non_finite_loss.json if the loss was not finite
encoder.safetensors     the final encoder, with its .json
data_fingerprint.txt    fingerprint of the data that the run was started on
split.csv, subset.csv   which sample is in which part, if the split was drawn and not published; which samples are used
predictions.csv         the test set, one row per sample
features.npz            test features and targets
plots/                  projections, predictions, loss curves, diagnostics of stage one
processes/              logs of the run's processes, if it has several
evaluations/, export/   written by `evaluate` and `export`
wandb_id.txt, wandb/, tensorboard/    files of loggers
result.json             everything that a report needs, with a status
error.log               why the run failed, with the traceback; deleted once it has finished

Nothing here imports PyTorch, so that reports can read runs without it.
"""

import json
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import yaml

from rnc_lightning.command_line.identity import config_differences
from rnc_lightning.runs.other_epochs import other_epochs
from rnc_lightning.system.archives import check_npz
from rnc_lightning.system.errors import UserError, first_line
from rnc_lightning.system.files import write_atomically, write_text
from rnc_lightning.system.plain_files import read_json, read_yaml

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RESULT = "result.json"
PARTS = ("encoders", "stages", "report", "evaluations", "export")  # folders whose result.json belongs to no run


class TestFolder:
    """A folder with the results of one test: of a run, or of a later evaluation of it.

    Args:
        path: The folder; it need not exist yet.
    """

    __test__ = False  # pytest would take it for a class of tests by its name

    def __init__(self, path: Path) -> None:
        self.path = path
        self.predictions_file = path / "predictions.csv"
        self.features_file = path / "features.npz"

    def result(self) -> dict[str, Any] | None:
        """The content of `result.json`; None if there is none yet.

        Raises:
            UserError: If the file was cut short or altered.
        """
        path = self.path / RESULT
        try:
            return _read_json(path)
        except ValueError as error:
            raise UserError(f"{path}: {error}; delete it and repeat the command") from None

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write `result.json`."""
        write_text(self.path / RESULT, json.dumps(result, indent=1))

    def predictions(self) -> "pd.DataFrame":
        """The rows of `predictions.csv`, names as text."""
        import pandas as pd

        return pd.read_csv(self.predictions_file, dtype={"name": str}, keep_default_na=False, na_values=[""])

    def write_predictions(self, table: "pd.DataFrame") -> None:
        """Write `predictions.csv`."""
        write_text(self.predictions_file, table.to_csv(index=False))

    def features(self) -> "tuple[np.ndarray, np.ndarray]":
        """The test features (N, F) and targets (N, D) of `features.npz`.

        Raises:
            UserError: If the file was altered or cut short.
        """
        import numpy as np

        try:
            check_npz(self.features_file)
            with np.load(self.features_file, allow_pickle=False) as arrays:
                return arrays["features"], arrays["targets"]
        except (ValueError, KeyError, EOFError, BadZipFile) as error:
            raise UserError(f"{self.features_file} was altered or cut short: {first_line(error)}") from error

    def write_features(self, features: "np.ndarray", targets: "np.ndarray") -> None:
        """Write `features.npz`: features (N, F) and targets (N, D)."""
        import numpy as np

        save = partial(np.savez_compressed, features=features, targets=targets)
        write_atomically(self.features_file, save)


class StageDirectory:
    """The directory of one stage; `fitting.checkpoints` reads and writes the checkpoints in it.

    Args:
        path: The directory; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history = path / "metrics.csv"
        self.diagnostics = path / "diagnostics.csv"
        self.encoder = path / "encoder.safetensors"
        self.encoder_card = path / "encoder.json"
        self.last_checkpoint = path / "last.ckpt"
        self.non_finite_loss = path / "non_finite_loss.json"
        self._summary = path / "stage.json"

    @property
    def finished(self) -> bool:
        """Whether the stage was fitted to the end."""
        return self._summary.is_file()

    def summary(self) -> dict[str, Any] | None:
        """The content of `stage.json`; None if the stage is not finished.

        Raises:
            ValueError: If the file was cut short or altered.
        """
        return _read_json(self._summary)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Mark the stage as finished."""
        write_text(self._summary, json.dumps(summary, indent=1))

    def mark_unfinished(self) -> None:
        """Let the stage be fitted or copied again, starting from its checkpoints."""
        self._summary.unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete the directory, so that the stage starts from the beginning."""
        shutil.rmtree(self.path)

    def missing_files(self) -> list[str]:
        """Names of the files of a finished stage that do not exist."""
        files = (self.history, self.encoder, self.encoder_card, self._summary)
        return [file.name for file in files if not file.is_file()]

    def copy_to(self, other: "StageDirectory") -> None:
        """Copy the files of a finished stage except checkpoints; the summary, which marks it as finished, last."""
        files = (self.diagnostics, self.history, self.encoder, self.encoder_card, self._summary)
        for file in files if self.diagnostics.is_file() else files[1:]:
            write_atomically(other.path / file.name, partial(shutil.copyfile, file))


class RunDirectory(TestFolder):
    """The directory of one run.

    Args:
        path: The directory; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.encoder = path / "encoder.safetensors"
        self.plots = path / "plots"
        self.split = path / "split.csv"
        self.subset = path / "subset.csv"
        self.error_log = path / "error.log"
        self.process_logs = path / "processes"
        self.evaluations = path / "evaluations"
        self.export = path / "export"
        self._config = path / "config.yaml"
        self._fingerprint = path / "data_fingerprint.txt"

    def stage(self, name: str) -> StageDirectory:
        """The directory of a stage."""
        return StageDirectory(self.path / "stages" / name)

    def begun(self) -> bool:
        """Whether a run was started here."""
        return self._config.is_file()

    def config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
            UserError: If the file was altered or cut short.
        """
        try:
            return read_yaml(self._config)
        except (ValueError, OSError) as error:
            raise UserError(f"{self._config} was altered or cut short: {error}") from error

    def check(self, config: Mapping[str, Any]) -> None:
        """Refuse a directory that holds a run with another configuration.

        Raises:
            UserError: With the differing keys.
        """
        if self.begun() and (changes := list(config_differences(self.config(), config))):
            raise UserError(
                other_epochs(self.path, changes)
                or f"{self.path} holds a run with another configuration ({'; '.join(changes)}). "
                "Choose another directory for this run (paths.run_dir=...), or delete that one."
            )

    def begin(self, config: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        """Create the directory, write the configuration, and set the status to `unfinished`."""
        self.write_result({**identity, "status": "unfinished"})
        write_text(self._config, yaml.safe_dump(dict(config), sort_keys=False))

    def check_data(self, fingerprint: str) -> None:
        """Write the data's fingerprint at the first start; refuse other data at a later start.

        Raises:
            UserError: If the data have changed in between.
        """
        if not self._fingerprint.is_file():
            write_text(self._fingerprint, fingerprint)
        elif (before := self._fingerprint.read_text(encoding="utf-8")) != fingerprint:
            raise UserError(
                f"{self.path} was started on other data (fingerprint {before}, now {fingerprint}). "
                "Restore the data, or choose another directory for this run (paths.run_dir=...)."
            )

    def finished(self) -> dict[str, Any] | None:
        """The result of a finished run, else None."""
        result = self.result()
        return result if result and result.get("status") == "finished" else None

    def copy_encoder(self, stage: StageDirectory) -> None:
        """Copy a stage's encoder to the top of the directory, the JSON last."""
        for source in (stage.encoder, stage.encoder_card):
            shutil.copyfile(source, self.path / source.name)


def _read_json(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None
