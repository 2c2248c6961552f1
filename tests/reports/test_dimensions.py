"""Reports of targets with several dimensions, of labels of any size, and of runs worse than the constant predictor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnc_lightning.reports.html import page
from rnc_lightning.reports.latex import latex
from rnc_lightning.reports.markdown import markdown
from rnc_lightning.reports.read_runs import read_runs
from rnc_lightning.reports.table import Report, build_report
from rnc_lightning.reports.text import text_tables
from rnc_lightning.reports.tidy import tidy_csv

TWO = {"target": {"height": {"unit": "cm"}, "time|x": {"unit": "s"}}, "units": ["cm", "s"]}


def two(height: float, time: float, r2: float = 0.5) -> dict[str, Any]:
    errors = {"mae": (height + time) / 2, "mae/height": height, "mae/time|x": time}
    return {"test": {**errors, "r2": r2, "r2/height": r2, "r2/time|x": r2}, "constant": {"mae": 1.0}, **TWO}


@pytest.fixture
def report(write: Callable[..., Path], runs: Path) -> Report:
    write("own", "l1", 0, **two(2e-5, 350125.0))
    write("own", "l1", 1, **two(3e-5, 350125.0))
    write("own", "rnc_l1", 0, **two(1e-5, 95534.0, -2.0), worse_than_constant=["r2", "r2/height"])
    write("mpiifacegaze", "l1", 0, **{**two(1.0, 1.0), "test": {"angular": 5.0, "r2": 0.5, "r2/height": 0.5}})
    write("agedb", "l1", 0, target={"age": {"unit": "years"}})
    return build_report(*read_runs(runs))


def test_each_dimension_has_its_tables_with_its_unit(report: Report) -> None:
    own = [(table.metric, table.unit) for table in report.tables if table.dataset == "own"]
    assert own == [
        ("mae", "cm, s"), ("r2", ""), ("mae/height", "cm"), ("r2/height", ""), ("mae/time|x", "s"), ("r2/time|x", "")
    ]  # fmt: skip
    assert [table.metric for table in report.main_tables] == ["mae", "angular", "mae"]
    others = [(table.dataset, table.metric) for table in report.tables if table.dataset != "own"]
    assert len(others) == 4, "one dimension, and data that the paper's tables show, have no such tables"


def test_numbers_have_significant_digits_and_gains(report: Report) -> None:
    tables = {table.title: table for table in text_tables(report)}
    [alone, on_rnc] = tables["own: MAE of height (cm)"].groups[0][1]
    assert alone.texts["mean"] == "0.0000250 ± 0.0000071"
    assert (on_rnc.texts["mean"], on_rnc.texts["gain"]) == ("0.0000100", "+0.0000100")
    [alone, on_rnc] = tables["own: MAE of time|x (s)"].groups[0][1]
    assert (alone.texts["mean"], on_rnc.texts["mean"]) == ("350125.00 ± 0.00", "95534.00")
    [_, on_rnc] = tables["own: R² of height"].groups[0][1]
    assert on_rnc.texts["gain"] == "-2.500"


def test_the_report_warns_of_runs_that_are_worse_than_the_constant_predictor(report: Report) -> None:
    [warning] = report.warnings
    assert warning == "own, RnC(L1): WORSE than the constant predictor, seed 0 (r2, r2/height)."


def test_every_format_has_the_dimensions(report: Report) -> None:
    assert "MAE of time\\|x (s)" in markdown(report)
    assert r"MAE of time\textbar{}x (s)" in latex(report)
    html = page(report)
    assert all(f'id="own-{name}"' in html for name in ("mae", "r2", "mae-1", "r2-1", "mae-2", "r2-2"))
    lines = [line.split(",")[:3] for line in tidy_csv(report).splitlines()]
    assert ["own", "mae/height", "rnc_l1"] in lines
    assert len(lines) == len(set(map(tuple, lines)))
