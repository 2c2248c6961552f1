"""A run's directory: every file in it, and how it is written and read.

config.yaml             the resolved configuration
stages/<name>/          last.ckpt, best.ckpt, metrics.csv, encoder.safetensors + .json, stage.json when finished;
                        diagnostics.csv of stage one, non_finite_loss.json if the loss was not finite
encoder.safetensors     the final encoder, with its .json
data_fingerprint.txt    fingerprint of the data that the run was started on
data_contents.npz       hashes of each sample's name, target and input, to say what has changed
split.csv, subset.csv   which sample is in which part, if the split was drawn and not published; which samples are used
predictions.csv         the test set, one row per sample
features.npz            test features and targets
plots/                  projections, predictions, loss curves, diagnostics of stage one
processes/              logs of the run's processes, if it has several
evaluations/, export/   written by `evaluate` and `export`
wandb_id.txt, wandb/, tensorboard/    files of loggers
result.json             everything that a report needs, with a status and checksums of the files above
error.log               why the run failed, with the traceback; deleted once it has finished

Nothing here imports PyTorch, so that reports can read runs without it.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import yaml

from rnc_lightning.system.archives import check_npz
from rnc_lightning.system.errors import UserError, first_line
from rnc_lightning.system.files import damaged_files, sha256, write_atomically, write_text
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
            raise UserError(f"{path} was damaged ({error}); the command of the run writes it again") from None

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

    def checksums(self, checkpoint: str) -> dict[str, str]:
        """SHA-256 of the files that a later start relies on: history, encoder and the chosen checkpoint."""
        return {
            file.name: sha256(file) for file in (self.history, self.encoder, self.encoder_card, self.path / checkpoint)
        }

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
        self._contents = path / "data_contents.npz"

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

    def has_stages(self) -> bool:
        """Whether something was trained here."""
        return any((self.path / "stages").glob("*/*"))

    def begin(self, config: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        """Create the directory, write the configuration, and set the status to `unfinished`."""
        text = yaml.safe_dump(dict(config), sort_keys=False)
        files = {self._config.name: hashlib.sha256(text.encode()).hexdigest()}
        self.write_result({**identity, "status": "unfinished", "files": files})
        write_text(self._config, text)

    def checksums(self) -> dict[str, str]:
        """SHA-256 of the files that a finished run must have."""
        encoder = (self.encoder, self.encoder.with_suffix(".json"))
        return {file.name: sha256(file) for file in (self._config, *encoder, self.predictions_file, self.features_file)}

    def damaged_files(self, result: Mapping[str, Any]) -> list[str]:
        """Names of the files that are missing or not as `result.json` says; a later start writes them again."""
        return damaged_files(self.path, result.get("files", {}))

    def recorded_data(self) -> "tuple[str | None, dict[str, np.ndarray]]":
        """Fingerprint of the data that the run was started on and its `DataIdentity.hashes`; None, {} if not known."""
        import numpy as np

        hashes: dict[str, np.ndarray] = {}
        with suppress(OSError, ValueError, EOFError, BadZipFile), np.load(self._contents) as arrays:
            hashes = {name: arrays[name] for name in arrays.files}
        fingerprint = str(hashes.pop("fingerprint", ""))
        with suppress(OSError, UnicodeDecodeError):
            text = self._fingerprint.read_text(encoding="utf-8").strip()
            fingerprint = text if re.fullmatch("[0-9a-f]{16}", text) else fingerprint
        return fingerprint or None, hashes

    def record_data(self, fingerprint: str, hashes: "Mapping[str, np.ndarray]") -> None:
        """Write what `recorded_data` reads."""
        import numpy as np

        arrays: dict[str, Any] = {**hashes, "fingerprint": np.array(fingerprint)}
        write_atomically(self._contents, lambda path: np.savez(path, **arrays))
        write_text(self._fingerprint, fingerprint)

    def finished(self) -> dict[str, Any] | None:
        """The result of a finished run, else None."""
        result = self.result()
        return result if result and result.get("status") == "finished" else None

    def copy_encoder(self, stage: StageDirectory) -> None:
        """Copy a stage's encoder to the top of the directory, the JSON last."""
        for source in (stage.encoder, stage.encoder_card):
            write_atomically(self.path / source.name, partial(shutil.copyfile, source))

    def delete_remains(self) -> None:
        """Delete what a run has written after its directory was removed; files of others are left."""
        if self.begun() or (self.path / RESULT).exists():
            return
        for folder in (self.path / "stages", self.plots):
            shutil.rmtree(folder, ignore_errors=True)
        results = (self.encoder, self.encoder.with_suffix(".json"), self.predictions_file, self.features_file)
        for file in (*results, self._fingerprint, self._contents, self.split, self.subset):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


def _read_json(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None
