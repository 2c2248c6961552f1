"""Whole runs at tiny size: what they leave behind, and that a stopped one ends like an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image
from safetensors.torch import load_file

from rnc_lightning.runs.run import run
from rnc_lightning.system.errors import NonFiniteLossError, UserError

SHORT = ["recipe.pretrain.epochs=2", "recipe.linear_probe.epochs=2", "recipe.end_to_end.epochs=2"]


@pytest.fixture
def start(compose_config: Callable[..., DictConfig], tiny_digits: list[str]) -> Callable[..., dict[str, Any]]:
    """Runs an experiment in this process, in a fixed run directory."""

    def go(*words: str, place: str = "run") -> dict[str, Any]:
        return run(compose_config(*tiny_digits, *SHORT, f"paths.run_dir={place}", *words), words)

    return go


def test_a_run_leaves_everything_behind(
    compose_config: Callable[..., DictConfig], tiny_digits_shown: list[str], tmp_path: Path
) -> None:
    words = ["+experiment=digits_rnc", "seed=3"]
    metrics = run(compose_config(*tiny_digits_shown, *SHORT, "paths.run_dir=run", *words), words)
    place = tmp_path / "run"
    result = json.loads((place / "result.json").read_text())
    wanted = {
        "experiment", "overrides", "dataset", "method", "scheme", "head", "setting", "code", "seed", "status",
        "test", "constant", "worse_than_constant", "stages",
        "counts", "versions", "machine", "git_revision", "data_fingerprint", "units", "seconds",
    }  # fmt: skip
    assert wanted <= set(result)
    assert (result["experiment"], result["overrides"]) == ("digits_rnc", {"seed": "3"})
    assert [result[key] for key in ("dataset", "method", "scheme", "seed")] == ["digits", "rnc", "linear_probe", 3]
    assert result["status"] == "finished"
    assert {"mae", "rmse", "r2", "gmean", "spearman", "kendall"} <= set(result["test"])
    assert list(result["stages"]) == ["pretrain", "regress"]
    assert all(stage["epochs"] == 2 and stage["seconds"] > 0 for stage in result["stages"].values())
    assert metrics["test/mae"] == result["test"]["mae"]
    assert metrics["val/mae"] == result["stages"]["regress"]["metrics"]["val/mae"]

    from rnc_lightning.datasets.digits import rotated_digits

    splits = rotated_digits(digits=[3], size=16, eval_angles=1)
    median = np.sort(splits["train"].targets[:, 0].numpy())[(len(splits["train"]) - 1) // 2]
    expected = np.abs(splits["test"].targets[:, 0].numpy() - median).mean()
    assert result["constant"]["mae"] == pytest.approx(expected, rel=1e-5)
    worse = {name for name in ("mae", "r2") if name in result["worse_than_constant"]}
    is_worse = {"mae": result["test"]["mae"] > expected, "r2": result["test"]["r2"] < 0}
    assert worse == {name for name, found in is_worse.items() if found}

    table = pd.read_csv(place / "predictions.csv")
    assert len(table) == result["counts"]["test"]
    error = (table["angle_target"] - table["angle_prediction"]).abs()
    assert result["test"]["mae"] == pytest.approx(error.mean(), rel=1e-5)
    with np.load(place / "features.npz") as kept:
        assert kept["features"].shape == (len(table), 8)
    frozen = load_file(place / "stages/pretrain/encoder.safetensors")
    final = load_file(place / "encoder.safetensors")
    assert all(torch.equal(frozen[name], final[name]) for name in final)  # a linear probe leaves it as it was
    plots = ("projection_pca", "predictions", "curves_pretrain", "curves_regress", "diagnostics_pretrain")
    assert {path.stem for path in (place / "plots").iterdir()} >= set(plots)
    assert all(Image.open(place / "plots" / f"{name}.png").width > 300 for name in plots)
    curves = pd.read_csv(place / "stages/pretrain/metrics.csv")
    assert curves["epoch"].tolist() == [1, 2]
    assert (curves["train/excess"] > 0).all()


def test_a_finished_run_is_read_and_not_repeated(start: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    first = start("+experiment=digits_l1")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert start("+experiment=digits_l1", "data.num_workers=1") == first  # workers change no result
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_another_configuration_in_the_same_place_is_refused(start: Callable[..., dict[str, Any]]) -> None:
    start("+experiment=digits_l1")
    with pytest.raises(UserError, match=r"data\.batch_size: 32 -> 16"):
        start("+experiment=digits_l1", "data.batch_size=16")


def test_a_run_is_repeatable_and_depends_on_its_seed(start: Callable[..., dict[str, Any]]) -> None:
    a, b, c = (start("+experiment=digits_rnc", f"seed={s}", place=p) for s, p in ((0, "a"), (0, "b"), (1, "c")))
    assert a == b != c


HEADS = ("l1", "mse", "huber", "dex", "dldl_v2", "or", "corn")
SCHEMES = ("linear_probe", "fine_tune", "end_to_end", "regularization")


def _scheme_and_head(scheme: str, head: str) -> Any:
    """Every head is tried in one scheme every time, and one of each family in every scheme; the rest is slow."""
    quick = scheme == "end_to_end" or head in ("l1", "dex", "corn")
    return pytest.param(scheme, head, marks=() if quick else pytest.mark.slow)


@pytest.fixture(scope="module")
def shared_encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where stage one, the same for all heads, is trained once."""
    return tmp_path_factory.mktemp("encoders")


@pytest.mark.parametrize(("scheme", "head"), [_scheme_and_head(scheme, head) for scheme in SCHEMES for head in HEADS])
def test_every_head_runs_in_every_scheme(
    start: Callable[..., dict[str, Any]], tmp_path: Path, shared_encoders: Path, scheme: str, head: str
) -> None:
    one = ["recipe.fine_tune.epochs=1", "recipe.regularization.epochs=1", "trainer.limit_train_batches=1"]
    start("+experiment=digits_rnc", f"scheme={scheme}", f"head={head}", *one, f"paths.encoder_dir={shared_encoders}")
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["scheme"], result["head"]) == (scheme, head)
    assert ("pretrain" in result["stages"]) is (scheme in ("linear_probe", "fine_tune"))
    assert result["test"]["mae"] is not None
    if scheme == "regularization":
        metrics = result["stages"]["regress"]["metrics"]
        assert metrics["train/loss"] == pytest.approx(metrics["train/head_loss"] + metrics["train/objective"])
    if scheme == "fine_tune":
        first = load_file(tmp_path / "run/stages/pretrain/encoder.safetensors")
        final = load_file(tmp_path / "run/encoder.safetensors")
        assert any(not torch.equal(first[name], final[name]) for name in final)


def test_a_loss_that_explodes_stops_the_run_and_says_where(
    start: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(NonFiniteLossError, match=r"epoch \d+, step \d+"):
        start("+experiment=digits_l1", "recipe.end_to_end.lr=1e30", "recipe.end_to_end.epochs=5")
    report = json.loads((tmp_path / "run/stages/regress/non_finite_loss.json").read_text())
    assert len(report["indices"]) > 1
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["status"] == "failed"
    assert "NonFiniteLossError" in result["reason"]


def _command(words: list[str], place: Path) -> list[str]:
    places = [f"paths.run_dir={place}", f"paths.encoder_dir={_encoders(place)}"]
    return [sys.executable, "-m", "rnc_lightning.train", *words, *places]


def _encoders(place: Path) -> Path:
    """Where the run's stage one is trained: a place that it shares with nobody."""
    return place.with_name(f"{place.name}_encoders")


def _kill_in(stage: str, words: list[str], place: Path) -> None:
    """Start the run and kill it once the stage has done two epochs; it must not have finished the stage."""
    process = subprocess.Popen(_command(words, place), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    pattern = "*_encoders/*/metrics.csv" if stage == "pretrain" else f"{place.name}/stages/{stage}/metrics.csv"
    deadline = time.monotonic() + 120
    while not any(len(history.read_text().splitlines()) >= 3 for history in place.parent.glob(pattern)):
        assert process.poll() is None, process.stdout.read().decode()  # type: ignore[union-attr]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (place / "stages" / stage / "stage.json").exists(), "the kill came too late to show anything"


@pytest.mark.slow
def test_a_run_killed_in_either_stage_ends_bit_for_bit_like_an_undisturbed_one(
    tiny_digits: list[str], tmp_path: Path
) -> None:
    epochs = ["recipe.pretrain.epochs=20", "recipe.linear_probe.epochs=60"]
    words = ["+experiment=digits_rnc", *tiny_digits, *epochs]
    _kill_in("pretrain", words, tmp_path / "killed")
    _kill_in("regress", words, tmp_path / "killed")
    subprocess.run(_command(words, tmp_path / "whole"), check=True, capture_output=True)
    subprocess.run(_command(words, tmp_path / "killed"), check=True, capture_output=True)

    whole, killed = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "killed"))
    assert killed["test"] == whole["test"]
    assert (tmp_path / "whole/predictions.csv").read_bytes() == (tmp_path / "killed/predictions.csv").read_bytes()
    for stage in ("pretrain", "regress"):
        assert killed["stages"][stage]["metrics"] == whole["stages"][stage]["metrics"]
        histories = [pd.read_csv(tmp_path / n / "stages" / stage / "metrics.csv") for n in ("whole", "killed")]
        pd.testing.assert_frame_equal(*(h.drop(columns="seconds") for h in histories), check_exact=True)


def test_a_range_that_the_configuration_leaves_open_is_that_of_the_training_labels(
    start: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    open_range = ["target.dimensions.angle.low=null", "target.dimensions.angle.high=null"]
    start("+experiment=digits_l1", "head=dex", "target.dimensions.angle.step=5", *open_range)
    from rnc_lightning.datasets.digits import rotated_digits

    labels = rotated_digits(digits=[3], size=16, eval_angles=1)["train"].targets.numpy()
    low, high = np.floor(labels.min() / 5) * 5, np.ceil(labels.max() / 5) * 5
    weights = torch.load(tmp_path / "run/stages/regress/last.ckpt", weights_only=True)["state_dict"]
    assert weights["head.linear.bias"].shape == (round((high - low) / 5) + 1,)
    predictions = pd.read_csv(tmp_path / "run/predictions.csv")["angle_prediction"]
    assert predictions.between(low, high).all()


def test_training_labels_outside_the_range_are_told(
    start: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    start("+experiment=digits_l1", "head=or", "target.dimensions.angle.high=30")
    assert "target.dimensions.angle: " in caplog.text
    assert "training labels are outside -60.0 to 30" in caplog.text


def test_task_weights_come_from_the_training_labels_and_survive_in_the_checkpoint(
    start: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    start("+experiment=digits_l1", "head=or", "head.task_weights=sqrt_frequency", "target.dimensions.angle.step=10")
    from rnc_lightning.datasets.digits import rotated_digits

    labels = rotated_digits(digits=[3], size=16, eval_angles=1)["train"].targets[:, 0].tolist()
    counts = [max(1, sum(abs(label - (10 * t - 60)) < 5 for label in labels)) for t in range(12)]
    roots = np.sqrt(counts)
    kept = torch.load(tmp_path / "run/stages/regress/best.ckpt", weights_only=True)["state_dict"]["head.task_weights"]
    np.testing.assert_allclose(kept.numpy(), roots / roots.mean(), rtol=1e-5)


@pytest.mark.parametrize("scheme", ["linear_probe", "fine_tune"])
def test_a_failed_stage_one_fails_the_run_with_its_reason(
    start: Callable[..., dict[str, Any]], tmp_path: Path, scheme: str
) -> None:
    with pytest.raises(NonFiniteLossError):
        start("+experiment=digits_rnc", f"scheme={scheme}", "recipe.pretrain.lr=1e30", "recipe.pretrain.epochs=6")
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["status"], result["head"]) == ("failed", "l1")
    assert "NonFiniteLossError" in result["reason"]
    assert not list(tmp_path.glob("runs/encoders/*/stage.json"))  # nothing that a later run would trust
