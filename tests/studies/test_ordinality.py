from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.studies.ordinality import Ordinality

StandIn = Callable[..., StudyRun]
METHODS = {"l1": "L1", "rnc": "RnC(L1)"}


@pytest.fixture
def runs(stand_in: StandIn) -> list[StudyRun]:
    values = {"l1": [(0.8, 0.7), (0.82, 0.7), (0.84, 0.7)], "rnc": [(0.95, 0.6), (0.96, 0.62), (0.97, 0.61)]}
    return [
        stand_in(method, seed, {}, {"mae": 1.0, "spearman": spearman, "kendall": kendall})
        for method, seeds in values.items()
        for seed, (spearman, kendall) in enumerate(seeds)
    ]


def test_correlations_and_claims(runs: list[StudyRun]) -> None:
    findings = Ordinality(METHODS).findings(runs)
    ((spearman, kendall),) = [table.rows for table in findings.tables]
    differences = "+0.140 [+0.115, +0.165]"  # 0.15, 0.14, 0.13
    assert spearman == ["Spearman", "0.820 ± 0.020", "0.960 ± 0.010", differences, "0.822", "0.971"]
    assert kendall == ["Kendall", "0.700 ± 0.000", "0.610 ± 0.010", "-0.090 [-0.115, -0.065]", "0.664", "0.87"]
    assert [(claim.claim, claim.verdict) for claim in findings.claims] == [
        ("Features are more ordered: Spearman", "holds"),
        ("Features are more ordered: Kendall", "does not hold"),
    ]
    assert findings.claims[1].published.startswith("0.664 to 0.870 ")


def test_a_missing_method_is_a_dash(runs: list[StudyRun], tmp_path: Path, figures: Any) -> None:
    findings = Ordinality(METHODS).findings(runs[:3])
    assert findings.tables[0].rows[0][1:4] == ["0.820 ± 0.020", "-", "-"]
    assert not findings.claims
    assert findings.draw is not None
    findings.draw(tmp_path / "figure.png")
    assert [len(line.get_xdata()) for line in figures[0].axes[0].lines] == [3, 0]
