"""channels_last, torch.compile and the gradient cache as arguments of a stage."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnc_lightning import RnCLoss
from rnc_lightning.encoders import ResNet1d
from rnc_lightning.encoders.handoff import load_encoder, save_encoder
from rnc_lightning.heads import PointHead
from rnc_lightning.stages import CosinePerEpoch, Pretrain, Regress
from rnc_lightning.system.errors import UserError
from rnc_lightning.targets import TargetSpec

SWITCHES: dict[str, Any] = {"channels_last": True, "compile": "aot_eager"}


def _settings(encoder: nn.Module, **switches: Any) -> dict[str, Any]:
    return {
        "encoder": encoder,
        "target": TargetSpec({"angle": {}}),
        "optimizer": partial(torch.optim.SGD, lr=0.1),
        "schedule": partial(CosinePerEpoch, decay_rate=0.1),
        "epochs": 2,
        **switches,
    }


class _Small(nn.Module):
    """What the switches can change: a convolution, BatchNorm and the mean over the pixels. It compiles fast."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu().mean((2, 3))


def _regress(**switches: Any) -> Regress:
    return Regress(head=PointHead, **_settings(_Small(), **switches))


def _images() -> Tensor:
    return torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class _Witness(nn.Module):
    num_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.given: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(x)
        return self.conv(x).mean((2, 3))


@pytest.mark.parametrize("at_once", [None, 4])
def test_images_and_weights_lie_with_the_channels_last(at_once: int | None) -> None:
    stage = Pretrain(objective=RnCLoss(), **_settings(_Witness(), channels_last=True, gradient_cache=at_once))
    stage(_images().unflatten(0, (3, 2)))
    assert len(stage.encoder.given) == (1 if at_once is None else 2)
    for tensor in (*stage.encoder.given, stage.encoder.conv.weight):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_signals_are_left_as_they_are() -> None:
    plain, switched = (
        Regress(head=PointHead, **_settings(ResNet1d(2, 4, (1,)), channels_last=last)) for last in (False, True)
    )
    switched.load_state_dict(plain.state_dict())
    x = torch.randn(3, 2, 64)
    assert torch.equal(plain(x), switched(x))


@pytest.mark.parametrize(("before", "after"), [(SWITCHES, {}), ({}, SWITCHES)])
def test_what_is_written_with_the_switches_loads_without_them_and_the_reverse(
    before: dict[str, Any], after: dict[str, Any], tmp_path: Path
) -> None:
    first, second, third = _regress(**before).eval(), _regress(**after).eval(), _regress(**after).eval()
    first.encode(_images())  # it has been compiled by now
    save_encoder(first.encoder, tmp_path / "encoder.safetensors", {})
    load_encoder(second.encoder, tmp_path / "encoder.safetensors")
    torch.testing.assert_close(second.encode(_images()), first.encode(_images()))
    torch.save(first.state_dict(), tmp_path / "weights.ckpt")
    third.load_state_dict(torch.load(tmp_path / "weights.ckpt", weights_only=True))
    torch.testing.assert_close(third(_images()), first(_images()))
    weight = second.encoder.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) is bool(after)


def test_a_compiled_encoder_is_compiled() -> None:
    """It meets every way of computing: training, evaluation, without a gradient, another size, autocast."""
    stage, plain = _regress(compile="aot_eager"), _regress()
    plain.load_state_dict(stage.state_dict())
    torch._dynamo.utils.counters.clear()
    for mode in (True, False):
        for x in (_images(), _images()[:4]):
            torch.testing.assert_close(stage.train(mode).encode(x), plain.train(mode).encode(x))
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                torch.testing.assert_close(stage.encode(x), plain.encode(x), rtol=2e-2, atol=2e-2)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 8
    assert not torch._dynamo.utils.counters["graph_break"]


@torch._dynamo.config.patch(recompile_limit=2)
def test_one_sweep_does_not_come_to_the_limit_of_compiled_versions() -> None:
    for _ in range(torch._dynamo.config.recompile_limit + 2):
        stage = _regress(compile="eager")
        torch._dynamo.utils.counters.clear()
        stage.encode(_images())
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"compile": "inductr"}, "no backend 'inductr'; did you mean inductor?"),
        ({"channels_last": "yes"}, "channels_last must be true or false"),
        ({"gradient_cache": 0}, "gradient_cache must be a whole number from 1 up, got 0"),
        ({"gradient_cache": 4, "freeze_encoder": True}, "gradient_cache has no effect on a frozen encoder"),
    ],
)
def test_what_cannot_be_is_refused(switches: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        _regress(**switches)


def test_a_compiler_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = _regress(compile="inductor")
    monkeypatch.setenv("CXX", "/nowhere/g++")
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/nowhere/g++",))
    with pytest.raises(
        UserError, match=r"compute\.compile: the encoder could not be compiled \(.+\); compute\.compile=null turns"
    ):
        stage.encode(_images())
