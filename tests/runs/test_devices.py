"""However a person writes the number of devices, the suite starts that many processes, and Lightning none."""

from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import OmegaConf

from rnc_lightning.runs.devices import choose_backend, count_devices, named_gpus, shared_gpu_arguments
from rnc_lightning.system.errors import UserError


@pytest.mark.parametrize(
    ("devices", "accelerator", "expected"),
    [
        (1, "cpu", 1),
        ("2", "cpu", 2),
        ("0,1", "gpu", 2),
        ("3,", "gpu", 1),
        ([0, 2, 3], "gpu", 3),
        ("auto", "cpu", 1),
        ("auto", "gpu", 4),
        (-1, "auto", 4),
        ("-1", "gpu", 4),
    ],
)
def test_devices_are_counted_as_lightning_counts_them(
    devices: Any, accelerator: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert count_devices(devices, accelerator) == expected


@pytest.mark.parametrize("devices", [0, -2, "two", [], 1.5, True, None])
def test_anything_else_is_refused(devices: Any) -> None:
    with pytest.raises(UserError, match=r"trainer\.devices"):
        count_devices(devices, "cpu")


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (OmegaConf.create([1, 3]), [1, 3]),
        ([0, 0], [0, 0]),
        ("0, 2", [0, 2]),
        ("3,", [3]),
        ("3", None),
        (2, None),
        ("auto", None),
        (-1, None),
    ],
)
def test_gpus_that_are_named_are_known(devices: Any, expected: list[int] | None) -> None:
    assert named_gpus(devices) == expected


def test_processes_that_share_a_gpu_speak_through_gloo_and_lightning_is_not_asked() -> None:
    assert [choose_backend("gpu", devices) for devices in (2, [1, 3], [0, 0], "1,1")] == [
        "nccl",
        "nccl",
        "gloo",
        "gloo",
    ]
    assert shared_gpu_arguments({"devices": [1, 3], "strategy": "ddp"}) == {}
    assert shared_gpu_arguments({"devices": 2}) == {}
    told = shared_gpu_arguments({"devices": [1, 1], "strategy": "ddp"})
    assert told["devices"] == 1
    assert type(told["strategy"]) is DDPStrategy
    assert told["strategy"].parallel_devices == [torch.device("cuda", 1)] * 2
