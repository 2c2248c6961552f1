from dataclasses import replace
from pathlib import Path

import pytest

from rnc_lightning.reports.claims import (
    Claim,
    checked_claim,
    claims_table,
    estimated_claim,
    read_claims,
    reduction,
    verdict,
    write_claims,
)
from rnc_lightning.reports.statistics import Gain


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 5.0, "holds"),
        (-5.0, -0.1, "does not hold"),
        (-0.1, 5.0, "open"),
        (0.0, 5.0, "open"),
        (-5.0, 0.0, "open"),
        (None, None, "open"),
    ],
)
def test_only_an_interval_on_one_side_of_0_decides(low: float | None, high: float | None, expected: str) -> None:
    assert verdict(low, high) == expected
    gain = Gain(1.0, low, high, 2)
    assert estimated_claim("c", "p", "d", "%", gain).verdict == expected


def test_reduction_is_paired_by_seed() -> None:
    found = reduction({0: 10.0, 1: 20.0, 2: 30.0, 7: 1.0}, {2: 15.0, 0: 9.0, 1: 18.0, 8: 0.0})
    assert found is not None
    assert found.pairs == 3
    assert found.mean == pytest.approx((10 + 10 + 50) / 3)
    half = 4.302653 * 23.094011 / 3**0.5  # t of 2 degrees of freedom, standard deviation of 10, 10, 50
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))
    grown = reduction({0: 10.0}, {0: 12.0})
    assert grown is not None
    assert (grown.mean, grown.low) == (pytest.approx(-20.0), None)
    assert reduction({0: 10.0}, {1: 9.0}) is None


def test_measured_says_effect_unit_interval_and_seeds() -> None:
    three = Gain(-0.12345, -0.2, -0.04, 3)
    assert estimated_claim("c", "", "d", "", three).measured == "-0.123 [-0.200, -0.040], 3 seeds"
    assert estimated_claim("c", "", "d", "points", three).measured == "-0.1 points [-0.2, -0.0], 3 seeds"
    assert estimated_claim("c", "", "d", "%", Gain(3.0, None, None, 1)).measured == "+3.0 %, 1 seed"


def test_statements_can_stay_open() -> None:
    assert [checked_claim("c", "", "d", "m", holds).verdict for holds in (True, False, None)] == [
        "holds",
        "does not hold",
        "open",
    ]


def test_files_give_back_what_was_written(tmp_path: Path) -> None:
    first = estimated_claim(
        'Does "it", help?', "AgeDB: 6.63 to 6.14", "digits (synthetic data)", "%", Gain(0.1, 1 / 3, 2e-7, 4)
    )
    claims = [first, Claim("two\nlines", "", "d", "m", "open"), replace(first, unit="", low=None, high=None)]
    write_claims(tmp_path / "claims.csv", claims)
    assert read_claims(tmp_path / "claims.csv") == claims
    assert claims_table(claims)[1] == ("two\nlines", "", "d: m", "open")
