"""The page in a browser: loaded from the file system, its tables read back out of the document."""

import base64
import csv
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rnc_lightning.reports.write import report_runs

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
VALUES = {
    "l1": [6.5, 6.6, 6.9], "rnc_l1": [6.0, 6.2, 6.1], "mse": [6.8, 7.0, 7.1], "rnc_mse": [6.3, 6.1, 6.4],
    "dex": [10.5], "rnc_dex": [9.25],
}  # fmt: skip


class Document(HTMLParser):
    """What the tests read from a page: tables as rows of cells, links, pictures with their captions."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[dict[str, dict[str, str]]]] = {}
        self.sorted: dict[str, dict[str, str]] = {}
        self.links: list[str] = []
        self.text = ""
        self._table = ""
        self._cell: dict[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.links += [found[key] for key in ("src", "href", "srcset", "data", "action") if key in found]
        if tag == "table":
            self._table = found.get("id", "matrix")
            self.tables[self._table], self.sorted[self._table] = [], {}
        elif tag == "tr":
            self.tables[self._table].append({"hidden": {}} if "hidden" in found else {})
        elif tag in ("td", "th"):
            self._cell = {"text": "", "value": found.get("data-value", "")}
            if self._table:
                self.tables[self._table][-1][found.get("data-key", "")] = self._cell
            if "aria-sort" in found:
                self.sorted[self._table][found["data-key"]] = found["aria-sort"]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell is not None:
            self._cell["text"] += data


@pytest.fixture(scope="module")
def browser() -> str:
    """Chromium; its absence skips the test, or fails it where RNC_REQUIRE_BROWSER=1 asks for it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        reason = f"no browser: none of {', '.join(names)} is on the PATH"
        if os.environ.get("RNC_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture
def load(browser: str, tmp_path: Path) -> Callable[..., Document]:
    """Loads a file, with a fragment, and returns the document after its script ran."""

    def dump(path: Path, fragment: str = "") -> Document:
        profile = tmp_path / "profile"
        shutil.rmtree(profile, ignore_errors=True)
        called = subprocess.run(
            [browser, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", path.as_uri() + fragment],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert called.returncode == 0, called.stderr
        return Document(called.stdout)

    return dump


@pytest.fixture
def page(write: Callable[..., Path], runs: Path, png: Callable[..., None]) -> Path:
    """The page of a small study, one of its runs with plots."""
    for name, values in VALUES.items():
        for seed, value in enumerate(values):
            path = write("agedb", name, seed, value)
            if (name, seed) in (("l1", 0), ("rnc_l1", 0)):
                for index, plot in enumerate(("projection_pca", "predictions", "curves_regress")):
                    png(path.parent / "plots" / f"{plot}.png", 100 + index + 50 * name.startswith("rnc"))
    report_runs(runs)
    return runs / "report/report.html"


def test_the_numbers_in_the_document_are_those_of_the_csv(page: Path, load: Callable[..., Document]) -> None:
    document = load(page)
    rows = list(csv.DictReader(page.with_suffix(".csv").open(encoding="utf-8")))
    for metric in ("mae", "r2"):
        _heading, *lines = document.tables[f"agedb-{metric}"]
        expected = [row for row in rows if row["metric"] == metric]
        assert [line["method"]["text"] for line in lines] == [row["label"] for row in expected]
        for line, row in zip(lines, expected, strict=True):
            for key in ("mean", "gain", "published", "difference"):
                assert (line[key]["value"] == "") == (row[key] == ""), (row["label"], key)
                if row[key]:
                    assert float(line[key]["value"]) == pytest.approx(float(row[key]), rel=1e-12)
                    shown = line[key]["text"].replace("\N{MINUS SIGN}", "-").split()[0]
                    assert float(shown) == pytest.approx(float(row[key]), abs=0.00501 if metric == "mae" else 0.000501)
    assert all(order == "none" for order in document.sorted["agedb-mae"].values())


@pytest.mark.parametrize(("direction", "aria"), [("asc", "ascending"), ("desc", "descending")])
def test_a_fragment_sorts_a_table_by_its_numbers(
    page: Path, load: Callable[..., Document], direction: str, aria: str
) -> None:
    document = load(page, f"#sort=agedb-mae:mean:{direction}")
    heading, constant, *lines = document.tables["agedb-mae"]
    assert "mean" in heading
    assert constant["method"]["text"] == "constant predictor"
    values = [line["mean"]["value"] for line in lines]
    numbers = [float(value) for value in values if value]
    assert numbers == sorted(numbers, reverse=direction == "desc")
    assert len(numbers) == len(VALUES)  # 10.5 after 9.25: by number and not by text
    assert values[len(numbers) :] == [""] * (14 - len(numbers))  # without a number: last either way
    assert document.sorted["agedb-mae"] == {
        key: aria if key == "mean" else "none" for key in document.sorted["agedb-mae"]
    }
    assert all(order == "none" for order in document.sorted["agedb-r2"].values())


@pytest.mark.parametrize(("order", "headed"), [("", True), ("mean:asc", False), ("method:asc", True)])
def test_sorting_by_a_number_hides_the_headings_of_groups(
    write: Callable[..., Path], runs: Path, load: Callable[..., Document], order: str, headed: bool
) -> None:
    for name, value in (("simclr_l1", 9.0), ("l1", 7.0), ("rnc_l1", 6.0), ("lde", 6.5)):
        write("digits", name, 0, value)
    report_runs(runs)
    document = load(runs / "report/report.html", f"#sort=digits-competing-mae:{order}" if order else "")
    _heading, _constant, *lines = document.tables["digits-competing-mae"]
    shown = [
        line["method"]["text"] if "method" in line else line["part"]["text"] for line in lines if "hidden" not in line
    ]
    assert shown == (
        ["Linear probing", "SimCLR(L1)", "Regression methods", "L1", "LDE", "Rank-N-Contrast", "RnC(L1)"]
        if headed
        else ["RnC(L1)", "LDE", "L1", "SimCLR(L1)"]
    )


@pytest.mark.parametrize("fragment", ["#sort=agedb-mae:nothing:asc", "#sort=nothing:mean:asc", "#agedb", "#sort=%"])
def test_a_fragment_that_names_nothing_changes_nothing(
    page: Path, load: Callable[..., Document], fragment: str
) -> None:
    assert load(page, fragment).tables == load(page).tables


def test_the_page_asks_for_nothing_outside(page: Path, load: Callable[..., Document]) -> None:
    document = load(page)
    assert document.links
    assert all(link.startswith(("data:", "#")) for link in document.links), document.links
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"url\(|@import|https?:|fetch\(|XMLHttpRequest", text) == []
    assert "default-src 'none'" in text


def test_plots_are_embedded_and_missing_ones_are_reported(page: Path) -> None:
    document = Document(page.read_text(encoding="utf-8"))
    content = [base64.b64decode(link.partition(",")[2]) for link in document.links if link.startswith("data:image/png")]
    plots = sorted(page.parent.parent.rglob("plots/*.png"))
    assert len(plots) == 6
    assert {path.read_bytes() for path in plots} | {page.with_suffix(".png").read_bytes()} == set(content)
    assert "RnC(L1), seed 0, MAE 6.00 years" in document.text
    assert "this run has no plots/projection_pca.png" in document.text


def test_a_plot_that_is_no_picture_is_reported(write: Callable[..., Path], runs: Path) -> None:
    path = write("agedb", "l1", 0)
    (path.parent / "plots").mkdir()
    (path.parent / "plots/predictions.png").write_text("<svg>")
    report_runs(runs)
    text = (runs / "report/report.html").read_text(encoding="utf-8")
    assert "predictions.png is not a PNG file" in text
