"""What a GPU computes is what the CPU computes, for all that a run puts on one."""

import gathering
import pytest
import torch
from torch import Tensor

from rnc_lightning import RnCLoss
from rnc_lightning.datasets.images.colour_on_device import finish_on_device
from rnc_lightning.datasets.images.transforms import augmented_image
from rnc_lightning.metrics import FeatureOrdinality, regression_metrics
from rnc_lightning.numerics.seeding import seeded
from rnc_lightning.regularizers.fds import FDS
from rnc_lightning.regularizers.lds import LDS
from rnc_lightning.targets import TargetSpec

DEVICE = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
AGE = TargetSpec({"age": {"low": 0, "high": 9}})


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _close(found: Tensor, expected: Tensor, rtol: float = 1e-6) -> None:
    assert found.device.type == DEVICE
    scale = float(expected.abs().max())
    torch.testing.assert_close(found.cpu().to(expected.dtype), expected, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", gathering.OBJECTIVES)
def test_objectives_and_regularizers(name: str, dtype: torch.dtype) -> None:
    make, (x, y) = gathering.OBJECTIVES[name], gathering.samples()
    expected = gathering.step(make(), gathering.encoder(), x, y, dtype)
    found = gathering.step(make().to(DEVICE), gathering.encoder().to(DEVICE), x.to(DEVICE), y.to(DEVICE), dtype)
    for value, known in zip(found, expected, strict=True):
        _close(value, known, rtol=1e-8 if dtype == torch.float64 else 1e-4)


@pytest.mark.parametrize("name", gathering.HEADS)
def test_heads(name: str) -> None:
    x, y = gathering.samples()

    def step(device: str) -> tuple[Tensor, Tensor, Tensor]:
        module = gathering.Headed(name).to(device)
        outputs = module(x[:, 0].to(device))
        loss = module.head.loss(outputs, y.to(device))
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
        return loss.detach(), gradient, module.head.decode(outputs).detach()

    for value, known in zip(step(DEVICE), step("cpu"), strict=True):
        _close(value, known, rtol=1e-8)


def _rnc(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    leaf = features.to(DEVICE).requires_grad_()
    loss = RnCLoss()(leaf, targets.to(DEVICE))
    loss.backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


def test_the_loss_computes_in_float32_whatever_autocast_and_the_matmul_precision_say() -> None:
    features, ages = _normal(300, 2, 64).bfloat16(), (20 * _normal(300, seed=1)).round()
    loss, gradient = _rnc(features.float(), ages)
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        half = _rnc(features, ages)
    torch.testing.assert_close(half[0], loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(half[1], gradient.bfloat16())
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        fast = _rnc(features.float(), ages)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
    torch.testing.assert_close(fast[0], loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(fast[1], gradient, rtol=1e-5, atol=1e-7)


def test_the_loss_in_shares_and_chunks_is_the_whole_loss() -> None:
    features, ages = _normal(500, 2, 16), (20 * _normal(500, seed=1)).round()
    loss, gradient = _rnc(features, ages)
    leaf = features.to(DEVICE).requires_grad_()
    chunked = RnCLoss(chunk_size=64)(leaf, ages.to(DEVICE))
    chunked.backward()
    torch.testing.assert_close(chunked.detach(), loss, rtol=1e-5, atol=0)
    torch.testing.assert_close(leaf.grad, gradient, rtol=1e-4, atol=1e-7)
    assert float(RnCLoss().floor(ages.to(DEVICE), views=2)) < float(loss)


def test_metrics() -> None:
    prediction, target, features = _normal(90, 2), _normal(90, 2, seed=1), _normal(90, 8, seed=2)

    def measured(device: str) -> dict[str, float]:
        metrics, ordinality = regression_metrics(2, "radian").to(device), FeatureOrdinality().to(device)
        for rows in torch.arange(90).split(40):
            metrics.update(prediction[rows].to(device), target[rows].to(device))
            ordinality.update(features[rows].to(device), target[rows].to(device))
        return {name: float(value) for name, value in {**metrics.compute(), **ordinality.compute()}.items()}

    assert measured(DEVICE) == pytest.approx(measured("cpu"), rel=1e-10)


def test_weights_of_labels_and_calibration_of_features() -> None:
    labels = (9 * torch.rand(200, 1, generator=torch.Generator().manual_seed(0))).round()
    features = _normal(200, 6)

    def made(device: str) -> tuple[Tensor, Tensor]:
        weighting, calibration = LDS(AGE).to(device), FDS(6, AGE).to(device).train()
        weighting.fit_labels(labels)
        x, y = features.to(device), labels.to(device)
        for epoch in range(3):
            calibration.collect(x * (1 + epoch), y)
            calibration.end_epoch()
        return weighting(y), calibration(x, y)

    for value, known in zip(made(DEVICE), made("cpu"), strict=True):
        _close(value, known, rtol=1e-5)


def test_colours_that_are_changed_there_are_those_that_the_cpu_makes() -> None:
    transform = augmented_image(64)
    image = torch.randint(0, 256, (3, 90, 80), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with seeded(0):
        pixels, colour = transform.pixels(image, 40)
    batch = {"x": pixels[None], "colour": colour[None]}
    expected = finish_on_device(batch)["x"]
    found = finish_on_device({key: value.to(DEVICE) for key, value in batch.items()})["x"]
    assert found.device.type == DEVICE
    difference = (found.cpu() - expected).abs() * 127.5
    assert (
        float(difference.mean()) < 0.01
    )  # a number on the edge of a level may go either way, and what follows from it
    assert float(difference.quantile(0.999)) <= 1.01
