import pytest
import torch
from torch import nn

from rnc_lightning.encoders import ResNet1d
from rnc_lightning.encoders.handoff import load_encoder, save_encoder


def test_twenty_four_layers_counted_one_by_one() -> None:
    encoder = ResNet1d(in_channels=21)
    longer_than_one = [m for m in encoder.modules() if isinstance(m, nn.Conv1d) and m.kernel_size != (1,)]
    head = nn.Linear(encoder.num_features, 1)  # what follows in every scheme
    assert len(longer_than_one) + len([head]) == 24 == encoder.layers
    assert encoder.num_features == 512


@pytest.mark.parametrize("samples", [2, 33, 2000])
def test_any_length(samples: int) -> None:
    encoder = ResNet1d(3, width=4, blocks=[1, 1])
    features = encoder(torch.randn(2, 3, samples))
    assert features.shape == (2, encoder.num_features) == (2, 8)
    assert (features >= 0).all()  # means of ReLU outputs


def test_starting_weights_are_those_of_kaiming() -> None:
    torch.manual_seed(0)
    for module in ResNet1d(21, width=32, blocks=[1, 1]).modules():
        if isinstance(module, nn.Conv1d) and module.weight.numel() > 5000:
            fan_out = module.weight.shape[0] * module.kernel_size[0]
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)


def test_it_reads_every_channel_and_learns() -> None:
    torch.manual_seed(0)
    encoder = ResNet1d(2, width=4, blocks=[1, 1])
    x = torch.randn(4, 2, 64, requires_grad=True)
    encoder(x)[:, 0].sum().backward()
    assert (x.grad.abs().sum(dim=2) > 0).all()  # type: ignore[union-attr]
    assert all(p.grad is not None for p in encoder.parameters())


def test_handed_over(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "encoder.safetensors"
    encoder, other = ResNet1d(2, 4, [1]), ResNet1d(2, 4, [1])
    save_encoder(encoder, path, {})
    load_encoder(other, path)
    x = torch.randn(2, 2, 32)
    assert torch.equal(encoder.eval()(x), other.eval()(x))


@pytest.mark.parametrize(
    "wrong", [{"in_channels": 0}, {"in_channels": 1, "blocks": []}, {"in_channels": 1, "kernel": 4}]
)
def test_impossible_arguments(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ResNet1d(**wrong)  # type: ignore[arg-type]
