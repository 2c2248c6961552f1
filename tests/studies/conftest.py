"""Runs that were never trained: what a study reads of a finished run, written by hand."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figure_fixtures import figures, picture

from rnc_lightning.runs.request import RunRequest
from rnc_lightning.studies.bench import StudyRun

__all__ = ["figures", "picture"]


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[..., StudyRun]:
    """Makes a finished run of a study.

    `test` are its metrics; other keywords replace values of the result; `kept` are test samples, one row each of
    name, target, prediction and features.
    """

    def make(
        method: str,
        seed: int,
        levels: Mapping[str, Any],
        test: Mapping[str, float | None],
        kept: Sequence[tuple[str, float, float, Sequence[float]]] = (),
        **more: Any,
    ) -> StudyRun:
        named = ",".join(f"{key}={value}".replace("/", "_") for key, value in levels.items())
        path = tmp_path / "stand_ins" / f"{method},{named},seed={seed}"
        path.mkdir(parents=True)
        result = {
            "status": "finished",
            "dataset": "shown",
            "synthetic_data": False,
            "synthetic_parts": [],
            "data_fingerprint": "f1",
            "units": ["years"],
            "counts": {"train": 8, "val": 4, "test": 4},
            "machine": {"processor": "a processor"},
            "git_revision": "abc",
            "seconds": 60.0,
            "test": dict(test),
            **more,
        }
        (path / "result.json").write_text(json.dumps(result))
        if kept:
            names, targets, predictions, features = zip(*kept, strict=True)
            table = {"index": range(len(names)), "name": names, "age_target": targets, "age_prediction": predictions}
            pd.DataFrame(table).to_csv(path / "predictions.csv", index=False)
            np.savez(path / "features.npz", features=np.array(features), targets=np.array(targets)[:, None])
        return StudyRun(method, seed, levels, RunRequest({}, (f"method={method}", f"seed={seed}"), path.name, path))

    return make
