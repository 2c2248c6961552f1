"""Whole runs with the switches that change how an encoder computes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from omegaconf import DictConfig
from safetensors.torch import load_file

from rnc_lightning.command_line.compose import resolve_config
from rnc_lightning.runs.run import run
from rnc_lightning.runs.shared_encoder import encoder_shape, shape_hash
from rnc_lightning.system.errors import UserError

SHORT = [f"recipe.{scheme}.epochs=2" for scheme in ("pretrain", "linear_probe", "fine_tune", "regularization")]
PLAIN_ENCODER = [
    "encoder._target_=plain_encoder.PlainEncoder", "~encoder.in_channels", "~encoder.width", "~encoder.stages",
]  # fmt: skip
Start = Callable[..., dict[str, Any]]


@pytest.fixture
def start(compose_config: Callable[..., DictConfig], tiny_digits: list[str], monkeypatch: pytest.MonkeyPatch) -> Start:
    """Runs an experiment in this process, sharing no encoder, and returns its result."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "helpers"))

    def go(place: str, *words: str, encoder: tuple[str, ...] = ()) -> dict[str, Any]:
        sizes = [word for word in tiny_digits if not (encoder and word.startswith("encoder."))]
        places = [f"paths.run_dir={place}", "paths.encoder_dir=null"]
        words = ("+experiment=digits_rnc", *words)
        run(compose_config(*sizes, *SHORT, *words, *encoder, *places), words)
        found: dict[str, Any] = json.loads(Path(place, "result.json").read_text())
        return found

    return go


def _stopped_twice(start: Start, place: str, *words: str) -> dict[str, Any]:
    """The run, interrupted in either stage and gone on with."""
    for stage in ("Pretrain", "Regress"):
        with pytest.raises(InterruptedError, match=stage):
            start(place, *words, "+callbacks.stop._target_=stop_after.StopAfter", f"+callbacks.stop.stage={stage}")
    return start(place, *words)


@pytest.mark.parametrize("scheme", ["linear_probe", "regularization"])
def test_a_gradient_cache_ends_with_the_same_numbers(start: Start, scheme: str) -> None:
    """With an encoder whose layers see each sample alone."""
    cached = [f"recipe.{recipe}.gradient_cache=10" for recipe in ("pretrain", "regularization")]
    small = ["recipe.pretrain.lr=0.05", "recipe.regularization.lr=0.002", f"scheme={scheme}"]
    whole = start("whole", *small, encoder=tuple(PLAIN_ENCODER))
    chunked = start("cached", *small, *cached, encoder=tuple(PLAIN_ENCODER))
    assert chunked["test"] == pytest.approx(whole["test"], rel=1e-3, abs=1e-3)
    for stage, expected in whole["stages"].items():
        assert chunked["stages"][stage]["metrics"] == pytest.approx(expected["metrics"], rel=1e-3, abs=1e-3)
    known, found = (load_file(f"{place}/encoder.safetensors") for place in ("whole", "cached"))
    for name, tensor in known.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("scheme", "backend"),
    [
        pytest.param("linear_probe", "aot_eager", marks=pytest.mark.slow),
        pytest.param("fine_tune", "aot_eager", marks=pytest.mark.slow),
        pytest.param("fine_tune", "inductor", marks=pytest.mark.slow),
    ],
)
def test_all_switches_together_resume_bit_for_bit_and_export_plain_weights(
    start: Start, scheme: str, backend: str
) -> None:
    words = [
        "compute.channels_last=true", f"compute.compile={backend}", "recipe.pretrain.gradient_cache=24",
        "trainer.precision=bf16-mixed", f"scheme={scheme}",
    ]  # fmt: skip
    undisturbed = start("undisturbed", *words)
    resumed = _stopped_twice(start, "stopped", *words)
    assert resumed["test"] == undisturbed["test"]
    for stage in ("pretrain", "regress"):
        histories = [pd.read_csv(f"{place}/stages/{stage}/metrics.csv") for place in ("undisturbed", "stopped")]
        pd.testing.assert_frame_equal(*(h.drop(columns="seconds") for h in histories), check_exact=True)
    weights, plain_weights = load_file("stopped/encoder.safetensors"), load_file("undisturbed/encoder.safetensors")
    assert all(torch.equal(tensor, plain_weights[name]) for name, tensor in weights.items())
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32, torch.int64}
    assert "stem.0.weight" in weights  # as without compilation


def test_switches_shape_a_run_and_its_shared_encoder(
    compose_config: Callable[..., DictConfig], start: Start, tiny_digits: list[str]
) -> None:
    def shape(*words: str) -> str:
        config = resolve_config(compose_config("+experiment=digits_rnc", *words))
        return shape_hash(encoder_shape(config, "pretrain", "data"))

    switches = ["compute.channels_last=true", "compute.compile=eager", "recipe.pretrain.gradient_cache=8"]
    assert len({shape(), *(shape(word) for word in switches)}) == 4
    start("run", "scheme=end_to_end", "recipe.end_to_end.epochs=1")
    with pytest.raises(UserError, match=r"compute\.channels_last: False -> True"):
        start("run", "scheme=end_to_end", "recipe.end_to_end.epochs=1", "compute.channels_last=true")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("compute.compile=inductr", "stages.pretrain.*no backend 'inductr'; did you mean inductor"),
        ("recipe.pretrain.gradient_cache=0", r"stages\.pretrain: gradient_cache must be a whole number"),
        ("trainer.precision=16-mixed", r"trainer\.precision: 16-mixed needs a GPU; use bf16-mixed on a CPU"),
    ],
)
def test_a_switch_that_cannot_be_is_one_line_and_leaves_no_directory(start: Start, word: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        start("run", word, "trainer=cpu")
    assert not Path("run").exists()


@pytest.mark.slow
def test_two_processes_with_a_gradient_cache_and_compilation_have_the_numbers_of_one(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "helpers"), prepend=":")
    small = ["recipe.pretrain.lr=0.05", "data.batch_size=12", "recipe.linear_probe.batch_size=12"]
    small.append("data.val_fraction=0.19")  # the last batch has a sample for each process
    switches = ["recipe.pretrain.gradient_cache=5", "compute.compile=aot_eager", "compute.channels_last=true"]
    one = start("one", *small, "trainer=cpu", encoder=tuple(PLAIN_ENCODER))
    two = start("two", *small, "trainer=ddp_cpu", *switches, encoder=tuple(PLAIN_ENCODER))
    assert two["test"] == pytest.approx(one["test"], rel=2e-3, abs=2e-3)
    for stage, expected in one["stages"].items():
        assert two["stages"][stage]["metrics"] == pytest.approx(expected["metrics"], rel=2e-3, abs=2e-3)
