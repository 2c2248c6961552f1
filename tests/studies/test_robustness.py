"""Findings on tables as the evaluation gives them, with numbers that can be followed by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.studies.robustness import Robustness
from rnc_lightning.system.errors import UserError

StandIn = Callable[..., StudyRun]
# clean, fog 1, fog 3, snow 1, snow 3
ERRORS = {
    ("l1", 0): (10, 12, 15, 14, 20),
    ("l1", 1): (20, 22, 25, 24, 30),
    ("l1", 2): (15, 17, 20, 19, 25),
    ("rnc", 0): (8, 9, 11, 10, 14),
    ("rnc", 1): (16, 17, 19, 18, 22),
    ("rnc", 2): (12, 13, 15, 14, 18),
}
METHODS = {"l1": "L1", "rnc": "RnC(L1)"}


@pytest.fixture
def runs(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> list[StudyRun]:
    """Runs, and an evaluation that knows their errors."""
    by_key = {key: stand_in(*key, {}, {"mae": errors[0]}) for key, errors in ERRORS.items()}
    at = {run.path: ERRORS[key] for key, run in by_key.items()}

    def evaluated(path: Path, **asked: Any) -> pd.DataFrame:
        assert asked == {
            "corruptions": ["fog", "snow"],
            "severities": [1, 3],
            "corruption_side": 64,
            "ordinality": False,
            "trust": (),
        }
        kinds, severities = ["none", "fog", "fog", "snow", "snow"], [0, 1, 3, 1, 3]
        return pd.DataFrame({"corruption": kinds, "severity": severities, "count": 4, "mae": at[path], "r2": 0.5})

    monkeypatch.setattr("rnc_lightning.finished_runs.evaluate.evaluate_run", evaluated)
    return list(by_key.values())


def study(methods: dict[str, str] = METHODS) -> Robustness:
    return Robustness(methods, corruptions=["fog", "snow"], severities=[1, 3], corruption_side=64)


def test_errors_by_severity_and_by_corruption(runs: list[StudyRun]) -> None:
    by_severity, by_corruption, published = study().findings(runs).tables
    assert [row[0] for row in by_severity.rows] == ["0", "1", "3"]
    assert by_severity.rows[0][1:3] == ["15.00 ± 5.00", "12.00 ± 4.00"]
    assert by_severity.rows[1][1:] == [
        "18.00 ± 5.00",
        "13.50 ± 4.00",
        "+4.50 [+2.02, +6.98]",
        "21.7 ± 7.6",
        "13.5 ± 4.8",
    ]
    fog = ["fog", "18.50 ± 5.00", "14.00 ± 4.00", "+4.50 [+2.02, +6.98]", "25.3 ± 8.9", "18.1 ± 6.4"]
    assert by_corruption.rows[0] == fog
    assert by_corruption.rows[1][0] == "snow"
    assert published.rows[-1] == ["4", "11.75", "9.60"]
    assert len(by_severity.headings) == len(fog)


def test_claims(runs: list[StudyRun]) -> None:
    findings = study().findings(runs)
    lower, strongest, growth = findings.claims
    assert lower.measured == "+26.2 % [+22.3, +30.1], 3 seeds"
    assert lower.published == "+12.4 % (AgeDB, mean of severities 1 to 4: 9.42 to 8.25 years)"
    assert strongest.mean == pytest.approx((500 / 17.5 + 700 / 27.5 + 600 / 22.5) / 3)
    assert "severity 3" in strongest.claim
    assert growth.measured == "+10.8 points [+1.3, +20.3], 3 seeds"
    assert growth.published.endswith("+42.1 to +34.4 % of the clean error")
    assert {claim.verdict for claim in findings.claims} == {"holds"}
    assert len(findings.data) == 6 * 5


def test_reversed_effects_do_not_hold(runs: list[StudyRun]) -> None:
    findings = study({"rnc": "RnC(L1)", "l1": "L1"}).findings(runs)
    assert {claim.verdict for claim in findings.claims} == {"does not hold"}
    assert findings.claims[2].measured == "-10.8 points [-20.3, -1.3], 3 seeds"


@pytest.mark.parametrize("there", ["l1", "rnc"])
def test_a_missing_method_is_a_dash(runs: list[StudyRun], there: str, tmp_path: Path, figures: Any) -> None:
    findings = study().findings([run for run in runs if run.method == there])
    expected = ["18.00 ± 5.00", "-", "-"] if there == "l1" else ["-", "13.50 ± 4.00", "-"]
    assert findings.tables[0].rows[1][1:4] == expected
    assert not findings.claims
    assert findings.draw is not None
    findings.draw(tmp_path / "figure.png")
    measured, _, kinds = figures[0].axes
    assert sum(len(line.get_xdata()) for line in measured.lines) == 3
    assert [bool(np.isfinite(line.get_xdata()).all()) for line in kinds.lines] == [there == "l1", there == "rnc"]


def test_figure(runs: list[StudyRun], tmp_path: Path, figures: Any) -> None:
    draw = study().findings(runs).draw
    assert draw is not None
    draw(tmp_path / "figure.png")
    measured, authors, kinds = figures[0].axes
    assert [list(line.get_ydata()) for line in measured.lines] == [[15, 18, 22.5], [12, 13.5, 16.5]]
    assert list(authors.lines[1].get_ydata()) == [6.14, 6.85, 7.78, 8.78, 9.60]
    assert [label.get_text() for label in kinds.get_yticklabels()] == ["fog", "snow"]


def test_a_misspelled_corruption_is_reported_before_training() -> None:
    with pytest.raises(UserError, match="did you mean fog"):
        Robustness(METHODS, corruptions=["fogg"])
    with pytest.raises(ValueError, match="at least one"):
        Robustness(METHODS, severities=[])
