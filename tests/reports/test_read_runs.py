"""What is read of a result.json, and what is refused with a reason."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnc_lightning.reports.read_runs import read_runs, split_words


def test_older_runs_without_head_setting_and_code_are_read(write: Callable[..., Path], runs: Path) -> None:
    path = write("digits", "l1", 3, 4.0)
    old = json.loads(path.read_text())
    for key in ("head", "setting", "code"):
        del old[key]
    old["overrides"] = "recipe.end_to_end.lr=0.1,seed=3"
    path.write_text(json.dumps(old))
    (run,), problems = read_runs(runs)
    assert not problems
    assert (run.head, run.seed, run.code, run.variant) == ("l1", 3, None, ("recipe.end_to_end.lr=0.1",))
    assert run.setting


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("recipe.end_to_end.lr=0.1,seed=0", "recipe.end_to_end.lr=0.1,seed=1", True),
        ("recipe.end_to_end.lr=0.1,seed=0", "recipe.end_to_end.lr=0.2,seed=0", False),
        ("a" * 120 + "-12345678", "a" * 120 + "-87654321", False),  # cut: what was cut off is not known
    ],
)
def test_without_a_setting_the_overrides_but_for_the_seed_stand_in(
    write: Callable[..., Path], runs: Path, first: str, second: str, same: bool
) -> None:
    for index, words in enumerate((first, second)):
        write("digits", "l1", index, overrides=words, setting=None)
    read, _ = read_runs(runs)
    assert len({run.setting for run in read}) == (1 if same else 2)


def test_overrides_are_read_as_an_object_and_as_text(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, overrides={"data.digits": "[3,5]", "encoder": "{a:1}", "seed": "0"})
    write("digits", "l1", 1, overrides="data.digits=[3,5],encoder=_a_1_,seed=1-0123abcd")
    exact, sanitised = read_runs(runs)[0]
    assert exact.variant == ("data.digits=[3,5]", "encoder={a:1}")
    assert sanitised.variant == ("data.digits=[3,5]", "encoder=_a_1_")
    assert split_words("") == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "RecursionError|recursion|not valid JSON"),
        (b'{"seed": 0}', "lacks experiment, overrides, dataset, method, scheme, status"),
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
        ({"overrides": 3}, "overrides must be an object or text, got 3"),
        ({"test": {"mae": "4"}}, "test.mae must be a number, got '4'"),
        ({"test": {"mae": 10**400}}, "test.mae is too large a number"),
        ({"test": [1]}, r"test must be an object, got \[1\]"),
        ({"test": None}, "finished, but without test metrics"),
        ({"units": "years"}, "units must be a list of text, got 'years'"),
        ({"with": "ranksim"}, "with must be a list of text, got 'ranksim'"),
        ({"with": [1]}, r"with must be a list of text, got \[1\]"),
        ({"with": ["lds", "../fds"]}, "with must hold names of letters, digits and _.-, got '../fds'"),
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
    words = {
        "weighting": "lds",
        "calibration": "none",
        "regularizers": "[ranksim,conr]",
        "regularizers.conr.weight": "2",
    }
    write("digits", "l1", 0, words=words, added=["lds", "ranksim", "conr"])
    write("digits", "mse", 0, **{"with": []})
    write("digits", "mse", 1, **{"with": None})
    *nothing, added = sorted(read_runs(runs)[0], key=lambda run: run.extras)
    assert added.extras == ("lds", "ranksim", "conr")
    assert added.variant == ("calibration=none", "regularizers.conr.weight=2")
    assert [run.extras for run in nothing] == [(), ()]


def test_parts_of_runs_and_reports_are_left_out(write: Callable[..., Path], runs: Path) -> None:
    kept = write("digits", "l1", 0)
    for folder in ("encoders", "stages", "report"):
        place = kept.parent / folder / "deep"
        place.mkdir(parents=True)
        (place / "result.json").write_text("{")
    read, problems = read_runs(runs)
    assert [run.directory for run in read] == [kept.parent]
    assert problems == []


def test_what_is_not_finite_counts_as_absent(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, test={"mae": float("nan"), "r2": float("inf"), "rmse": None})
    (run,), _ = read_runs(runs)
    assert run.test == {"mae": None, "r2": None, "rmse": None}
