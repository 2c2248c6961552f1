from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from rnc_lightning.datasets.digits import DigitsDataModule
from rnc_lightning.datasets.images.transforms import augmented_digit, plain_digit
from rnc_lightning.datasets.loading.sampling import SeededBatches, SeededSampler
from rnc_lightning.datasets.loading.views_dataset import ViewsDataset
from rnc_lightning.datasets.splits import Split
from rnc_lightning.numerics.seeding import derive_seed, seeded
from rnc_lightning.system.errors import UserError


def _module(**changes: Any) -> DigitsDataModule:
    settings: dict[str, Any] = {"digits": [3], "size": 16, "batch_size": 10, **changes}
    module = DigitsDataModule(train_transform=augmented_digit(16), eval_transform=plain_digit(), **settings)
    module.setup()
    return module


def _epoch(module: DigitsDataModule, epoch: int) -> list[dict[str, torch.Tensor]]:
    loader = module.train_dataloader()
    loader.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
    return list(loader)


def test_batches_are_dicts_with_and_without_views() -> None:
    module = _module().for_stage(seed=0, batch_size=10, views=2, drop_last=True)
    batch = _epoch(module, 0)[0]
    assert batch["x"].shape == (10, 2, 1, 16, 16)
    assert batch["y"].shape == (10, 1)
    assert batch["y"].dtype == torch.float32
    assert batch["index"].shape == (10,)
    assert torch.equal(batch["y"], module.splits["train"].targets[batch["index"]])
    assert not torch.equal(batch["x"][:, 0], batch["x"][:, 1])
    assert _epoch(module.for_stage(seed=0, batch_size=10), 0)[0]["x"].shape == (10, 1, 16, 16)


def test_without_augmentation_training_samples_look_as_in_evaluation() -> None:
    module = _module().for_stage(seed=0, batch_size=10, augment=False)
    batch = _epoch(module, 0)[0]
    torch.testing.assert_close(batch["x"], module.splits["train"].inputs[batch["index"]].float() / 127.5 - 1)


def test_an_epoch_takes_every_sample_once_and_the_next_in_another_order() -> None:
    module = _module().for_stage(seed=0, batch_size=10)
    first, second = (torch.cat([b["index"] for b in _epoch(module, e)]).tolist() for e in (0, 1))
    assert Counter(first) == Counter(range(len(module.splits["train"]))) == Counter(second)
    assert first != second
    dropped = _epoch(module.for_stage(seed=0, batch_size=10, drop_last=True), 0)
    assert {len(b["y"]) for b in dropped} == {10}


def test_an_epoch_is_the_same_whatever_came_before_and_with_any_number_of_workers() -> None:
    module = _module().for_stage(seed=5, batch_size=10, views=2)
    expected = _epoch(module, 3)
    torch.manual_seed(999)
    _epoch(module, 2)
    for again in (_epoch(module, 3), _epoch(_module(num_workers=2).for_stage(seed=5, batch_size=10, views=2), 3)):
        for a, b in zip(expected, again, strict=True):
            assert all(torch.equal(a[key], b[key]) for key in a)
    other = _epoch(module.for_stage(seed=6, batch_size=10, views=2), 3)
    assert not torch.equal(expected[0]["x"], other[0]["x"])


def test_a_samples_augmentation_differs_between_epochs() -> None:
    module = _module().for_stage(seed=0, batch_size=10)
    images = []
    for epoch in (0, 1):
        found = {int(i): x for b in _epoch(module, epoch) for i, x in zip(b["index"], b["x"], strict=True)}
        images.append(found[0])
    assert not torch.equal(*images)


def test_evaluation_keeps_the_order_and_is_not_random() -> None:
    module = _module()
    torch.manual_seed(0)
    first = list(module.test_dataloader())
    torch.manual_seed(1)
    again = list(module.test_dataloader())
    assert torch.cat([b["index"] for b in first]).tolist() == list(range(len(module.splits["test"])))
    assert all(torch.equal(a["x"], b["x"]) for a, b in zip(first, again, strict=True))


def test_drawing_under_a_seed_leaves_the_generators_as_they_were() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with seeded(7):
        inner = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    assert torch.equal(torch.rand(3), expected)
    with seeded(7):
        assert torch.equal(torch.rand(3), inner[0])
        assert (np.random.rand(3) == inner[1]).all()  # noqa: NPY002


def test_seeds_tell_kinds_and_borders_apart() -> None:
    seeds = [derive_seed(*parts) for parts in ((1, 23), (12, 3), ("1", 23), (1, "23"), (1, 2, 3), (123,))]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnc_lightning.numerics.distributed.world_size", lambda: 2)
    with pytest.raises(UserError, match=r"batch_size: 13 samples cannot be divided evenly among 2 .*: use 12 or 14"):
        _module(batch_size=13).train_dataloader()


@pytest.mark.parametrize("size", [16, 17, 21, 23])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_batches_of_one(size: int, processes: int) -> None:
    """Each training batch is divided without a rest; what is left of fewer samples than processes is left out."""
    whole = [[d.sample for d in batch] for batch in SeededBatches(SeededSampler(size, 1), 6)]
    shares = [list(SeededBatches(SeededSampler(size, 1), 6, share=(r, processes))) for r in range(processes)]
    assert len({len(share) for share in shares}) == 1
    for position, parts in enumerate(zip(*shares, strict=True)):
        assert all(parts)
        assert sorted(d.sample for part in parts for d in part) == sorted(whole[position])
    assert sum(map(len, whole[len(shares[0]) :])) < processes
    in_order = [d.sample for r in range(processes) for b in SeededBatches(size, 6, share=(r, processes)) for d in b]
    assert sorted(in_order) == list(range(size))  # in validation nothing is left out


@pytest.mark.parametrize(
    ("name", "value"), [("batch_size", 0), ("batch_size", -4), ("eval_batch_size", 0), ("num_workers", -1)]
)
def test_bad_loading_arguments_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        _module(**{name: value})


def test_more_in_a_batch_than_there_are_samples_is_refused_where_nothing_would_remain() -> None:
    module = _module().for_stage(seed=0, batch_size=1000, drop_last=True)
    with pytest.raises(ValueError, match="batch_size"):
        module.train_dataloader()


def test_views_must_be_positive() -> None:
    split = Split([torch.zeros(1)], torch.zeros(1, 1), ["a"])
    with pytest.raises(ValueError, match="views"):
        ViewsDataset(split, lambda x: x, views=0)


def test_splits_refuse_labels_that_are_not_numbers() -> None:
    with pytest.raises(ValueError, match=r"1 are NaN or infinite, the first ones: b"):
        Split([0, 1], torch.tensor([[0.0], [float("nan")]]), ["a", "b"])


def test_the_fingerprint_knows_pixels_targets_and_names() -> None:
    module, same, other, changed = _module(), _module(), _module(split_seed=1), _module()
    assert module.fingerprint == same.fingerprint != other.fingerprint
    changed.splits["test"].inputs[0, 0, 0, 0] += 1  # type: ignore[index]
    assert module.fingerprint != changed.fingerprint


def test_another_split_in_the_tests_place_changes_nothing_here() -> None:
    data = _module(batch_size=16)
    val = data.splits["val"]
    before = dict(data.splits)
    dark = data.with_test(val, lambda pixels: torch.zeros(1, 16, 16))
    assert type(dark) is type(data)
    assert torch.equal(next(iter(dark.test_dataloader()))["y"], val.targets[:256])
    assert not next(iter(dark.test_dataloader()))["x"].any()
    assert data.splits == before
    assert next(iter(data.test_dataloader()))["x"].any()
    alone = next(iter(data.loader_over(val)))
    assert torch.equal(alone["x"], next(iter(data.plain_loader("val")))["x"])
    assert not next(iter(data.loader_over(val, dark.eval_transform)))["x"].any()
