"""The statistics of experiments/digits/compare.py, on made results."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

SCRIPT = Path(__file__).parents[2] / "experiments/digits/compare.py"


@pytest.fixture
def compare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _write(runs: Path, experiment: str, key: str, lr: float, seed: int, val: float, test: float, **more: Any) -> None:
    place = runs / experiment / f"{key}={lr},seed={seed}"
    place.mkdir(parents=True)
    regress = {"epochs": 2, "seconds": 1.0, "metrics": {"val/mae": val}}
    result = {
        "overrides": {key: str(lr), "seed": str(seed)}, "seed": seed,
        "status": "finished", "stages": {"regress": regress},
        "test": {"mae": test, "r2": 0.9, "spearman": 0.9, "kendall": 0.8}, "constant": {"mae": 45.0},
        "data_fingerprint": "abc", "machine": {"processor": "made", "threads": 1}, "versions": {"torch": "0"}, **more,
    }  # fmt: skip
    (place / "result.json").write_text(json.dumps(result))


def test_the_rate_is_chosen_on_validation_and_the_difference_is_paired(compare: ModuleType, tmp_path: Path) -> None:
    l1 = [5.0, 6.0, 7.5]
    rnc = [4.0, 5.5, 6.0]
    for seed in range(3):
        _write(tmp_path, "digits_l1", "recipe.end_to_end.lr", 0.1, seed, val=3.0, test=l1[seed])
        _write(tmp_path, "digits_l1", "recipe.end_to_end.lr", 0.2, seed, val=4.0, test=0.1)  # a test error is no reason
        _write(tmp_path, "digits_rnc", "recipe.pretrain.lr", 0.5, seed, val=2.0, test=rnc[seed])
    table = compare.collect(tmp_path)
    assert compare.choose(table) == {"L1, end to end": 0.1, "RnC, linear probe": 0.5}
    expected = stats.ttest_rel(l1, rnc).confidence_interval()
    mean, low, high = (float(x) for x in (np.mean(np.subtract(l1, rnc)), expected.low, expected.high))
    text = compare.report(table)
    assert f"L1 minus RnC: {mean:.2f} degrees" in text
    assert f"95% interval {low:.2f} to {high:.2f}; RnC is better in 3 of 3" in text


def test_runs_on_different_data_are_not_mixed(compare: ModuleType, tmp_path: Path) -> None:
    _write(tmp_path, "digits_l1", "recipe.end_to_end.lr", 0.1, 0, 1, 1)
    _write(tmp_path, "digits_rnc", "recipe.pretrain.lr", 0.1, 0, 1, 1, data_fingerprint="other")
    with pytest.raises(SystemExit, match="different data"):
        compare.collect(tmp_path)


def test_failed_runs_and_runs_with_other_changes_do_not_count(compare: ModuleType, tmp_path: Path) -> None:
    _write(tmp_path, "digits_l1", "recipe.end_to_end.lr", 0.1, 0, 1, 1, status="failed")
    _write(tmp_path, "digits_l1", "data.size=16,recipe.end_to_end.lr", 0.1, 1, 1, 1)
    with pytest.raises(SystemExit, match="no finished runs"):
        compare.collect(tmp_path)
