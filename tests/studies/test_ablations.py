from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnc_lightning.studies.ablations import Ablations
from rnc_lightning.studies.bench import StudyRun

StandIn = Callable[..., StudyRun]
FACTORS: dict[str, Any] = {
    "positives": {"title": "Positives", "reference": "all", "levels": {32: {"a": 1}, 64: {"a": 2}, 128: {"a": 3}}},
    "similarity": {"title": "Similarity", "reference": "negative L2", "levels": {"cosine": {"b": 1}, "gone": None}},
    "scheme": None,
}
CLAIMS = {
    "all": {"claim": "More than {worse}", "factor": "positives", "worse": None, "published": ["128", "511"]},
    "l2": {"claim": "L2", "factor": "similarity", "worse": "cosine", "published": ["cosine", "negative_l2"]},
    "scheme": {"claim": "S", "factor": "scheme", "worse": "fine_tune", "published": ["fine_tune", "linear_probe"]},
}
ERRORS = {
    ("reference", "reference"): (6.0, 6.2, 6.1),
    ("positives", "32"): (7.0, 7.1, 7.2),
    ("positives", "64"): (6.0,),
    ("similarity", "cosine"): (5.4, 5.4, 5.4),
}


@pytest.fixture
def runs(stand_in: StandIn) -> list[StudyRun]:
    return [
        stand_in("rnc", seed, {"factor": factor, "level": level}, {"mae": error, "spearman": error / 10})
        for (factor, level), errors in ERRORS.items()
        for seed, error in enumerate(errors)
    ]


def test_levels_against_the_reference(runs: list[StudyRun]) -> None:
    findings = Ablations(FACTORS, CLAIMS).findings(runs)
    positives, similarity, published = findings.tables
    assert positives.rows == [
        ["all (reference)", "6.10 ± 0.10", "", "0.610 ± 0.010"],
        ["32", "7.10 ± 0.10", "+1.00 [+0.75, +1.25]", "0.710 ± 0.010"],  # a larger error is more
        ["64", "6.00", "0.00", "0.600"],
        ["128", "-", "-", "-"],
    ]
    assert [row[0] for row in similarity.rows] == ["negative L2 (reference)", "cosine"]
    assert ["similarity", "negative l1", "6.25"] in published.rows


def test_claims(runs: list[StudyRun]) -> None:
    more, l2 = Ablations(FACTORS, CLAIMS).findings(runs).claims  # nothing of a factor that is left out
    assert more.claim == "More than 32"
    assert more.mean == pytest.approx(100 * (1 / 7 + 0.9 / 7.1 + 1.1 / 7.2) / 3)
    assert (more.published, more.verdict) == ("+5.0 % (AgeDB: 6.46 to 6.14 years)", "holds")
    assert l2.mean == pytest.approx(-100 * 0.7 / 5.4)
    assert l2.verdict == "does not hold"


def test_figure_without_reference_and_level(runs: list[StudyRun], tmp_path: Path, figures: Any) -> None:
    findings = Ablations(FACTORS, CLAIMS).findings(runs[3:])
    assert findings.tables[0].rows[1][1:3] == ["7.10 ± 0.10", "-"]
    assert not findings.claims
    assert findings.draw is not None
    findings.draw(tmp_path / "figure.png")
    (axes,) = figures[0].axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["Positives; reference: all", "32", "64", "128", "Similarity; reference: negative L2", "cosine"]
    dots = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]
    assert dots == [[7.0, 7.1, 7.2], [6], [5.4, 5.4, 5.4]]  # none of the level without runs


def test_a_word_that_names_a_level_takes_it_away() -> None:
    """Levels are numbers in the YAML, and texts from the command line."""
    factors = {"positives": {**FACTORS["positives"], "levels": {32: {"a": 1}, 64: {"a": 2}, "32": None}}}
    assert list(Ablations(factors, {}).factors["positives"].varied) == ["64"]
