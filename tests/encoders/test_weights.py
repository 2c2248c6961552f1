"""Files of weights as people have them: with classifiers, prefixes, wrappers, other channels and image sizes."""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from rnc_lightning.encoders import TimmEncoder, weights
from rnc_lightning.encoders.weights import common_prefix

Tensors = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _each_line_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    weights._say_once.cache_clear()
    weights._warn_once.cache_clear()


@pytest.fixture
def pretrained() -> Tensors:
    """The weights of a model with its classifier, none at its initial value."""
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=7)
    return {key: torch.randn_like(t) if t.is_floating_point() else t for key, t in model.state_dict().items()}


def _zeros(tensors: Tensors) -> Tensors:
    return {key: torch.zeros_like(value) for key, value in tensors.items()}


def _twice_as_wide(tensors: Tensors) -> Tensors:
    return {key: torch.cat([value, value]) if value.dim() else value for key, value in tensors.items()}


def _prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + key: value for key, value in tensors.items()}


def _assert_loaded(encoder: TimmEncoder, tensors: Tensors) -> None:
    for key, value in encoder.model.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, tensors[key]), key


@pytest.mark.parametrize(
    "prefix", ["", "encoder.", "module.", "model.", "backbone.", "module.encoder.", "_orig_mod.module.model.backbone."]
)
def test_prefixes_and_the_classifier_are_removed(
    prefix: str, pretrained: Tensors, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_file(_prefixed(prefix, pretrained), tmp_path / "w.safetensors")
    _assert_loaded(TimmEncoder("test_resnet", weights=str(tmp_path / "w.safetensors")), pretrained)
    assert "classifier not used: fc.bias, fc.weight" in caplog.text
    assert (f"prefix {prefix} removed" in caplog.text) is bool(prefix)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: {"state_dict": t, "epoch": 3},
        lambda t: {"model": _prefixed("module.", t), "args": argparse.Namespace(lr=1)},
        lambda t: {"teacher": _prefixed("module.backbone.", t), "student": _zeros(t)},
        lambda t: {"state_dict": {**_prefixed("student.", _zeros(t)), **_prefixed("teacher.", t)}},
        lambda t: {"model": {"state_dict": _prefixed("encoder.", t)}},
        lambda t: {"net": t, "optimizer": {"state": {}, "param_groups": []}},
        lambda t: {**_prefixed("encoder.", t), "projector.0.weight": torch.zeros(3, 3)},
    ],
)  # fmt: skip
def test_weights_are_found_in_checkpoints(
    wrap: Callable[[Tensors], dict[str, Any]], pretrained: Tensors, tmp_path: Path
) -> None:
    torch.save(wrap(pretrained), tmp_path / "w.pth")
    _assert_loaded(TimmEncoder("test_resnet", weights=str(tmp_path / "w.pth")), pretrained)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_are_adapted_as_timm_does(
    channels: int, pretrained: Tensors, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save(pretrained, tmp_path / "w.pth")
    encoder = TimmEncoder("test_resnet", in_channels=channels, weights=str(tmp_path / "w.pth"))
    key = f"{encoder.model.pretrained_cfg['first_conv']}.weight"
    expected = timm.models.adapt_input_conv(channels, pretrained[key].clone(), 3)
    _assert_loaded(encoder, {**pretrained, key: expected})
    assert f"{key} adapted from" in caplog.text
    torch.save(encoder.model.state_dict(), tmp_path / "back.pth")  # one's own encoder of other channels
    TimmEncoder("test_resnet", weights=str(tmp_path / "back.pth"))


def test_position_embeddings_are_resized(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = timm.create_model("test_vit")
    torch.save(_prefixed("module.", source.state_dict()), tmp_path / "w.pth")
    encoder = TimmEncoder("test_vit", img_size=96, weights=str(tmp_path / "w.pth"))
    assert "pos_embed adapted from 1 x 101 x 64 to 1 x 37 x 64" in caplog.text
    assert torch.equal(encoder.model.blocks[0].attn.qkv.weight, source.blocks[0].attn.qkv.weight)


def test_a_few_tensors_may_be_missing_and_are_named(
    pretrained: Tensors, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pretrained.pop("layer4.0.bn1.weight")
    torch.save({**pretrained, "decoder.weight": torch.zeros(2)}, tmp_path / "w.pth")
    TimmEncoder("test_resnet", weights=str(tmp_path / "w.pth"))
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("lacks layer4.0.bn1.weight, which start with random values" in line for line in warned)
    assert any("does not have: decoder.weight" in line for line in warned)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda t: {key: value for key, value in t.items() if key.startswith("layer1")}, r"has only \d+ of the \d+"),
        (lambda t: timm.create_model("test_vit").state_dict(), "has only 0 of the"),
        (_twice_as_wide, "does not fit test_resnet: .* in the file and .* in the model"),
        (lambda t: {key: value / 0 for key, value in t.items()}, "values that are not finite numbers in conv1"),
        (lambda t: {"epoch": 3}, "holds no named tensors"),
        (lambda t: [1, 2], "holds no named tensors"),
        (lambda t: torch.zeros(3), "holds no named tensors"),
    ],
)  # fmt: skip
def test_a_file_of_another_model_is_refused(
    content: Callable[[Tensors], Any], said: str, pretrained: Tensors, tmp_path: Path
) -> None:
    torch.save(content(pretrained), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=said) as refused:
        TimmEncoder("test_resnet", weights=str(tmp_path / "w.pth"))
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.npz"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04", b"\x80\x02}."])
def test_a_damaged_file_is_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"weights: .*{name}|weights: timm reads no") as refused:
        TimmEncoder("test_resnet", weights=str(tmp_path / name))
    assert len(str(refused.value).splitlines()) == 1


def test_the_prefix_is_that_of_most_names() -> None:
    known = ["conv.weight", "conv.bias", "norm.weight"]
    assert common_prefix(known, known) == ""
    assert common_prefix(["a.conv.weight", "a.conv.bias", "b.norm.weight"], known) == "a."
    assert common_prefix(["q.conv.weight", "k.conv.weight"], known) == "q."
    assert common_prefix(["q.conv.weight", "ema.conv.weight"], known) == "ema."
    assert common_prefix(["other"], known) == ""
