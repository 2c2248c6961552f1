"""Stage one is trained once for all runs that need the same encoder, whoever comes first and whatever happens to it."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from safetensors.torch import load_file, save_file

from rnc_lightning.command_line.compose import compose_config as compose_options
from rnc_lightning.command_line.compose import resolve_config
from rnc_lightning.runs.run import run
from rnc_lightning.runs.shared_encoder import encoder_shape, shape_hash

SHORT = ["recipe.pretrain.epochs=2", "recipe.linear_probe.epochs=2", "recipe.fine_tune.epochs=1"]


@pytest.fixture
def start(compose_config: Callable[..., DictConfig], tiny_digits: list[str]) -> Callable[..., dict[str, Any]]:
    """Runs digits_rnc in this process; returns its result.json."""
    return _starter(compose_config, tiny_digits)


@pytest.fixture
def start_diagnosed(
    compose_config: Callable[..., DictConfig], tiny_digits_shown: list[str]
) -> Callable[..., dict[str, Any]]:
    """The same with diagnostics."""
    return _starter(compose_config, [*tiny_digits_shown, "plots=false"])


def _starter(compose_config: Callable[..., DictConfig], sizes: list[str]) -> Callable[..., dict[str, Any]]:
    def go(place: str, *words: str) -> dict[str, Any]:
        words = ("+experiment=digits_rnc", *words)
        run(compose_config(*sizes, *SHORT, f"paths.run_dir={place}", *words), words)
        found: dict[str, Any] = json.loads((Path(place) / "result.json").read_text())
        return found

    return go


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_digits: list[str]) -> Path:
    """A folder with a run `a` and the encoder that it trained, for tests to copy."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _starter(lambda *words: compose_options(words), tiny_digits)("a", "head=l1")
    return folder


@pytest.fixture
def trained_here(trained: Path, tmp_path: Path) -> dict[str, Any]:
    """The same in the test's own folder; the run's result."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    found: dict[str, Any] = json.loads((tmp_path / "a/result.json").read_text())
    return found


def _encoders(root: Path = Path("runs/encoders")) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir())


def _weights(place: str) -> dict[str, torch.Tensor]:
    return load_file(Path(place) / "stages/pretrain/encoder.safetensors")


def test_heads_and_schemes_share_one_encoder_a_seed(
    start: Callable[..., dict[str, Any]], trained_here: dict[str, Any]
) -> None:
    first = trained_here
    others = [
        start("b", "head=dex"),
        start("c", "head=corn", "scheme=fine_tune"),
        start("d", "recipe.linear_probe.lr=1"),
    ]
    assert len(_encoders()) == 1
    assert [result["stages"]["pretrain"]["reused"] for result in (first, *others)] == [False, True, True, True]
    assert len({result["stages"]["pretrain"]["encoder"] for result in (first, *others)}) == 1
    start("e", "head=l1", "seed=1")
    assert len(_encoders()) == 2
    assert any(not torch.equal(tensor, _weights("e")[name]) for name, tensor in _weights("a").items())


@pytest.mark.usefixtures("trained_here")
def test_sharing_changes_no_number(start: Callable[..., dict[str, Any]]) -> None:
    shared = start("shared", "head=dldl_v2")
    alone = start("alone", "head=dldl_v2", "paths.encoder_dir=null")
    assert shared["stages"]["pretrain"]["reused"]
    assert not alone["stages"]["pretrain"]["reused"]
    assert shared["test"] == alone["test"]


def test_diagnostics_come_with_the_encoder_where_they_were_made(
    start: Callable[..., dict[str, Any]], start_diagnosed: Callable[..., dict[str, Any]]
) -> None:
    made = "stages/pretrain/diagnostics.csv"
    start_diagnosed("first", "head=l1")
    assert start("second", "head=mse")["stages"]["pretrain"]["reused"]
    assert Path("second", made).read_text() == Path("first", made).read_text()
    start("without", "seed=1", "head=l1")
    assert start_diagnosed("none", "seed=1", "head=mse")["stages"]["pretrain"]["reused"]
    assert not Path("none", made).exists()


def test_it_says_which_encoder_it_reuses(
    start: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    start("a", "head=l1")
    assert "training the encoder runs/encoders/" in caplog.text
    assert "reusing" not in caplog.text
    start("b", "head=or")
    assert f"reusing the encoder {_encoders()[0]}, trained by digits_rnc/head=l1,seed=0" in caplog.text


SHAPES_THE_ENCODER = (
    "seed=1", "objective.temperature=1.0", "encoder.width=8", "recipe.pretrain.lr=0.01", "recipe.pretrain.epochs=3",
    "recipe.pretrain.views=1", "data.split_seed=1", "data.train_transform.noise=0.1", "target.distance=l2",
    "trainer.precision=bf16-mixed",
)  # fmt: skip
CHANGES_NOTHING = (
    "head=dex", "scheme=fine_tune", "recipe.linear_probe.lr=1", "data.num_workers=2", "logger=wandb",
    "callbacks.diagnostics=null", "target.dimensions.angle.step=5",
)  # fmt: skip


def test_the_hash_depends_on_all_that_shapes_the_encoder_and_on_nothing_else(
    compose_config: Callable[..., DictConfig], tiny_digits: list[str]
) -> None:
    def name(*words: str, data: str = "abc") -> str:
        return shape_hash(encoder_shape(resolve_config(compose_config(*tiny_digits, *words)), "pretrain", data))

    plainly = name()
    names = {word: name(word) for word in (*SHAPES_THE_ENCODER, *CHANGES_NOTHING)}
    assert {word for word, found in names.items() if found == plainly} == set(CHANGES_NOTHING)
    assert len({names[word] for word in SHAPES_THE_ENCODER}) == len(SHAPES_THE_ENCODER)
    assert name(data="other data") != plainly


def test_the_losss_code_is_part_of_the_hash(
    compose_config: Callable[..., DictConfig], tiny_digits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve_config(compose_config(*tiny_digits))
    before = encoder_shape(config, "pretrain", "abc")
    monkeypatch.setattr("rnc_lightning.runs.shared_encoder.code_version", lambda targets: f"other {sorted(targets)}")
    after = encoder_shape(config, "pretrain", "abc")
    assert "rnc_lightning.objectives.rnc.RnCLoss" in after["code"]
    assert shape_hash(before) != shape_hash(after)


def _truncate(encoder: Path) -> None:
    encoder.write_bytes(encoder.read_bytes()[:-100])


def _alter(encoder: Path) -> None:
    tensors = load_file(encoder)
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name] = tensors[name] + 1
    save_file(tensors, encoder)


def _remove(encoder: Path) -> None:
    encoder.unlink()


def _spoil_the_json(encoder: Path) -> None:
    encoder.with_suffix(".json").write_text('{"sha256": ')


def _spoil_the_summary(encoder: Path) -> None:
    (encoder.parent / "stage.json").write_text("{")


def _remove_the_history(encoder: Path) -> None:
    (encoder.parent / "metrics.csv").unlink()


DAMAGES = (_truncate, _alter, _remove, _spoil_the_json, _spoil_the_summary, _remove_the_history)


@pytest.mark.usefixtures("trained_here")
@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # what was trained has been copied
def test_a_damaged_encoder_is_trained_again_with_a_warning(
    start: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    for damage in DAMAGES:
        what = damage.__name__
        damage(_encoders()[0] / "encoder.safetensors")
        caplog.clear()
        again = start(what, "head=mse")
        warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        assert any("cannot be used and is trained again" in message for message in warnings), what
        assert not again["stages"]["pretrain"]["reused"], what
        assert all(torch.equal(tensor, _weights("a")[name]) for name, tensor in _weights(what).items()), what
    assert start("last", "head=huber")["stages"]["pretrain"]["reused"]


def test_a_runs_own_damaged_copy_is_fetched_again(
    start: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture, trained_here: dict[str, Any]
) -> None:
    for damage in (_truncate, _alter, _spoil_the_json):
        damage(Path("a/stages/pretrain/encoder.safetensors"))
        Path("a/result.json").unlink()
        caplog.clear()
        again = start("a", "head=l1")
        assert "copied or trained again" in caplog.text, damage.__name__
        assert again["test"] == trained_here["test"], damage.__name__


def test_a_finished_run_needs_the_shared_folder_no_more(
    start: Callable[..., dict[str, Any]], trained_here: dict[str, Any]
) -> None:
    shutil.rmtree("runs/encoders")
    Path("a/result.json").unlink()
    assert start("a", "head=l1")["test"] == trained_here["test"]
    assert not Path("runs/encoders").exists()


def _command(head: str, tiny_digits: list[str], folder: Path) -> list[str]:
    words = ["+experiment=digits_rnc", f"head={head}", *tiny_digits, "recipe.pretrain.epochs=60"]
    return [sys.executable, "-m", "rnc_lightning.train", *words, "recipe.linear_probe.epochs=1",
            f"paths.output_dir={folder}"]  # fmt: skip


@pytest.mark.slow
def test_a_second_process_waits_for_the_first_and_takes_over_when_it_is_killed(
    tiny_digits: list[str], tmp_path: Path
) -> None:
    first = subprocess.Popen(_command("l1", tiny_digits, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("encoders/*/metrics.csv")):
        assert first.poll() is None, first.stdout.read().decode()  # type: ignore[union-attr]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGSTOP)  # it holds the lock for as long as we like
    log = tmp_path / "second.log"
    with log.open("w") as output:
        second = subprocess.Popen(_command("mse", tiny_digits, tmp_path), stdout=output, stderr=subprocess.STDOUT)
        while "waiting for it" not in log.read_text():
            assert second.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert second.wait(timeout=120) == 0, log.read_text()
    assert len(_encoders(tmp_path / "encoders")) == 1
    history = (_encoders(tmp_path / "encoders")[0] / "metrics.csv").read_text().splitlines()
    assert len(history) == 61  # it went on from the last checkpoint, no epoch is there twice
