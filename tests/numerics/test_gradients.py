"""Gradients over 2 and 4 processes against those of one process with the whole batch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import gathering
import pytest
import torch

WORLDS = (2, 4)
TOLERANCES = {"float64": 1e-10, "float32": 1e-4, "bfloat16": 3e-2}  # relative to the largest entry


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what each process found."""
    folder = tmp_path_factory.mktemp("processes")
    subprocess.run([sys.executable, gathering.__file__, str(folder), *map(str, WORLDS)], check=True)
    return folder


@pytest.fixture(scope="module", params=WORLDS)
def processes(request: pytest.FixtureRequest, results: Path) -> list[dict[str, Any]]:
    """What each process found."""
    return [torch.load(results / f"found.{request.param}.{rank}") for rank in range(request.param)]


@pytest.mark.parametrize("precision", gathering.PRECISIONS)
@pytest.mark.parametrize("name", gathering.OBJECTIVES)
@pytest.mark.parametrize("division", gathering.DIVISIONS)
def test_all_processes_have_the_gradient_of_one(
    division: str, name: str, precision: str, processes: list[dict[str, Any]]
) -> None:
    x, y = gathering.samples()
    dtype = gathering.PRECISIONS[precision]
    loss, gradient = gathering.step(gathering.OBJECTIVES[name](), gathering.encoder(), x, y, dtype)
    for found in processes:
        its_loss, its_gradient = found["steps"][division, name, precision]
        tolerance = TOLERANCES[precision]
        torch.testing.assert_close(its_loss, loss, rtol=tolerance, atol=0)
        torch.testing.assert_close(its_gradient, gradient, rtol=0, atol=tolerance * float(gradient.abs().max()))


@pytest.mark.parametrize("name", gathering.HEADS)
@pytest.mark.parametrize("division", ["even", "uneven"])
def test_heads_have_it_too(division: str, name: str, processes: list[dict[str, Any]]) -> None:
    loss, gradient = gathering.head_step(name, *gathering.samples())
    for found in processes:
        its_loss, its_gradient = found["steps"][division, name]
        torch.testing.assert_close(its_loss, loss, rtol=1e-10, atol=0)
        torch.testing.assert_close(its_gradient, gradient, rtol=0, atol=1e-10 * float(gradient.abs().max()))


@pytest.mark.parametrize("name", gathering.OBJECTIVES)
@pytest.mark.parametrize("division", gathering.DIVISIONS)
def test_a_gradient_cache_changes_none_of_them(division: str, name: str, processes: list[dict[str, Any]]) -> None:
    x, y = gathering.samples()
    loss, gradient = gathering.step(gathering.OBJECTIVES[name](), gathering.encoder(), x, y, torch.float64)
    for found in processes:
        its_loss, its_gradient = found["steps"][division, name, "cached"]
        torch.testing.assert_close(its_loss, loss, rtol=1e-10, atol=0)
        torch.testing.assert_close(its_gradient, gradient, rtol=0, atol=1e-10 * float(gradient.abs().max()))


def test_layers_that_synchronise_meet_in_every_chunk(processes: list[dict[str, Any]]) -> None:
    """Uneven shares make as many chunks each; statistics are those of a chunk over all processes."""
    x, y = gathering.samples()
    sizes = gathering.DIVISIONS["uneven"][len(processes)]
    chunks = -(-max(sizes) * gathering.VIEWS // gathering.AT_ONCE)
    encoder = gathering.encoder_with_synced_norm()

    class Together(torch.nn.Module):
        """The encoder with the processes' chunks side by side."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = encoder

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            shares = [share.tensor_split(chunks) for share in rows.split([n * gathering.VIEWS for n in sizes])]
            encoded = [encoder(torch.cat(parts)).split([len(p) for p in parts]) for parts in zip(*shares, strict=True)]
            return torch.cat([torch.cat(parts) for parts in zip(*encoded, strict=True)])

    loss, gradient = gathering.step(gathering.RnCLoss(), Together(), x, y, torch.float64)
    for found in processes:
        its_loss, its_gradient, its_mean = found["synced"]
        torch.testing.assert_close(its_loss, loss, rtol=1e-10, atol=0)
        torch.testing.assert_close(its_gradient, gradient, rtol=0, atol=1e-10 * float(gradient.abs().max()))
        torch.testing.assert_close(its_mean, encoder[1].running_mean, rtol=1e-10, atol=1e-14)


def test_the_floor_is_that_of_the_whole_batch(processes: list[dict[str, Any]]) -> None:
    _, y = gathering.samples()
    expected = gathering.RnCLoss().floor(y, gathering.VIEWS)
    for found in processes:
        torch.testing.assert_close(found["floor"], expected, rtol=1e-12, atol=0)


def test_feature_calibration_takes_its_statistics_over_all_processes(processes: list[dict[str, Any]]) -> None:
    expected = gathering.calibration(*gathering.samples(), batch=gathering.BATCH)
    assert expected["used"].any()
    for found in processes:
        for name, tensor in expected.items():
            torch.testing.assert_close(found["calibration"][name], tensor)
