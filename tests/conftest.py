"""Shared by all tests: few threads, nothing of the user's environment, and configurations at tiny size."""

import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # also for the processes that tests start
os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", COLUMNS="200")
for variable in ("RNC_DATA", "RNC_RUNS", "HYDRA_FULL_ERROR", "WANDB_API_KEY"):
    os.environ.pop(variable, None)

import torch  # noqa: E402
from omegaconf import DictConfig  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent / "helpers"))  # modules that make data, programs that tests start
torch.set_num_threads(1)

TINY_DIGITS = (
    "data.digits=[3]",
    "data.size=16",
    "data.eval_angles=1",
    "data.batch_size=32",
    "encoder.width=4",
    "encoder.stages=2",
    "trainer.enable_progress_bar=false",
    "callbacks.model_summary=null",
    "print_config=false",
)
UNSEEN = ("plots=false", "callbacks.diagnostics=null")  # what takes most of a tiny run's time and changes no result


@pytest.fixture
def compose_config() -> Iterator[Callable[..., DictConfig]]:
    """Composes the configuration from the command line's words."""
    from hydra import compose, initialize_config_dir

    from rnc_lightning.command_line.compose import config_directory

    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        yield lambda *words: compose("train", list(words))


@pytest.fixture(scope="session")
def tiny_digits() -> list[str]:
    """Words that make digits small enough for a test, with nothing to look at."""
    return [*TINY_DIGITS, *UNSEEN]


@pytest.fixture(scope="session")
def tiny_digits_shown() -> list[str]:
    """The same with plots and diagnostics."""
    return list(TINY_DIGITS)


@pytest.fixture(scope="session")
def synthetic_files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder, made once, with the smallest synthetic data set in its official layout, traps included."""
    from rnc_lightning.synthetic import write_synthetic

    @cache
    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp("synthetic_files") / name
        pictures = {"size": 40} if name != "tuab" else {"seconds": 4.0}
        samples = {"agedb": 60, "imdb_wiki": 60, "tuab": 24, "mpiifacegaze": 60, "skyfinder": 60}
        write_synthetic(name, folder, samples=samples[name], quiet=True, **pictures)
        return folder

    return make


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in an empty folder, so that none leaves files in the checkout."""
    monkeypatch.chdir(tmp_path)
