"""What is read from a result.json, and what is rejected with a reason."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnc_lightning.reports.read_runs import read_runs


def test_overrides_become_options(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, overrides={"data.digits": "[3,5]", "encoder": "{a:1}", "seed": "0"})
    (run,) = read_runs(runs)[0]
    assert run.variant == ("data.digits=[3,5]", "encoder={a:1}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "nested more than 100 levels deep"),
        (b'{"seed": 0}', "missing: experiment, overrides, dataset, method, scheme, head, with, setting, status"),
    ],
)
def test_a_corrupt_file_is_a_problem_and_no_crash(
    write: Callable[..., Path], runs: Path, content: bytes, reason: str
) -> None:
    write("digits", "l1", 0)
    (runs / "broken").mkdir()
    (runs / "broken/result.json").write_bytes(content)
    read, (problem,) = read_runs(runs)
    assert len(read) == 1
    assert problem.path == "broken/result.json"
    assert re.search(reason, problem.reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": "0"}, "seed must be a whole number, got '0'"),
        ({"seed": True}, "seed must be a whole number, got True"),
        ({"status": "done"}, "status must be one of finished, failed, unfinished, got 'done'"),
        ({"dataset": 3}, "dataset must be text, got 3"),
        ({"dataset": None}, "dataset must be text, got None"),
        ({"overrides": 3}, "overrides must be an object, got 3"),
        ({"test": {"mae": "4"}}, "test.mae must be a number, got '4'"),
        ({"test": {"mae": 10**400}}, "test.mae is too large"),
        ({"test": [1]}, r"test must be an object, got \[1\]"),
        ({"test": None}, "finished, but without test metrics"),
        ({"units": "years"}, "units must be a list of text, got 'years'"),
        ({"setting": None}, "setting must be text, got None"),
        ({"with": None}, "with must be a list of text, got None"),
        ({"with": "ranksim"}, "with must be a list of text, got 'ranksim'"),
        ({"with": [1]}, r"with must be a list of text, got \[1\]"),
        ({"with": ["lds", "../fds"]}, "with must contain names of letters, digits and _.- only, got '../fds'"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(
    write: Callable[..., Path], runs: Path, changes: dict[str, Any], reason: str
) -> None:
    write("digits", "l1", 0, **changes)
    read, (problem,) = read_runs(runs)
    assert read == []
    assert re.search(reason, problem.reason)


def test_what_was_added_is_read_and_what_chose_it_is_no_variant(write: Callable[..., Path], runs: Path) -> None:
    options = {
        "weighting": "lds",
        "calibration": "none",
        "regularizers": "[ranksim,conr]",
        "regularizers.conr.weight": "2",
    }
    write("digits", "l1", 0, options=options, added=["lds", "ranksim", "conr"])
    write("digits", "mse", 0, **{"with": []})
    nothing, added = sorted(read_runs(runs)[0], key=lambda run: run.extras)
    assert added.extras == ("lds", "ranksim", "conr")
    assert added.variant == ("calibration=none", "regularizers.conr.weight=2")
    assert nothing.extras == ()


def test_parts_of_runs_and_reports_are_left_out(write: Callable[..., Path], runs: Path) -> None:
    kept = write("digits", "l1", 0)
    for folder in ("encoders", "stages", "report"):
        nested = kept.parent / folder / "deep"
        nested.mkdir(parents=True)
        (nested / "result.json").write_text("{")
    read, problems = read_runs(runs)
    assert [run.directory for run in read] == [kept.parent]
    assert problems == []


def test_what_is_not_finite_counts_as_absent(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, test={"mae": float("nan"), "r2": float("inf"), "rmse": None})
    (run,), _ = read_runs(runs)
    assert run.test == {"mae": None, "r2": None, "rmse": None}
