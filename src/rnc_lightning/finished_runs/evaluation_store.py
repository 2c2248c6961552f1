"""Evaluations of a finished run on disk, a folder a condition, read again where nothing has changed since.

<run>/evaluations/<data and settings>/<condition>/result.json      metrics, and what they depend on
                                                  predictions.csv  a row a sample
                                                  features.npz     where asked for
<run>/evaluations/<data and settings>/corruptions.csv              all conditions evaluated so far
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rnc_lightning.finished_runs.evaluation_conditions import ALL, Condition
from rnc_lightning.system.code_version import code_version
from rnc_lightning.system.files import write_text


class EvaluationStore:
    """The evaluations of one run on the same data with the same settings.

    Args:
        path: Their folder.
        key: All that they depend on beside the condition, as plain values: weights, data, settings.
    """

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        self.path = path
        self.key = dict(key)
        self._corruption_code = code_version(["rnc_lightning.datasets.images.corrupted.CorruptedInputs"])

    def folder(self, condition: Condition) -> Path:
        """Where a condition's evaluation lies."""
        return self.path / condition.name

    def read(self, condition: Condition, features: bool = False, ordinality: bool = False) -> dict[str, Any] | None:
        """What was found under a condition; None where it was not evaluated, or on other weights or data.

        Args:
            condition: The condition.
            features: Whether the features must be there too.
            ordinality: Whether the order of the features must be among the metrics.
        """
        folder = self.folder(condition)
        try:
            found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # ValueError: cut short, so it is evaluated again
            return None
        if found.get("key") != self._key(condition) or (features and not (folder / "features.npz").is_file()):
            return None
        return None if ordinality and "spearman" not in found["test"] else found

    def write(self, condition: Condition, found: Mapping[str, Any]) -> None:
        """Keep what was found; the last file of its folder."""
        about = {"corruption": condition.corruption, "severity": condition.severity}
        text = json.dumps({**about, **found, "key": self._key(condition)}, indent=1)
        write_text(self.folder(condition) / "result.json", text)

    def table(self, conditions: Sequence[Condition]) -> pd.DataFrame:
        """A row for each condition that was evaluated, or for each of its kinds of samples."""
        rows = []
        for condition in conditions:
            if (found := self.read(condition)) is not None:
                about = {"corruption": condition.corruption, "severity": condition.severity}
                rows += [{**about, "samples": name, **values} for name, values in found["samples"].items()]
        return pd.DataFrame(rows)

    def write_table(self) -> None:
        """Write `corruptions.csv` where there is more than the clean condition."""
        table = self.table(ALL)
        if len(table) and table["severity"].any():
            write_text(self.path / "corruptions.csv", table.to_csv(index=False))

    def _key(self, condition: Condition) -> dict[str, Any]:
        code = {"corruption_code": self._corruption_code} if condition.severity else {}
        return {**self.key, **code, "condition": condition.name}
