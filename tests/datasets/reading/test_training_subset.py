from typing import Any

import pandas as pd
import pytest
import torch

from rnc_lightning.datasets.reading.training_subset import TrainingSubset, write_subset
from rnc_lightning.datasets.splits import ChosenInputs, Split, SplitName, subset_of
from rnc_lightning.system.errors import UserError
from rnc_lightning.targets.groups import Groups
from rnc_lightning.targets.ranges import TargetRange


def _splits(order: list[int] | None = None) -> dict[SplitName, Split]:
    """Targets 0 to 19 in every part; names say which."""
    order = list(range(20)) if order is None else order
    targets = torch.tensor(order, dtype=torch.float32)[:, None]
    parts: tuple[SplitName, ...] = ("train", "val", "test")
    return {part: Split(targets.clone(), targets, [f"{part}-{i}" for i in order]) for part in parts}


def test_larger_draws_hold_the_smaller_ones_in_any_order_of_the_samples() -> None:
    def drawn(size: int, seed: int = 0, order: list[int] | None = None) -> set[str]:
        return set(TrainingSubset(size=size, seed=seed).apply(_splits(order))["train"].names)

    assert len(drawn(5)) == 5 < len(drawn(9)) == 9
    assert drawn(5) < drawn(9)
    assert drawn(5) == drawn(5, order=list(reversed(range(20))))
    assert drawn(5) != drawn(5, seed=1)
    assert drawn(20) == set(_splits()["train"].names)


def test_a_sample_that_is_missing_leaves_the_rest_of_the_draw_as_it_was() -> None:
    whole = set(TrainingSubset(size=6).apply(_splits())["train"].names)
    lost = sorted(whole)[0]
    order = [i for i in range(20) if f"train-{i}" != lost]
    assert whole - {lost} < set(TrainingSubset(size=6).apply(_splits(order))["train"].names)


def test_inputs_and_targets_stay_together_and_in_order() -> None:
    kept = TrainingSubset(size=7).apply(_splits())["train"]
    assert kept.inputs[3].item() == kept.targets[3].item()
    assert kept.targets[:, 0].tolist() == sorted(kept.targets[:, 0].tolist())


def test_unseen_ranges_leave_training_and_validation_but_not_the_test() -> None:
    subset = TrainingSubset(unseen={"gap": {"low": 5, "high": 8}, "end": {"low": 18}})
    kept = subset.apply(_splits())
    seen = [*range(5), *range(9, 18)]
    assert kept["train"].targets[:, 0].tolist() == seen == kept["val"].targets[:, 0].tolist()
    assert len(kept["test"]) == 20
    assert subset.is_unseen(kept["test"].targets).nonzero().flatten().tolist() == [5, 6, 7, 8, 18, 19]
    assert len(TrainingSubset(size=3, unseen=subset.unseen).apply(_splits())["train"]) == 3


def test_a_range_of_another_dimension() -> None:
    targets = torch.tensor([[0.0, 3.0], [9.0, -3.0]])
    assert TargetRange(high=0, dimension=1).contains(targets).tolist() == [False, True]
    with pytest.raises(ValueError, match="no dimension 2: the target has 2"):
        TargetRange(low=0, dimension=2).contains(targets)


def test_groups_are_drawn_whole() -> None:
    groups = Groups(torch.tensor([0, 0, 1, 1, 2]), ["a", "b", "c"])
    split = Split(torch.arange(5), torch.tensor([[1.0], [1], [2], [2], [3]]), list("vwxyz"), groups)
    kept = TrainingSubset(size=2).apply({"train": split, "val": split, "test": split})["train"]
    assert kept.groups is not None
    assert len(kept.groups.names) == 2
    assert all(kept.names.count(name) == 1 for name in kept.names)
    held_out = TrainingSubset(unseen={"one": {"low": 2, "high": 2}})
    left = held_out.apply({"train": split, "val": split, "test": split})["train"]
    assert left.groups is not None
    assert (list(left.names), list(left.groups.names)) == (["v", "w", "z"], ["a", "c"])
    assert left.groups.index.tolist() == [0, 0, 1]


def test_readers_without_a_way_to_take_some_are_asked_later() -> None:
    class Reader:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> str:
            return "abc"[index]

    kept = subset_of(Split(Reader(), torch.zeros(3, 1), list("abc")), torch.tensor([2, 0]))
    assert isinstance(kept.inputs, ChosenInputs)
    assert [kept.inputs[i] for i in range(len(kept))] == ["c", "a"] == kept.names


def test_what_was_taken_is_written_by_place_and_name(tmp_path: Any) -> None:
    splits = _splits()
    kept = TrainingSubset(size=4, unseen={"end": {"high": 2}}).apply(splits)
    write_subset(tmp_path / "subset.csv", splits, kept)
    table = pd.read_csv(tmp_path / "subset.csv")
    train = table[table.split == "train"]
    assert train["name"].tolist() == kept["train"].names == [f"train-{i}" for i in train["index"]]
    assert table[table.split == "val"]["index"].tolist() == list(range(3, 20))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 0}, "size must be a whole number from 1 up"),
        ({"size": True}, "size must be"),
        ({"unseen": {"gap": {"low": 3, "high": 1}}}, r"unseen.gap: a range needs low <= high"),
        ({"unseen": {"gap": {"lo": 3}}}, "unseen.gap: .*write {low, high}"),
        ({"unseen": {"gap": {"low": 1, "dimension": -1}}}, "dimension must be a whole number"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingSubset(**given)


def test_too_many_and_nothing_left() -> None:
    with pytest.raises(UserError, match=r"data\.subset\.size=21 is more than the 20 training samples"):
        TrainingSubset(size=21).apply(_splits())
    with pytest.raises(UserError, match=r"data\.subset\.unseen: no sample of train is left"):
        TrainingSubset(unseen={"all": {"low": 0}}).apply(_splits())
