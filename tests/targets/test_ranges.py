"""Ranges of the target."""

from typing import Any

import pytest
import torch

from rnc_lightning.targets.ranges import TargetRange, in_all_ranges, in_any_range

LABELS = torch.tensor([[0.1, 5.0], [0.2, -5.0], [0.3, 0.0]])


def test_ends_are_included_in_the_labels_precision() -> None:
    assert TargetRange(high=0.2).contains(LABELS).tolist() == [True, True, False]  # a float32 of 0.2 is above 0.2
    assert TargetRange(low=0.3).contains(LABELS).tolist() == [False, False, True]
    assert TargetRange(low=0, high=0, dimension=1).contains(LABELS).tolist() == [False, False, True]


def test_several_ranges() -> None:
    ranges = [TargetRange(low=0.2), TargetRange(high=0, dimension=1)]
    assert in_all_ranges(LABELS, ranges).tolist() == [False, True, True]
    assert in_any_range(LABELS, [TargetRange(high=0.1), *ranges[1:]]).tolist() == [True, True, True]
    assert in_all_ranges(LABELS, []).all()
    assert not in_any_range(LABELS, []).any()


@pytest.mark.parametrize(
    "given",
    [{}, {"low": 2, "high": 1}, {"low": "1"}, {"low": True}, {"high": float("nan")}, {"low": 0, "dimension": -1}],
)
def test_what_is_no_range_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"range needs low <= high|dimension must be"):
        TargetRange(**given)
