from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.studies.transfer import Transfer

StandIn = Callable[..., StudyRun]
METHODS = {"l1": "L1", "rnc": "RnC(L1)"}
DIRECTIONS: dict[str, dict[str, Any]] = {
    "there": {"source": {}, "target": {}, "published": {"source": "agedb", "dataset": "imdb_wiki_2k"}},
    "back": {"source": {}, "target": {}},
}
ERRORS = {
    ("l1", "source"): (5.0, 5.0, 5.0),
    ("l1", "linear_probe"): (10.0, 12.0, 11.0),
    ("rnc", "linear_probe"): (9.0, 11.0, 10.0),
    ("l1", "fine_tune"): (8.0, 8.0, 8.0),
    ("rnc", "fine_tune"): (8.8, 8.4, 8.8),
}


@pytest.fixture
def runs(stand_in: StandIn) -> list[StudyRun]:
    return [
        stand_in(
            method,
            seed,
            {"direction": "there", "scheme": scheme},
            {"mae": error},
            dataset="first" if scheme == "source" else "second",
        )
        for (method, scheme), errors in ERRORS.items()
        for seed, error in enumerate(errors)
    ]


def test_errors_on_the_target_beside_the_published_ones(runs: list[StudyRun]) -> None:
    findings = Transfer(METHODS, DIRECTIONS).findings(runs)
    authors = "+9.2 % (agedb to imdb_wiki_2k: 12.25 to 11.12 years)"
    rows = findings.tables[0].rows
    assert rows[0] == ["there, linear probe", "11.00 ± 1.00", "10.00 ± 1.00", "+1.00 [+1.00, +1.00]", authors]
    assert rows[1][1:4] == ["8.00 ± 0.00", "8.67 ± 0.23", "-0.67 [-1.24, -0.09]"]
    assert rows[2] == ["back, linear probe", "-", "-", "-", ""]  # has not been run
    assert rows[4] == ["there: on the source itself", "5.00 ± 0.00", "-", "", ""]
    assert {len(row) for row in rows} == {len(findings.tables[0].headings)}


def test_claims_name_the_data_they_were_measured_on(runs: list[StudyRun]) -> None:
    probe, tune = Transfer(METHODS, DIRECTIONS).findings(runs).claims
    assert (probe.dataset, tune.dataset) == ("second", "second")
    assert probe.mean == pytest.approx((100 / 10 + 100 / 12 + 100 / 11) / 3)
    assert (probe.claim, probe.verdict) == ("RnC transfers better: there, linear probe", "holds")
    assert (tune.measured, tune.verdict) == ("-8.3 % [-15.5, -1.2], 3 seeds", "does not hold")


def test_figure_has_a_dot_a_seed(runs: list[StudyRun], tmp_path: Path, figures: Any) -> None:
    draw = Transfer(METHODS, DIRECTIONS).findings(runs).draw
    assert draw is not None
    draw(tmp_path / "figure.png")
    (axes,) = figures[0].axes
    dots = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]
    assert dots == [[10, 12, 11], [8, 8, 8], [], [], [9, 11, 10], [8.8, 8.4, 8.8], [], []]
