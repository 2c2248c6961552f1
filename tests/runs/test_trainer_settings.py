"""What people who know Lightning write behind `trainer.`: it works, or one line says what does the same here."""

from typing import Any

import pytest
import torch

from rnc_lightning.runs.run import count_processes
from rnc_lightning.runs.trainer_settings import check_gpus, check_settings
from rnc_lightning.system.errors import UserError


@pytest.mark.parametrize(
    ("key", "value", "instead"),
    [
        ("fast_dev_run", True, r"\+debug=one_batch"),
        ("fast_dev_run", 3, r"\+debug=one_batch"),
        ("max_epochs", 3, r"recipe\.pretrain\.epochs=10"),
        ("min_epochs", 2, r"recipe\."),
        ("max_steps", 100, r"recipe\..*trainer\.limit_train_batches"),
        ("max_time", "00:01:00:00", r"recipe\."),
        ("overfit_batches", 1, r"trainer\.limit_train_batches"),
        ("overfit_batches", 0.1, r"trainer\.limit_train_batches"),
        ("callbacks", [{"_target_": "x"}], r"\+callbacks\."),
        ("logger", True, "logger=wandb"),
        ("default_root_dir", "here", r"paths\.run_dir"),
        ("enable_checkpointing", False, "writes its own checkpoints"),
        ("barebones", True, "checkpoints"),
        ("val_check_interval", 0.5, "every epoch"),
        ("check_val_every_n_epoch", 2, "every epoch"),
        ("limit_train_batches", 0, "use 1"),
        ("limit_val_batches", 0.0, "use 1"),
        ("limit_test_batches", 0, "use 1"),
        ("precision", "bf16-true", r"use 32-true, or bf16-mixed"),
        ("precision", "16-true", r"16-mixed \(on a GPU\)"),
        ("precision", "64-true", "use 32-true"),
        ("precision", 64, "use 32-true"),
        ("precision", "transformer-engine", "use 32-true"),
    ],
)
def test_what_would_be_ignored_or_break_a_stage_is_refused(key: str, value: Any, instead: str) -> None:
    with pytest.raises(UserError, match=rf"^trainer\.{key}=.*{instead}") as refused:
        check_settings({"accelerator": "cpu", key: value})
    assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(UserError, match=rf"^trainer\.{key}="):  # where a run asks, before anything is built
        count_processes({"accelerator": "cpu", key: value})


@pytest.mark.parametrize(
    "settings",
    [
        {"fast_dev_run": False, "max_epochs": None, "overfit_batches": 0.0, "max_steps": -1, "logger": False},
        {"check_val_every_n_epoch": 1, "val_check_interval": 1.0, "enable_checkpointing": True},
        {"limit_train_batches": 1, "limit_val_batches": 0.5, "limit_test_batches": 1.0},
        {"accumulate_grad_batches": 2, "gradient_clip_val": 1.0, "detect_anomaly": True, "profiler": "simple"},
        *({"precision": precision} for precision in ("32-true", 32, "bf16-mixed", "bf16", "16-mixed", 16)),
    ],
)
def test_everything_else_is_lightnings(settings: dict[str, Any]) -> None:
    check_settings(settings)


@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_a_gpu_that_is_not_there(accelerator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for devices in (1, 2, [0], "auto"):
        with pytest.raises(UserError, match=rf"trainer\.accelerator={accelerator}: PyTorch finds no GPU.*trainer=cpu"):
            count_processes({"accelerator": accelerator, "devices": devices})
    assert count_processes({"accelerator": "auto", "devices": 2}) == 2  # as many processes on the CPU


@pytest.mark.parametrize("devices", [3, [2], "1,2", [0, 5]])
def test_more_gpus_than_there_are(devices: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"this machine has 2 GPUs \(number 0 to 1\); use trainer\.devices=2"):
        count_processes({"accelerator": "gpu", "devices": devices})
    assert count_processes({"accelerator": "gpu", "devices": [0, 0]}) == 2
    assert count_processes({"accelerator": "cpu", "devices": 3}) == 3


def test_a_single_gpu_has_number_0() -> None:
    with pytest.raises(UserError, match=r"has 1 GPU \(number 0\)"):
        check_gpus([1], 1, "auto")
