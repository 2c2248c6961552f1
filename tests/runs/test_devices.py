"""However a person writes the number of devices, the suite starts that many processes, and Lightning none."""

from typing import Any

import pytest
import torch

from rnc_lightning.runs.devices import counted
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
    assert counted(devices, accelerator) == expected


@pytest.mark.parametrize("devices", [0, -2, "two", [], 1.5, True, None])
def test_anything_else_is_refused(devices: Any) -> None:
    with pytest.raises(UserError, match=r"trainer\.devices"):
        counted(devices, "cpu")
