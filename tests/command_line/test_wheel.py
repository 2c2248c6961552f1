"""Installed as a wheel it brings its configuration along, and users add their own."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def _train(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "rnc_lightning.train", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_it_has_all_files_and_its_own_configuration(installed: Path) -> None:
    where = subprocess.run(
        [sys.executable, "-c", "import rnc_lightning.command_line.compose as c; print(c.config_directory())"],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(installed / "rnc_lightning/conf")
    assert (installed / "hydra_plugins/rnc_lightning/per_gpu_launcher.py").is_file()
    assert not (installed / "hydra_plugins/__init__.py").exists()  # other plugins share the name
    assert _files(REPOSITORY / "src") <= _files(installed)
    assert _files(REPOSITORY / "conf") == _files(installed / "rnc_lightning/conf")


def _files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.slow
def test_it_runs_from_any_directory(installed: Path, tmp_path: Path) -> None:
    words = ["+experiment=digits_l1", "+debug=one_batch", "data.size=16", "data.eval_angles=1", "print_config=false"]
    called = _train(installed, *words)
    assert called.returncode == 0, called.stderr
    assert len(list((tmp_path / "runs/digits_l1").rglob("result.json"))) == 1


@pytest.mark.parametrize("way", ["--config-dir", "hydra.searchpath"])
def test_users_add_groups_of_their_own(installed: Path, tmp_path: Path, way: str) -> None:
    mine = tmp_path / "mine/encoder"
    mine.mkdir(parents=True)
    (mine / "wide.yaml").write_text("defaults: [small_resnet]\nwidth: 20\n")
    place = [f"--config-dir={mine.parent}"] if way == "--config-dir" else [f"hydra.searchpath=[file://{mine.parent}]"]
    called = _train(installed, *place, "encoder=wide", "--cfg", "job", "--package", "encoder")
    assert called.returncode == 0, called.stderr
    assert "width: 20" in called.stdout
    assert "stages: 4" in called.stdout


def test_an_editable_install_reads_the_repositorys_own() -> None:
    from rnc_lightning.command_line.compose import config_directory

    assert config_directory() == REPOSITORY / "conf"
