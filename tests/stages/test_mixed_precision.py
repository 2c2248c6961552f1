"""Half precision: what is a failure and what is not, and that a stopped fit goes on with the same numbers.

Lightning has no fp16 on a CPU, but its plugin with a real loss scale runs there, slowly.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision
from safetensors.torch import load_file
from torch import Tensor, nn

from rnc_lightning import RnCLoss
from rnc_lightning.datasets.digits import DigitsDataModule
from rnc_lightning.datasets.images.transforms import augmented_digit, plain_digit
from rnc_lightning.encoders import SmallResNet
from rnc_lightning.runs.directory import StageDirectory
from rnc_lightning.runs.fitting.fit import StagePlan, fit_stage
from rnc_lightning.stages import CosinePerEpoch, Pretrain
from rnc_lightning.system.errors import NonFiniteLossError
from rnc_lightning.targets import TargetSpec

EPOCHS = 3
Precision = Mapping[str, Any]


class _Half(nn.Module):
    """An objective of your own that leaves its loss in half precision, 40 and more."""

    def forward(self, features: Tensor, y: Tensor) -> Tensor:
        return features.half().square().mean() + 40


class _Stop(Callback):
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == EPOCHS - 1:
            raise InterruptedError


def _fit(folder: Path, precision: Precision, *, stop: bool = False, lr: float = 0.05, **stage: Any) -> Pretrain:
    torch.manual_seed(0)
    data = DigitsDataModule(
        train_transform=augmented_digit(16), eval_transform=plain_digit(), digits=[3], size=16, batch_size=10
    )
    data.setup()
    settings: dict[str, Any] = {"objective": RnCLoss(), "encoder": SmallResNet(1, 4, 2), "gradient_cache": 24, **stage}
    module = Pretrain(
        target=TargetSpec({"angle": {}}),
        optimizer=partial(torch.optim.SGD, lr=lr, momentum=0.9),
        schedule=partial(CosinePerEpoch, decay_rate=0.1),
        epochs=EPOCHS,
        **settings,
    )
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    make_trainer = partial(Trainer, **{"accelerator": "cpu", **quiet, **precision})
    plan = StagePlan(epochs=EPOCHS, batch_size=32, views=2, drop_last=True)
    callbacks = [_Stop()] if stop else []
    fit_stage(
        module, data, plan, StageDirectory(folder), seed=0, origin={}, make_trainer=make_trainer, callbacks=callbacks
    )
    return module


def _fp16(scale: float) -> Precision:
    """Real fp16 with a loss scale to begin with, which grows every other step."""
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=2)
    return {"plugins": [MixedPrecision("16-mixed", "cpu", scaler)]}


def _scale(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / "last.ckpt", weights_only=True)["MixedPrecision"]
    return found


def _resumes_exactly(folder: Path, precision: Precision, again: Precision, undisturbed: Precision) -> None:
    with pytest.raises(InterruptedError):
        _fit(folder / "stopped", precision, stop=True)
    resumed = _fit(folder / "stopped", again)
    expected = _fit(folder / "whole", undisturbed)
    for name, tensor in resumed.state_dict().items():
        assert torch.equal(tensor, expected.state_dict()[name]), name
        assert tensor.dtype in (torch.float32, torch.int64)
    exported = load_file(folder / "stopped/encoder.safetensors")
    assert {tensor.dtype for tensor in exported.values()} == {torch.float32, torch.int64}


def test_a_stopped_fit_in_bf16_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    bf16 = {"precision": "bf16-mixed"}
    _resumes_exactly(tmp_path, bf16, bf16, bf16)


def test_a_stopped_fit_in_fp16_goes_on_with_the_same_numbers_and_loss_scale(tmp_path: Path) -> None:
    _resumes_exactly(tmp_path, _fp16(8.0), _fp16(1.0), _fp16(8.0))
    assert _scale(tmp_path / "stopped") == _scale(tmp_path / "whole")
    assert _scale(tmp_path / "whole")["scale"] > 8


def test_a_loss_scale_that_is_too_high_costs_steps_and_is_no_failure(tmp_path: Path) -> None:
    _fit(tmp_path, _fp16(2.0**30))
    assert _scale(tmp_path)["scale"] < 2.0**30


def test_a_finite_loss_is_not_made_infinite_by_its_scale(tmp_path: Path) -> None:
    _fit(tmp_path, _fp16(2.0**16), objective=_Half(), lr=1e-6)


def test_a_loss_that_is_nan_in_fp16_still_stops_the_fit(tmp_path: Path) -> None:
    encoder = SmallResNet(1, 4, 2)
    with torch.no_grad():
        encoder.stem[0].weight.mul_(1e6)  # type: ignore[union-attr]
    with pytest.raises(NonFiniteLossError, match="bf16-mixed is wider"):
        _fit(tmp_path, _fp16(8.0), encoder=encoder)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_on_a_gpu_a_stopped_fit_goes_on(tmp_path: Path, precision: str) -> None:
    settings = {"accelerator": "gpu", "devices": 1, "precision": precision}
    with pytest.raises(InterruptedError):
        _fit(tmp_path / "stopped", settings, stop=True, channels_last=True)
    resumed = _fit(tmp_path / "stopped", settings, channels_last=True)
    expected = _fit(tmp_path / "whole", settings, channels_last=True)
    for name, tensor in resumed.state_dict().items():
        torch.testing.assert_close(tensor, expected.state_dict()[name], rtol=1e-2, atol=1e-3)
