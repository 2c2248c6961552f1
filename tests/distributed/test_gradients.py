"""Gradients over 2 and 4 processes against those of one process with the whole batch."""

import subprocess
import sys
from typing import Any

import gathering
import pytest
import torch

WORLDS = (2, 4)
TOLERANCES = {"float64": 1e-10, "float32": 1e-4, "bfloat16": 3e-2}  # relative to the largest entry


@pytest.fixture(scope="module", params=WORLDS)
def processes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each process found."""
    folder = tmp_path_factory.mktemp("processes")
    command = [sys.executable, gathering.__file__]
    last = [str(request.param), str(folder / "rendezvous"), str(folder / "found")]
    running = [subprocess.Popen([*command, str(rank), *last]) for rank in range(request.param)]
    try:
        assert [process.wait(timeout=300) for process in running] == [0] * request.param
    finally:
        for process in running:
            process.kill()
    return [torch.load(folder / f"found.{rank}") for rank in range(request.param)]


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


def test_the_floor_is_that_of_the_whole_batch(processes: list[dict[str, Any]]) -> None:
    _, y = gathering.samples()
    expected = gathering.RnCLoss().floor(y, gathering.VIEWS)
    for found in processes:
        torch.testing.assert_close(found["floor"], expected, rtol=1e-12, atol=0)
