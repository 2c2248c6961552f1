"""Batches that cannot be: more samples than the data have, a single one where batch normalisation needs two."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from torch import nn

from rnc_lightning.datasets.loading.sampling import SeededBatches, SeededSampler
from rnc_lightning.encoders import MLP, SmallResNet
from rnc_lightning.runs.fitting.batches import fit_to_data, join_single
from rnc_lightning.runs.fitting.fit import StagePlan, _explain_lightning
from rnc_lightning.runs.run import run
from rnc_lightning.system.errors import UserError


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("size", [6, 7, 12, 13, 14, 15, 17, 19])
def test_only_a_single_sample_joins_the_batch_before(size: int, processes: int) -> None:
    plain = [list(SeededBatches(SeededSampler(size, 1), 6, share=(r, processes))) for r in range(processes)]
    joined = [
        list(SeededBatches(SeededSampler(size, 1), 6, share=(r, processes), join_single=True)) for r in range(processes)
    ]
    if (size % 6) // processes != 1:
        assert joined == plain
        return
    for r in range(processes):
        assert joined[r][:-1] == plain[r][:-2]
        assert min(map(len, joined[r])) > 1
        assert len(SeededBatches(SeededSampler(size, 1), 6, share=(r, processes), join_single=True)) == len(joined[r])
    everyone = sorted(draw.sample for part in joined for batch in part for draw in batch)
    assert everyone == list(range(size))


class _Data:
    """The two things that are asked of a data module."""

    def __init__(self, count: int, x: torch.Tensor) -> None:
        self.splits = {"train": range(count)}
        self.x = x

    def first_input(self, _name: str) -> torch.Tensor:
        return self.x


class _Stage(nn.Module):
    def __init__(self, encoder: nn.Module, frozen: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.freeze_encoder = frozen


def _joined(
    count: int, encoder: nn.Module, x: torch.Tensor, processes: int = 1, frozen: bool = False, **plan: Any
) -> bool:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 64, **plan}
    module: Any = _Stage(encoder, frozen)
    data: Any = _Data(count, x)
    return join_single(StagePlan(**settings), module, data, processes).join_single


def test_a_sample_is_joined_only_where_the_encoder_would_refuse_it() -> None:
    mlp, resnet, linear = MLP(5, 8, 1), SmallResNet(1, 4, 2), nn.Linear(5, 3)
    row, image = torch.randn(5), torch.randn(1, 16, 16)
    before = {key: value.clone() for key, value in mlp.state_dict().items()}
    state = torch.get_rng_state()
    assert _joined(65, mlp, row)
    assert _joined(67, mlp, row, processes=2)
    assert not _joined(66, mlp, row)
    assert not _joined(65, mlp, row, processes=2)  # dropped: a process would have none
    assert not _joined(65, mlp, row, drop_last=True)
    assert not _joined(65, mlp, row, views=2)
    assert not _joined(65, mlp, row, frozen=True)
    assert not _joined(65, resnet, image)  # several values per channel: trained on as it always was
    assert not _joined(65, linear, row)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], value) for key, value in mlp.state_dict().items())


@pytest.mark.parametrize(("count", "batch_size"), [(65, 1), (1, 64)])
def test_only_single_samples_are_refused(count: int, batch_size: int) -> None:
    with pytest.raises(UserError, match="batch normalisation in training needs two"):
        _joined(count, MLP(5, 8, 1), torch.randn(5), batch_size=batch_size)


def test_what_is_found_only_in_training_is_one_line_too() -> None:
    """Such as a gradient cache of one row, or a share of the batches in which there is none."""
    with pytest.raises(UserError, match=r"batch normalisation in training needs two rows"), _explain_lightning():
        nn.BatchNorm1d(3)(torch.zeros(1, 3))
    with pytest.raises(UserError, match=r"^trainer: You requested 0\.001$"), _explain_lightning():
        raise MisconfigurationException("You requested 0.001\nof the batches")
    with pytest.raises(ValueError, match="a bug"), _explain_lightning():
        raise ValueError("a bug")


def test_a_batch_larger_than_the_data(caplog: pytest.LogCaptureFixture) -> None:
    plan = StagePlan(epochs=1, batch_size=64, drop_last=True)
    assert fit_to_data(plan, "pretrain", 64, 1, False) is plan
    with pytest.raises(
        UserError, match=r"64 is more than the 40 training samples.*set recipe\.pretrain\.batch_size=40$"
    ):
        fit_to_data(plan, "pretrain", 40, 1, False)
    assert fit_to_data(plan, "pretrain", 41, 2, True).batch_size == 40
    assert "recipe.pretrain.batch_size: 64 is more than the 41 training samples; 40 are used" in caplog.text
    whole = StagePlan(epochs=1, batch_size=64)
    assert fit_to_data(whole, "regress", 40, 1, False) is whole  # one incomplete batch, as always
    with pytest.raises(UserError, match=r"2 processes cannot share 1 training"):
        fit_to_data(whole, "regress", 1, 2, True)


def _table(path: Path, rows: int) -> list[str]:
    parts = ["train"] * rows + ["val", "test"] * 10
    lines = [f"{i % 7},{(i * 13) % 11},{2 * (i % 7) - (i * 13) % 11},{part}" for i, part in enumerate(parts)]
    path.write_text("\n".join(["a,b,level,part", *lines]) + "\n")
    return [
        "data=array", f"data.csv={path}", "data.target=[level]", "input.channels=2", "data.split_column=part",
        "encoder.width=8", "encoder.depth=1", "trainer=cpu", "trainer.enable_progress_bar=false", "plots=false",
        "callbacks.model_summary=null", "callbacks.diagnostics=null", "recipe.pretrain.epochs=1",
        "recipe.linear_probe.epochs=1", "recipe.end_to_end.epochs=1", "paths.encoder_dir=null", "paths.run_dir=run",
    ]  # fmt: skip


def test_a_table_of_65_rows_is_trained_on(
    compose_config: Callable[..., DictConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    words = [*_table(tmp_path / "my.csv", 65), "method=l1"]
    assert run(compose_config(*words), words)["test/mae"] is not None
    assert "the last 1 of 65 training samples join the batch before" in caplog.text


def test_a_table_of_40_rows(
    compose_config: Callable[..., DictConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = [*_table(tmp_path / "my.csv", 40), "method=rnc"]
    with pytest.raises(UserError, match=r"set recipe\.pretrain\.batch_size=40"):
        run(compose_config(*words), words)
    assert not (tmp_path / "run").exists()
    small = [*words, "recipe=small"]
    assert run(compose_config(*small), small)["test/mae"] is not None
    assert "40 are used" in caplog.text
