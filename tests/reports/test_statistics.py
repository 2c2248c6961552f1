"""Mean, deviation and paired interval against NumPy and SciPy's own test."""

import numpy as np
import pytest
from scipy import stats

from rnc_lightning.reports.statistics import paired_gain, spread


@pytest.mark.parametrize("seeds", [2, 3, 5, 12])
@pytest.mark.parametrize("higher_is_better", [False, True])
def test_the_interval_is_that_of_the_paired_t_test(seeds: int, higher_is_better: bool) -> None:
    random = np.random.default_rng(seeds)
    alone, method = random.normal(6, 1, seeds), random.normal(5, 1, seeds)
    gain = paired_gain(dict(enumerate(alone)), dict(enumerate(method)), higher_is_better)
    better, worse = (method, alone) if higher_is_better else (alone, method)
    expected = stats.ttest_rel(better, worse).confidence_interval(0.95)
    assert gain is not None
    assert gain.pairs == seeds
    assert gain.mean == pytest.approx(np.mean(better - worse))
    assert (gain.low, gain.high) == pytest.approx((expected.low, expected.high))


def test_only_common_seeds_count_whatever_their_order() -> None:
    alone = {4: 9.0, 0: 6.0, 1: 7.0, 2: 8.5}
    method = {2: 5.0, 7: 1.0, 1: 5.0, 0: 5.5}
    gain = paired_gain(alone, method, higher_is_better=False)
    expected = stats.ttest_rel([6.0, 7.0, 8.5], [5.5, 5.0, 5.0]).confidence_interval(0.95)
    assert gain is not None
    assert (gain.pairs, gain.mean) == (3, pytest.approx(2.0))
    assert (gain.low, gain.high) == pytest.approx((expected.low, expected.high))


def test_one_pair_has_no_interval_and_none_has_no_gain() -> None:
    gain = paired_gain({0: 6.0, 1: 7.0}, {1: 5.0}, higher_is_better=False)
    assert gain is not None
    assert (gain.mean, gain.low, gain.high, gain.pairs) == (2.0, None, None, 1)
    assert paired_gain({0: 6.0}, {1: 5.0}, higher_is_better=False) is None


def test_the_deviation_is_that_of_a_sample() -> None:
    values = [6.1, 5.8, 6.6, 6.3]
    assert spread(values) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert spread([6.1]) == (6.1, None)
