"""How every format shows the competing methods."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rnc_lightning.reports.contents import COMPETING, REGRESSION
from rnc_lightning.reports.figure import draw_competing, reference
from rnc_lightning.reports.read_runs import read_runs
from rnc_lightning.reports.table import build_report
from rnc_lightning.reports.write import report_runs

GROUPS = ["Linear probing", "Fine-tuning", "Regression methods", "Rank-N-Contrast"]


def _study(write: Callable[..., Path], *datasets: str) -> None:
    for dataset in datasets:
        for seed in range(2):
            write(dataset, "l1", seed, 6.5 + seed)
            write(dataset, "rnc_l1", seed, 6.0 + seed)
            write(dataset, "mse", seed, 6.625 + seed)
            write(dataset, "simclr_l1", seed, 9.0 + seed)
            write(dataset, "simclr_l1", seed, 6.4 + seed, scheme="fine_tune")
            write(dataset, "l1", seed, 6.25 + seed, added=["lds", "fds"])


def _after(text: str, title: str) -> str:
    """Return the text after a title, up to the end of its table."""
    return text[text.index(title) :].partition("R²" if "R²" in text else "R$^2$")[0]


def test_each_format_heads_the_groups(
    write: Callable[..., Path], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _study(write, "digits")
    report_runs(runs)
    texts = {"terminal": capsys.readouterr().out}
    texts |= {name: (runs / f"report/report.{name}").read_text(encoding="utf-8") for name in ("md", "tex", "html")}
    for name, text in texts.items():
        assert "digits, regression methods: MAE (years)" in text, name
        table = _after(text, "digits, competing methods: MAE (years)")
        places = [table.index(group) for group in GROUPS]
        assert places == sorted(places), name
        assert places[2] < table.index("LDS + FDS") < places[3], name
        assert "published, AgeDB (years)" in " ".join(re.sub("[┃│]", " ", table).split()) or name == "terminal"
        assert "9.59" in table, name
        assert "9.59" not in text.partition("digits, competing methods: MAE")[0], name
    assert texts["md"].startswith("# Regression and competing methods\n")
    assert "<h1>Regression and competing methods</h1>" in texts["html"]
    widths = {line.count("|") for line in _after(texts["md"], "## digits, competing").splitlines() if line[:1] == "|"}
    assert widths == {7}


def test_the_csv_holds_each_row_once(write: Callable[..., Path], runs: Path) -> None:
    _study(write, "digits", "agedb")
    report_runs(runs)
    rows = list(csv.DictReader((runs / "report/report.csv").open(encoding="utf-8")))
    keys = [(row["dataset"], row["metric"], row["row"], row["scheme"], row["variant"]) for row in rows]
    assert len(set(keys)) == len(keys)
    found = {row["row"]: row for row in rows if (row["dataset"], row["metric"]) == ("digits", "mae")}
    assert found["l1"]["tables"] == found["constant"]["tables"] == f"{REGRESSION}, {COMPETING}"
    assert (found["mse"]["tables"], found["mse"]["published_agedb"]) == (REGRESSION, "")
    assert (found["lds_fds"]["tables"], found["lds_fds"]["with"]) == (COMPETING, "lds fds")
    assert found["l1"]["published_agedb"] == "6.63"  # though its first table has no such column
    assert (found["lds_fds"]["published"], found["lds_fds"]["published_agedb"]) == ("", "6.45")
    assert {row["published_agedb"] for row in rows if row["dataset"] == "agedb"} == {""}


def test_data_sets_are_set_side_by_side_for_each_kind(write: Callable[..., Path], runs: Path) -> None:
    _study(write, "digits", "agedb")
    report_runs(runs)
    text = (runs / "report/report.md").read_text(encoding="utf-8")
    first, second = (
        text[text.index(f"## All data sets: {kind}") :].split("\n\n")[1] for kind in (REGRESSION, COMPETING)
    )
    assert "| MSE | 7.12 ± 0.71 | 7.12 ± 0.71 |" in first
    assert "SimCLR" not in first
    assert "| LDS + FDS | 6.75 ± 0.71 | 6.75 ± 0.71 |" in second
    assert "MSE" not in second
    page = (runs / "report/report.html").read_text(encoding="utf-8")
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)


def test_a_report_without_competing_methods_speaks_of_none(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0)
    write("agedb", "rnc_l1", 0, scheme="fine_tune")
    report_runs(runs)
    for name in ("md", "tex", "csv"):
        text = (runs / f"report/report.{name}").read_text(encoding="utf-8")
        assert not re.search("ompeting|Linear probing|All data sets:|tables", text), name
    assert (runs / "report/report.md").read_text().startswith("# Regression table\n")


def test_the_figure_has_a_line_where_l1_alone_stands(write: Callable[..., Path], runs: Path) -> None:
    from matplotlib.figure import Figure

    _study(write, "digits")
    write("digits", "l1", 0, 3.0, options={"data.size": "16"})
    write("digits", "l1", 0, status="failed", added=["conr"])
    (table,) = (t for t in build_report(*read_runs(runs)).main_tables if t.kind == COMPETING)
    axes = Figure().subplots()
    draw_competing(axes, table)
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["SimCLR(L1)", "SimCLR(L1), fine-tuned", "L1", "L1\ndata.size=16", "LDS + FDS", "RnC(L1)"]
    (line,) = (line for line in axes.get_lines() if line.get_label() == "L1 alone")
    assert set(line.get_xdata()) == {7.0}
    assert reference([cell for cell in table.cells if cell.row.label != "L1"]) is None
