"""Whole runs in several processes: the numbers of one, and errors in one line."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from rnc_lightning.errors import UserError
from rnc_lightning.train import run

WORDS = [
    "+experiment=digits_rnc",
    "encoder._target_=plain_encoder.PlainEncoder",
    "~encoder.in_channels",
    "~encoder.width",
    "~encoder.stages",
    "data.digits=[3]",
    "data.size=16",
    "data.eval_angles=1",
    "data.batch_size=12",
    "recipe.pretrain.epochs=2",
    "recipe.pretrain.lr=0.05",
    "recipe.linear_probe.epochs=2",
    "recipe.linear_probe.batch_size=12",
    "data.val_fraction=0.19",
    "trainer.enable_progress_bar=false",
    "callbacks.model_summary=null",
    "print_config=false",
]
Start = Callable[..., dict[str, Any]]


@pytest.fixture
def start(compose_config: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch) -> Start:
    """Runs the experiment, in a place of its own, and returns its result."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)

    def go(place: str, *words: str) -> dict[str, Any]:
        words = (*WORDS, *words)
        run(compose_config(*words, f"paths.run_dir={place}", "paths.encoder_dir=null"), words)
        found: dict[str, Any] = json.loads(Path(place, "result.json").read_text())
        return found

    return go


@pytest.mark.usefixtures("without_plots")
@pytest.mark.parametrize(
    ("scheme", "counts"),
    [
        ("linear_probe", [2]),
        pytest.param("linear_probe", [3], marks=pytest.mark.slow),
        pytest.param("end_to_end", [2, 3], marks=pytest.mark.slow),
        pytest.param("regularization", [2, 3], marks=pytest.mark.slow),
    ],
)
def test_several_processes_end_with_the_numbers_of_one(scheme: str, counts: list[int], start: Start) -> None:
    words = [f"scheme={scheme}", "recipe.end_to_end.epochs=2", "recipe.regularization.epochs=2"]
    one = start("one", "trainer=cpu", *words)
    assert one["counts"]["train"] % 12 == 3  # the last batch is uneven
    for count in counts:
        several = start(f"processes{count}", "trainer=ddp_cpu", f"trainer.devices={count}", *words)
        for name in ("test", "constant"):
            assert several[name] == pytest.approx(one[name], rel=2e-3, abs=2e-3)
        for stage, expected in one["stages"].items():
            assert several["stages"][stage]["metrics"] == pytest.approx(expected["metrics"], rel=2e-3, abs=2e-3)
        assert Path(f"processes{count}/predictions.csv").read_text().count("\n") == one["counts"]["test"] + 1
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "rnc_lightning.rank" not in left


def test_a_batch_that_cannot_be_divided_is_one_line(start: Start) -> None:
    with pytest.raises(
        UserError, match=r"batch_size: 12 samples, over all processes, cannot be divided among 5: take 10 or 15"
    ):
        start("run", "trainer=ddp_cpu", "trainer.devices=5")
    assert json.loads(Path("run/result.json").read_text())["status"] == "failed"
