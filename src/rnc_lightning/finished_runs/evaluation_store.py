"""The files of a finished run's evaluations: one folder per condition, used again while nothing has changed.

<run>/evaluations/<data and settings>/<condition>/result.json      metrics, and what they depend on
                                                  predictions.csv  one row per sample
                                                  features.npz     on request
<run>/evaluations/<data and settings>/corruptions.csv              all conditions evaluated so far
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from rnc_lightning.finished_runs.evaluation_conditions import ALL, Condition
from rnc_lightning.runs.directory import TestFolder
from rnc_lightning.system.code_version import code_version
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text


class EvaluationStore:
    """The evaluations of one run on the same data with the same settings.

    Args:
        path: Folder of the evaluations.
        key: Everything that they depend on apart from the condition (weights, data, settings), as plain values.
    """

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        self.path = path
        self.key = dict(key)
        self._corruption_code = code_version(["rnc_lightning.datasets.images.corrupted.CorruptedInputs"])

    def folder(self, condition: Condition) -> TestFolder:
        """The folder of a condition."""
        return TestFolder(self.path / condition.name)

    def read(self, condition: Condition, features: bool = False, ordinality: bool = False) -> dict[str, Any] | None:
        """The result of a condition; None if it was not evaluated, or on other weights or data.

        Args:
            condition: The condition.
            features: Whether the file of features must exist too.
            ordinality: Whether the metrics must include the order of the features.
        """
        folder = self.folder(condition)
        try:
            result = folder.result()
        except (OSError, UserError):  # a damaged file: the condition is evaluated again
            return None
        if result is None or result.get("key") != self._key(condition):
            return None
        if not all(isinstance(result.get(key), dict) for key in ("test", "samples")):
            return None
        lacks_features = features and not folder.features_file.is_file()
        lacks_ordinality = ordinality and "spearman" not in result["test"]
        return None if lacks_features or lacks_ordinality else result

    def write(self, condition: Condition, result: Mapping[str, Any]) -> None:
        """Write the result of a condition, after the other files of its folder."""
        self.folder(condition).write_result({**asdict(condition), **result, "key": self._key(condition)})

    def table(self, conditions: Sequence[Condition]) -> pd.DataFrame:
        """A row for each evaluated condition and each kind of its samples (`all`, `inside`, `outside`)."""
        rows = []
        for condition in conditions:
            if (result := self.read(condition)) is not None:
                samples = result["samples"].items()
                rows += [{**asdict(condition), "samples": name, **values} for name, values in samples]
        return pd.DataFrame(rows)

    def write_table(self) -> None:
        """Write `corruptions.csv` if more than the clean condition was evaluated."""
        table = self.table(ALL)
        if len(table) and table["severity"].any():
            write_text(self.path / "corruptions.csv", table.to_csv(index=False))

    def _key(self, condition: Condition) -> dict[str, Any]:
        code = {"corruption_code": self._corruption_code} if condition.severity else {}
        return {**self.key, **code, "condition": condition.name}
