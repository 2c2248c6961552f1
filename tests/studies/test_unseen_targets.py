from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.studies.unseen_targets import UnseenTargets

StandIn = Callable[..., StudyRun]
METHODS = {"l1": "L1", "rnc": "RnC(L1)"}
RANGES: dict[str, dict[str, dict[str, float]]] = {
    "gaps": {"young": {"low": 10, "high": 20}, "old": {"low": 50, "high": 60}},
    "ends": {"old": {"low": 70}, "young": {"high": 5}},
    "third": {"old": {"low": 70}},
}
# all, seen, unseen
ERRORS = {
    "l1": [(10.0, 8.0, 20.0), (12.0, 10.0, 22.0), (11.0, 9.0, 21.0)],
    "rnc": [(9.0, 8.8, 15.0), (11.0, 10.5, 16.0), (10.0, 9.9, 16.0)],
}


@pytest.fixture
def runs(stand_in: StandIn) -> list[StudyRun]:
    shift = {"l1": 4.0, "rnc": 1.0}
    return [
        stand_in(
            method,
            seed,
            {"ranges": "gaps"},
            {"mae": everything},
            [(str(age), age, age + shift[method], [age]) for age in (0.0, 40.0, 80.0)],
            targets={"seen": {"count": 3, "mae": seen}, "unseen": {"count": 1, "mae": unseen}},
        )
        for method, seeds in ERRORS.items()
        for seed, (everything, seen, unseen) in enumerate(seeds)
    ]


def test_errors_on_all_seen_and_unseen_targets(runs: list[StudyRun]) -> None:
    findings = UnseenTargets(METHODS, RANGES).findings(runs)
    (table,) = findings.tables  # of the distribution that has runs
    assert table.title == "gaps: 10 to 20 and 50 to 60 years unseen, 25.0 % of the test set; MAE (years)"
    assert table.rows == [
        ["all", "11.00 ± 1.00", "10.00 ± 1.00", "+1.00 [+1.00, +1.00]", "12.53", "11.69"],
        ["seen", "9.00 ± 1.00", "9.73 ± 0.86", "-0.73 [-1.25, -0.22]", "10.82", "10.46"],
        ["unseen", "21.00 ± 1.00", "15.67 ± 0.58", "+5.33 [+3.90, +6.77]", "18.40", "15.92"],
    ]
    assert [claim.verdict for claim in findings.claims] == ["holds", "does not hold", "holds"]
    assert findings.claims[2].mean == pytest.approx((500 / 20 + 600 / 22 + 500 / 21) / 3)
    assert findings.claims[2].published == "+13.5 % (IMDB-WIKI, first distribution: 18.40 to 15.92 years)"
    assert len(findings.data) == 6 * 3


def test_open_ranges_and_more_than_the_paper_s_two(stand_in: StandIn) -> None:
    parts = {"seen": {"count": 4, "mae": 1.0}, "unseen": {"count": 0}}
    runs = [stand_in("rnc", 0, {"ranges": name}, {"mae": 1.0}, targets=parts) for name in ("ends", "third")]
    ends, third = UnseenTargets(METHODS, RANGES).findings(runs).tables
    assert ends.title.startswith("ends: 70 and above and 5 and below years unseen")
    assert ends.rows[0] == ["all", "-", "1.00", "-", "11.94", "10.88"]
    assert third.rows == [[targets, "-", mean, "-", "", ""] for targets, mean in zip(
        ("all", "seen", "unseen"), ("1.00", "1.00", "-"), strict=True
    )]  # fmt: skip


def test_figure_has_the_error_by_target_and_the_unseen_ranges(
    runs: list[StudyRun], tmp_path: Path, figures: Any
) -> None:
    draw = UnseenTargets(METHODS, RANGES).findings(runs).draw
    assert draw is not None
    draw(tmp_path / "figure.png")
    gaps, ends, _ = figures[0].axes
    for line, error in zip(gaps.lines, (4, 1), strict=True):
        shown = np.array(line.get_ydata())
        assert list(shown[~np.isnan(shown)]) == [error] * 3
    assert not ends.lines
    grey = [sorted(part.get_x() + np.array([0, part.get_width()])) for part in gaps.patches]
    np.testing.assert_allclose(grey, [[10, 20], [50, 60]])
    grey = [sorted(part.get_x() + np.array([0, part.get_width()])) for part in ends.patches]
    np.testing.assert_allclose(grey, [[70, 80], [0, 5]])
