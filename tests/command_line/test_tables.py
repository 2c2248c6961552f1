"""The tables that commands print: labels of any size, every dimension, runs worse than the constant predictor."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from rnc_lightning.command_line.tables import print_evaluation, print_result

NAMES = {"height": {"unit": "cm"}, "pressure [x]": {"unit": "Pa"}}
ABOUT = {"method": "rnc", "scheme": "linear_probe", "seed": 0, "synthetic_parts": [], "units": ["cm", "Pa"]}


def result(**changes: Any) -> dict[str, Any]:
    test = {"mae": 175063.0, "mae/height": 1.234e-5, "mae/pressure [x]": 350125.3, "r2": 0.5, "r2/height": None}
    constant = {"mae": 95534.0, "mae/height": 2e-5, "mae/pressure [x]": 191068.0}
    common = {"dataset": "own", "target": NAMES, "stages": {}, "skipped": {}}
    return {**ABOUT, **common, "test": test, "constant": constant, "worse_than_constant": [], **changes}


def printed(found: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_result(found, Path("runs/x"), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def row(text: str, metric: str) -> list[str]:
    line = next(line for line in text.splitlines() if metric in line)
    return [cell.strip() for cell in line.strip("│ \n").split("│")]


def test_every_dimension_has_its_unit_and_significant_digits() -> None:
    text = printed(result())
    assert row(text, "mae (cm, Pa)") == ["mae (cm, Pa)", "175063", "95534"]
    assert row(text, "mae/height") == ["mae/height (cm)", "1.234e-05", "2.000e-05"]
    assert row(text, "mae/pressure") == ["mae/pressure [x] (Pa)", "350125", "191068"]
    assert row(text, "r2/height") == ["r2/height", "-", "-"]
    assert "WORSE" not in text


def test_the_last_lines_say_that_a_run_is_worse_than_the_constant_predictor() -> None:
    test = {"mae": 350125.0, "r2": -10.2}
    found = result(test=test, constant={"mae": 95534.0}, worse_than_constant=["mae", "r2"], units=["Pa", "Pa"])
    *_, absolute, squared = printed(found).splitlines()
    assert absolute == "WORSE than always predicting the median training label: mae (Pa) 350125 against 95534"
    assert squared == "In squared error WORSE than always predicting the mean test label: r2 -10.20"


def test_an_evaluation_shows_every_dimension() -> None:
    columns = {"corruption": "none", "severity": 0, "samples": "all", "count": 9, "mae": 5.0, "mae/height": 1.2e-5}
    about = {**ABOUT, "evaluated_on": "own", "key": {"part": "test"}, "names": list(NAMES)}
    console = Console(file=io.StringIO(), width=200)
    print_evaluation(pd.DataFrame([columns]), about, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert row(text, "mae/height") == ["mae/height (cm)", "1.200e-05"]
