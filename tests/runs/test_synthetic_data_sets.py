"""Each data set of the paper from files to test metrics, on synthetic files: verify, RnC, probe."""

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnc_lightning.command_line.compose import compose_config
from rnc_lightning.data import main as data_command
from rnc_lightning.runs.run import run

IMAGES = ["encoder=small_resnet", "encoder.width=4", "input.size=24"]
WORDS = {
    "agedb": IMAGES,
    "imdb_wiki": [*IMAGES, "data.subset.size=30"],
    "tuab": ["encoder.width=4", "encoder.blocks=[1,1]", "data.window=1", "data.on_bad=skip"],
    "mpiifacegaze": IMAGES,
    "skyfinder": IMAGES,
}
SHORT = [
    "data.batch_size=8",
    "data.num_workers=0",
    "recipe.pretrain.epochs=2",
    "recipe.linear_probe.epochs=2",
    "recipe.pretrain.lr=0.1",
    "trainer.enable_progress_bar=false",
    "callbacks.model_summary=null",
    "print_config=false",
    "plots=false",
]
Start = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def start(synthetic_files: Callable[[str], Path]) -> Start:
    """Runs `<data set>_rnc` on the synthetic data, and returns its result."""

    def go(name: str, *words: str, place: str | Path = "run") -> dict[str, Any]:
        words = (f"+experiment={name}_rnc", *WORDS[name], *SHORT, f"paths.data_dir={synthetic_files(name)}", *words)
        run(compose_config([*words, f"paths.run_dir={place}"]), words)
        return _result(Path(place))

    return go


@pytest.fixture(scope="module")
def plain(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a data set's run without further options, which is made once."""

    @cache
    def make(name: str) -> Path:
        place = tmp_path_factory.mktemp(name)
        start(name, f"paths.encoder_dir={place}/encoders", place=place / "run")
        return place / "run"

    return make


def _result(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "result.json").read_text())
    return found


@pytest.mark.parametrize("name", WORDS)
def test_from_files_to_metrics(
    name: str,
    plain: Callable[[str], Path],
    synthetic_files: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = ["data.window=1"] if name == "tuab" else []
    words = ["verify", name, f"paths.data_dir={synthetic_files(name)}", *short, "json=found.json"]
    monkeypatch.setattr(sys, "argv", ["data", *words])
    code: object = 0
    try:
        data_command()
    except SystemExit as ended:
        code = ended.code
    found = json.loads(Path("found.json").read_text())
    bad = ["age missing"] if name == "tuab" else []  # of a header
    assert [problem.split(":")[0] for problem in found["problems"]] == bad
    assert code == len(bad)

    place = plain(name)
    result = _result(place)
    assert result["status"] == "finished"
    assert (result["dataset"], result["synthetic_data"]) == (f"{name}_synthetic", True)
    if name != "imdb_wiki":
        assert result["counts"] == found["counts"]
    assert result["skipped"] == dict.fromkeys(bad, 1)
    assert all(np.isfinite(value) for value in result["test"].values() if value is not None)
    assert result["test"]["mae"] > 0
    assert ("angular" in result["test"]) == (name == "mpiifacegaze")
    table = pd.read_csv(place / "predictions.csv")
    assert len(table) == result["counts"]["test"]
    assert (place / "split.csv").is_file() == (name in ("tuab", "skyfinder"))
    assert (place / "subset.csv").is_file() == (name == "imdb_wiki")


def test_the_gaze_s_error_is_the_angle_between_the_directions(plain: Callable[[str], Path]) -> None:
    place = plain("mpiifacegaze")
    result, table = _result(place), pd.read_csv(place / "predictions.csv")

    def direction(kind: str) -> np.ndarray:
        pitch, yaw = (np.deg2rad(table[f"{name}_{kind}"].to_numpy()) for name in ("pitch", "yaw"))
        return np.stack([np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)], axis=1)

    cosine = (direction("target") * direction("prediction")).sum(axis=1)
    assert result["test"]["angular"] == pytest.approx(np.rad2deg(np.arccos(cosine)).mean(), rel=1e-4)


def test_a_drawn_split_is_used_again(start: Start) -> None:
    first = start("skyfinder", "data.split.seed=3")
    again = start("skyfinder", "data.split.file=run/split.csv", place="again")
    other = start("skyfinder", "data.split.seed=4", place="other")
    assert first["data_fingerprint"] == again["data_fingerprint"] != other["data_fingerprint"]
    assert first["test"] == again["test"]


def test_a_cache_and_the_files_give_the_same_numbers(start: Start, plain: Callable[[str], Path]) -> None:
    files = _result(plain("agedb"))
    cached = start("agedb", "data.cache=true", "paths.cache_dir=cache", "paths.encoder_dir=null", place="cached")
    assert list(Path("cache/images").glob("*.pixels"))
    assert cached["data_fingerprint"] == files["data_fingerprint"]
    assert cached["test"] == files["test"]
    smaller = start("agedb", "data.cache=true", "data.cache_side=30", "paths.cache_dir=cache", place="smaller")
    assert smaller["test"] != files["test"]


def test_colours_changed_in_batches_train_alike(start: Start, plain: Callable[[str], Path]) -> None:
    """On a CPU, where it is asked for; close to the other path, whose colours round differently."""
    apart = _result(plain("agedb"))
    batched = start("agedb", "data.colour_on_device=true", place="batched")
    assert batched["test"] != apart["test"]
    assert batched["test"]["mae"] == pytest.approx(apart["test"]["mae"], rel=0.2)


def test_a_cache_is_refused_where_images_are_no_files(start: Start, tmp_path: Path) -> None:
    from rnc_lightning.synthetic import write_synthetic
    from rnc_lightning.system.errors import UserError

    write_synthetic("mpiifacegaze", tmp_path / "raw", samples=15, size=24, layout="raw", quiet=True)
    with pytest.raises(UserError, match=r"data\.cache=true: these inputs are not one image file each"):
        start("mpiifacegaze", "data.cache=true", f"data.root={tmp_path}/raw/MPIIFaceGaze")
