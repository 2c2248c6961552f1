import pytest
import torch

from rnc_lightning.encoders import MLP


@pytest.mark.parametrize(("inputs", "width", "depth"), [(1, 1, 1), (10, 128, 2), (7, 16, 4)])
def test_shapes_and_size(inputs: int, width: int, depth: int) -> None:
    encoder = MLP(inputs, width, depth)
    assert encoder.num_features == width
    assert encoder(torch.randn(5, inputs)).shape == (5, width)
    weights = inputs * width + (depth - 1) * width * width
    assert sum(p.numel() for p in encoder.parameters()) == weights + depth * 2 * width


def test_every_weight_gets_a_gradient() -> None:
    torch.manual_seed(0)
    encoder = MLP(6, 16, 3)
    encoder(torch.randn(32, 6)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_it_computes_what_its_layers_say() -> None:
    torch.manual_seed(0)
    encoder = MLP(4, 8, 2)
    encoder(torch.randn(64, 4))  # moves the batch-norm statistics
    encoder.eval()
    x = expected = torch.randn(3, 4)
    state = encoder.state_dict()
    for layer in range(2):
        weight, gain, shift, mean, variance = (
            state[f"layers.{layer}.{name}"]
            for name in ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var")
        )
        expected = torch.clamp((expected @ weight.T - mean) / (variance + 1e-5).sqrt() * gain + shift, min=0)
    torch.testing.assert_close(encoder(x), expected)


def test_features_start_at_the_scale_of_the_inputs() -> None:
    torch.manual_seed(0)
    encoder = MLP(50, 200, 3)
    with torch.no_grad():
        out = torch.nn.Sequential(*[layer[0] for layer in encoder.layers])(torch.randn(1000, 50))  # type: ignore[index]
    assert 1 < out.std() < 6  # sqrt(2) a layer without the ReLUs that halve the power: 2.8


@pytest.mark.parametrize("name", ["in_features", "width", "depth"])
def test_sizes_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number from 1 up, got 0"):
        MLP(**{"in_features": 3, "width": 4, "depth": 2, name: 0})
