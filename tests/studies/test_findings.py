from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from rnc_lightning.reports.claims import Claim, read_claims
from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.studies.findings import Findings, Table, describe_runs, print_findings, write_findings

StandIn = Callable[..., StudyRun]
FOUND = Findings(
    [Table("Errors", ["size | part", "L1"], [["1,000", "3.50 ± 0.71 [+1.00, +2.00]"]])],
    [Claim("RnC helps", "AgeDB: 1", "shown", "+3.0 %", "holds", 3.0)],
    pd.DataFrame({"method": ["l1"], "mae": [1 / 3]}),
    lambda path: path.write_bytes(b"drawn"),
    ["A note."],
)


@pytest.mark.parametrize(
    ("synthetic", "note"),
    [(["inputs", "target"], "**Synthetic data**"), (["target"], "**Synthetic target**"), ([], None)],
)
def test_files_of_a_study(tmp_path: Path, stand_in: StandIn, synthetic: list[str], note: str | None) -> None:
    runs = [stand_in("l1", 0, {}, {"mae": 1.0}), stand_in("l1", 3, {}, {"mae": 1.0}, synthetic_parts=synthetic)]
    write_findings(FOUND, "Title", "Question?", runs, tmp_path / "new" / "out")
    out = tmp_path / "new" / "out"
    assert sorted(file.name for file in out.iterdir()) == ["claims.csv", "figure.png", "results.csv", "results.md"]
    page = (out / "results.md").read_text()
    assert page.startswith("# Title\n\nQuestion?\n\n")
    assert (note in page) if note else "**Synthetic" not in page  # one run is enough
    for line in (
        "![Title](figure.png)",
        "## Errors",
        "| size \\| part | L1 |",
        "| 1,000 | 3.50 ± 0.71 [+1.00, +2.00] |",
        "| RnC helps | AgeDB: 1 | shown: +3.0 % | holds |",
        "- A note.",
        "- 2 runs, seeds 0, 3",
    ):
        assert line in page.splitlines()
    assert (out / "results.csv").read_text() == "method,mae\nl1,0.333333\n"
    assert read_claims(out / "claims.csv") == list(FOUND.claims)


def test_without_figure_and_claims(tmp_path: Path, stand_in: StandIn) -> None:
    found = Findings(FOUND.tables, [], FOUND.data)
    write_findings(found, "Title", "Question?", [stand_in("l1", 0, {}, {})], tmp_path)
    page = (tmp_path / "results.md").read_text()
    assert "figure" not in page
    assert "Claims" not in page
    assert not (tmp_path / "figure.png").exists()


def test_descriptions_count_what_differs(stand_in: StandIn) -> None:
    runs = [
        stand_in("l1", 0, {}, {}),
        stand_in("rnc", 0, {}, {}, machine={"processor": "another", "gpu": "H100"}),
        stand_in("rnc", 1, {}, {}, git_revision="def", data_fingerprint="f2", seconds=600.0),
    ]
    assert describe_runs(runs) == [
        "3 runs, seeds 0, 1",
        "data (fingerprint): shown (f1) (2 runs), shown (f2) (1 run)",
        "machines: a processor, no GPU (2 runs), another, H100 (1 run)",
        "git revisions: abc (2 runs), def (1 run)",
        "training time: 12 minutes in all",
    ]


def test_shown_as_written() -> None:
    console = Console(record=True, width=200)
    print_findings(FOUND, Path("out"), console)
    shown = console.export_text()
    for text in ("3.50 ± 0.71 [+1.00, +2.00]", "shown: +3.0 %", "A note.", "out/results.md", "out/figure.png"):
        assert text in shown
