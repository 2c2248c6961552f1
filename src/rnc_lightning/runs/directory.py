"""A run's directory: every file in it, how it is written and how it is read.

config.yaml             the resolved configuration
stages/<name>/          last.ckpt, best.ckpt, metrics.csv, encoder.safetensors + .json, stage.json when finished;
                        diagnostics.csv of stage one, non_finite_loss.json where the loss was not finite
encoder.safetensors     the final encoder, with its .json
data_fingerprint.txt    which data the run was begun on
split.csv, subset.csv   which sample is in which part, where the split was drawn and not published; which are used
predictions.csv         the test set, one row a sample
features.npz            test features and targets
plots/                  projections, predictions, loss curves, diagnostics of stage one
processes/              logs of the run's own processes, where it has several
evaluations/, export/   what `evaluate` and `export` wrote
wandb_id.txt, wandb/, tensorboard/    what loggers keep
result.json             everything that a report needs, with a status
error.log               why it failed, with the traceback, until it ends well

Nothing here imports PyTorch, so that a report can read runs without it.
"""

import json
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rnc_lightning.command_line.identity import config_differences
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text, write_whole

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RESULT = "result.json"
PARTS = ("encoders", "stages", "report", "evaluations", "export")  # folders whose results are parts of runs, no runs


class TestFolder:
    """A folder with what one test found: of a run, or of an evaluation of it.

    Args:
        path: Where it is or will be.
    """

    __test__ = False  # no class of tests, whatever pytest makes of its name

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def predictions_file(self) -> Path:
        """One row a test sample."""
        return self.path / "predictions.csv"

    @property
    def features_file(self) -> Path:
        """Test features and targets."""
        return self.path / "features.npz"

    def result(self) -> dict[str, Any] | None:
        """What was found; None where there is nothing yet.

        Raises:
            UserError: Where the file was cut short or altered.
        """
        path = self.path / RESULT
        if not path.is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} is not valid JSON ({error}): delete it, and the run goes on") from None
        return found

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
        """Test features (N, F) and targets (N, D)."""
        import numpy as np

        with np.load(self.features_file) as kept:
            return kept["features"], kept["targets"]

    def write_features(self, features: "np.ndarray", targets: "np.ndarray") -> None:
        """Write `features.npz`: features (N, F) and targets (N, D)."""
        import numpy as np

        def write(path: Path) -> None:
            np.savez_compressed(path, features=features, targets=targets)

        write_whole(self.features_file, write)


class StageDirectory:
    """The directory of one stage; its checkpoints are those of `fitting.checkpoints`.

    Args:
        path: Where it is or will be.
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
        """Whether the stage was fitted to its end."""
        return self._summary.is_file()

    def summary(self) -> dict[str, Any] | None:
        """What a finished stage left; None where it is not finished.

        Raises:
            ValueError: Where the file was cut short or altered.
        """
        if not self.finished:
            return None
        found: dict[str, Any] = json.loads(self._summary.read_text(encoding="utf-8"))
        return found

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Mark the stage as finished."""
        write_text(self._summary, json.dumps(summary, indent=1))

    def mark_unfinished(self) -> None:
        """Keep the checkpoints, and let the stage be fitted or fetched again."""
        self._summary.unlink(missing_ok=True)

    def delete(self) -> None:
        """Start the stage anew."""
        shutil.rmtree(self.path)

    def missing(self) -> list[str]:
        """Names of the files that a finished stage leaves and that are not there."""
        kept = (self.history, self.encoder, self.encoder_card, self._summary)
        return [file.name for file in kept if not file.is_file()]

    def copy_to(self, other: "StageDirectory") -> None:
        """Copy what a finished stage leaves, but for checkpoints; the summary comes last."""
        files = (self.diagnostics, self.history, self.encoder, self.encoder_card, self._summary)
        for file in files if self.diagnostics.is_file() else files[1:]:
            write_whole(other.path / file.name, partial(shutil.copyfile, file))


class RunDirectory(TestFolder):
    """The directory of one run.

    Args:
        path: Where it is or will be.
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
        """Directory of a stage."""
        return StageDirectory(self.path / "stages" / name)

    def begun(self) -> bool:
        """Whether a run was begun here."""
        return self._config.is_file()

    def config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
            UserError: Where the file was altered or cut short.
        """
        try:
            found = yaml.safe_load(self._config.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{self._config} was altered or cut short: {' '.join(str(error).split())}") from error
        if not isinstance(found, dict):
            raise UserError(f"{self._config} was altered or cut short: it holds no configuration")
        return found

    def check(self, config: Mapping[str, Any]) -> None:
        """Refuse a directory that holds a run of another configuration.

        Raises:
            UserError: With the differing keys.
        """
        if not self.begun():
            return
        changes = list(config_differences(self.config(), config))
        if changes:
            raise UserError(
                f"{self.path} holds a run of another configuration ({'; '.join(changes)}). "
                "Give this one a place of its own (paths.run_dir=...), or delete that directory."
            )

    def begin(self, config: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        """Make the directory, write down the configuration, and call the run unfinished until it has ended."""
        self.write_result({**identity, "status": "unfinished"})
        write_text(self._config, yaml.safe_dump(dict(config), sort_keys=False))

    def check_data(self, fingerprint: str) -> None:
        """Note the data's fingerprint at the first start; refuse other data at a later one.

        Raises:
            UserError: Where the data changed in between.
        """
        if not self._fingerprint.is_file():
            write_text(self._fingerprint, fingerprint)
        elif (held := self._fingerprint.read_text(encoding="utf-8")) != fingerprint:
            raise UserError(
                f"{self.path} was begun on other data (fingerprint {held}, now {fingerprint}). "
                "Put the data back, or give the run a place of its own (paths.run_dir=...)."
            )

    def finished(self) -> dict[str, Any] | None:
        """The result of a run that ended well, else None."""
        result = self.result()
        return result if result and result.get("status") == "finished" else None

    def write_error(self, text: str) -> None:
        """Keep a failure with its traceback beside the result that gives its reason."""
        write_text(self.error_log, text)

    def remove_error(self) -> None:
        """The run has ended well after all."""
        self.error_log.unlink(missing_ok=True)

    def keep_encoder(self, stage: StageDirectory) -> None:
        """Copy a stage's encoder to the top of the directory, the JSON last."""
        for source in (stage.encoder, stage.encoder_card):
            shutil.copyfile(source, self.path / source.name)
