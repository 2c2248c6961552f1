from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.studies.reduced_data import ReducedData

StandIn = Callable[..., StudyRun]
METHODS = {"l1": "L1", "rnc": "RnC(L1)"}
ERRORS = {
    ("l1", 1000): (10.0, 12.0, 11.0),
    ("rnc", 1000): (9.0, 11.0, 10.0),
    ("l1", 20): (20.0, 22.0, 21.0),
    ("rnc", 20): (16.0, 17.0, 17.0),
}


@pytest.fixture
def runs(stand_in: StandIn) -> list[StudyRun]:
    return [
        stand_in(method, seed, {"train_size": size}, {"mae": error})
        for (method, size), errors in ERRORS.items()
        for seed, error in enumerate(errors)
    ]


def test_errors_gains_and_claims(runs: list[StudyRun]) -> None:
    findings = ReducedData(METHODS, {20: {}, 1000: None}).findings(runs)
    assert findings.tables[0].rows == [
        ["1,000", "11.00 ± 1.00", "10.00 ± 1.00", "+1.00 [+1.00, +1.00]"],
        ["20", "21.00 ± 1.00", "16.67 ± 0.58", "+4.33 [+2.90, +5.77]"],
    ]
    assert findings.tables[1].rows[0] == ["16,000", "9.78", "9.36"]
    most, least, growing = findings.claims
    assert most.measured == "+9.1 % [+7.1, +11.2], 3 seeds"
    assert (most.claim, most.published) == (
        "RnC helps with 1,000 training samples",
        "+4.3 % (IMDB-WIKI, 16,000 samples: 9.78 to 9.36 years)",
    )
    assert least.mean == pytest.approx((20 + 500 / 22 + 400 / 21) / 3)
    assert least.published.endswith("18.60 to 15.09 years)")
    assert growing.mean == pytest.approx((10 + (500 / 22 - 100 / 12) + (400 / 21 - 100 / 11)) / 3)
    assert growing.published == "IMDB-WIKI: the gain goes from 4.3 to 18.9 % of the error"
    assert {claim.verdict for claim in findings.claims} == {"holds"}


def test_reversed_effects_do_not_hold(runs: list[StudyRun]) -> None:
    findings = ReducedData({"rnc": "RnC(L1)", "l1": "L1"}, {20: {}, 1000: {}}).findings(runs)
    assert [claim.verdict for claim in findings.claims] == ["does not hold"] * 3


def test_what_is_missing_is_a_dash(runs: list[StudyRun], tmp_path: Path, figures: Any) -> None:
    """No RnC with 20 samples, and one of its seeds with 1,000."""
    there = [run for run in runs if run.method == "l1" or (run.levels["train_size"] == 1000 and run.seed < 2)]
    findings = ReducedData(METHODS, {20: {}, 1000: {}}).findings(there)
    assert findings.tables[0].rows[0] == ["1,000", "11.00 ± 1.00", "10.00 ± 1.41", "+1.00 [+1.00, +1.00]"]
    assert findings.tables[0].rows[1][2:] == ["-", "-"]
    assert [claim.claim for claim in findings.claims] == ["RnC helps with 1,000 training samples"]
    assert findings.draw is not None
    findings.draw(tmp_path / "figure.png")
    measured, authors = figures[0].axes
    assert [list(line.get_xdata()) for line in measured.lines] == [[20, 1000], [1000]]
    assert list(authors.lines[0].get_ydata()) == [18.60, 13.00, 10.74, 9.78]


def test_sizes_alone_are_random_subsets_of_the_seed() -> None:
    study = ReducedData(METHODS, [100, 50])
    assert study.options_by_size == {100: {"data.subset.size": 100}, 50: {"data.subset.size": 50}}
    assert study._options(50, 3) == {"data.subset.size": 50, "data.subset.seed": 3}
    assert ReducedData(METHODS, {100: None})._options(100, 3) == {}
