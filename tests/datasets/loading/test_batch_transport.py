"""Batches come over where there is little shared memory, and are the same."""

import logging
from multiprocessing import active_children

import pytest
import torch
from torch import Tensor

from rnc_lightning.datasets.digits import DigitsDataModule
from rnc_lightning.datasets.images.transforms import augmented_digit, plain_digit
from rnc_lightning.datasets.loading import batch_transport
from rnc_lightning.datasets.loading.batch_transport import collate_into_file, is_short_of_shared_memory


def _batches(workers: int) -> list[dict[str, Tensor]]:
    module = DigitsDataModule(
        train_transform=augmented_digit(16), eval_transform=plain_digit(), digits=[3], size=16, batch_size=50,
        num_workers=workers,
    )  # fmt: skip
    module.setup()
    module.for_stage(seed=0, batch_size=50, views=2)
    loaders = [module.train_dataloader(), module.val_dataloader()]
    assert [loader.collate_fn is collate_into_file for loader in loaders] == [workers > 0] * 2
    return [batch for loader in loaders for batch in loader]


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_transport, "free_shared_memory", lambda: 1 << 19)
    batch_transport._warn_once.cache_clear()


@pytest.mark.usefixtures("little")
def test_batches_are_the_same_through_files(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        expected, found = _batches(0), _batches(2)
    for batch, known in zip(found, expected, strict=True):
        assert batch.keys() == known.keys()
        assert all(torch.equal(batch[key], known[key]) and batch[key].dtype == known[key].dtype for key in known)
        batch["x"].mul_(2)  # a batch can be written to
    assert [record.message[:21] for record in caplog.records] == ["/dev/shm is too small"]
    assert not active_children()


def test_other_kinds_of_values_are_handed_over_too() -> None:
    samples = [
        {"x": torch.full((3,), i, dtype=torch.bfloat16), "even": i % 2 == 0, "s": torch.tensor(i)} for i in (4, 5)
    ]
    function, (handle, layout) = collate_into_file(samples).__reduce__()
    batch = function(handle, layout)
    assert torch.equal(batch["x"], torch.tensor([[4.0] * 3, [5.0] * 3], dtype=torch.bfloat16))
    assert batch["even"].tolist() == [True, False]
    assert batch["s"].tolist() == [4, 5]


@pytest.mark.parametrize(
    ("free", "expected"), [(None, False), (1 << 40, False), (4096 * 5 * 8 * 2, False), (4096 * 5 * 8 * 2 - 1, True)]
)
def test_it_is_reckoned_what_workers_prepare_ahead(
    free: int | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_transport, "free_shared_memory", lambda: free)
    assert is_short_of_shared_memory(lambda: {"x": torch.zeros(1024), "index": 3}, 8, 2) is expected


def test_the_free_memory_of_this_machine_is_found() -> None:
    free = batch_transport.free_shared_memory()
    assert free is None or free >= 0
