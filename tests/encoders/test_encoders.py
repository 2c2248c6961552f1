import os
from pathlib import Path

import pytest
import torch

from rnc_lightning.encoders import SmallResNet, TimmEncoder, load_encoder, save_encoder


def test_timm_encoder_gives_pooled_features() -> None:
    encoder = TimmEncoder("resnet10t", in_channels=1)
    assert encoder(torch.zeros(2, 1, 64, 64)).shape == (2, encoder.num_features)


def test_resnet18_starts_as_in_the_official_code() -> None:
    encoder = TimmEncoder("resnet18", kwargs={"zero_init_last": False})
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
        if isinstance(module, torch.nn.Conv2d) and module.weight.numel() > 10_000:
            fan_out = module.weight.shape[0] * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    assert (encoder(torch.randn(2, 3, 224, 224)) >= 0).all()  # means of ReLU outputs, no projection


def test_unknown_backbone_names_near_ones() -> None:
    with pytest.raises(ValueError, match="resnet18"):
        TimmEncoder("resnt18")


def test_local_weights(tmp_path: Path) -> None:
    source = TimmEncoder("resnet10t")
    torch.save(source.model.state_dict(), tmp_path / "weights.pth")
    copy = TimmEncoder("resnet10t", weights=str(tmp_path / "weights.pth"))
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), copy.parameters(), strict=True))
    with pytest.raises(ValueError, match="weights"):
        TimmEncoder("resnet10t", weights=str(tmp_path / "none.pth"))


class _Program:
    """A pickle that makes a folder where it is loaded without care."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.folder,)


def test_nothing_in_a_file_of_weights_is_executed(tmp_path: Path) -> None:
    torch.save({"conv1.weight": _Program(tmp_path / "made")}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="weights_only"):
        TimmEncoder("resnet10t", weights=str(tmp_path / "weights.pth"))
    assert not (tmp_path / "made").exists()


def test_handoff_keeps_every_tensor(tmp_path: Path) -> None:
    encoder = SmallResNet(1, 4, 2).train()
    encoder(torch.randn(8, 1, 16, 16))  # moves the batch-norm statistics
    save_encoder(encoder, tmp_path / "encoder.safetensors", {"stage": "pretrain"})
    other = SmallResNet(1, 4, 2)
    load_encoder(other, tmp_path / "encoder.safetensors")
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_handoff_refuses_what_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_encoder(SmallResNet(1, 4, 2), path, {})
    with pytest.raises(ValueError, match="does not fit"):
        load_encoder(SmallResNet(1, 8, 2), path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match="cut short"):
        load_encoder(SmallResNet(1, 4, 2), path)
    path.write_bytes(content)
    path.with_suffix(".json").unlink()
    with pytest.raises(ValueError, match="no finished encoder"):
        load_encoder(SmallResNet(1, 4, 2), path)
