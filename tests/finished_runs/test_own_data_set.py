"""A data set of one file and one YAML can do what those of the suite can."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finished_runs import SHORT

from rnc_lightning.command_line.compose import composed
from rnc_lightning.finished_runs.evaluate import evaluate_run
from rnc_lightning.finished_runs.export import export_run
from rnc_lightning.finished_runs.finished_run import open_run
from rnc_lightning.finished_runs.predict import predict_run
from rnc_lightning.runs.run import run
from rnc_lightning.system.errors import UserError

YAML = """\
# @package _global_
defaults:
  - override /encoder: small_resnet
dataset: brightness
input: {channels: 1}
data:
  _target_: own_data_set.Told
  batch_size: 8
  train_transform:
    _target_: rnc_lightning.datasets.images.transforms.plain_digit
    mean: 0.1
    std: 0.2
  eval_transform: ${data.train_transform}
target:
  distance: l1
  dimensions:
    brightness: {step: 0.02}
"""


def _trained(folder: Path, *words: str) -> Path:
    (folder / "conf/data").mkdir(parents=True)
    (folder / "conf/data/brightness.yaml").write_text(YAML, encoding="utf-8")
    quiet = ["trainer=cpu", "plots=false", "print_config=false", "trainer.enable_progress_bar=false"]
    quiet += ["callbacks.model_summary=null", "callbacks.diagnostics=null", "encoder.width=4", "encoder.stages=2"]
    given = [f"hydra.searchpath=[file://{folder}/conf]", "data=brightness", "method=l1", "recipe=small"]
    options = (*given, *quiet, *SHORT, *words)
    run(composed([*options, f"paths.run_dir={folder / 'run'}"]), options)
    return folder / "run"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _trained(tmp_path_factory.mktemp("told"))


def test_the_card_says_what_was_used(told: Path) -> None:
    place = export_run(told)
    given = json.loads((place / "config.json").read_text())["input"]
    assert given == {"shape": [1, 12, 10], "mean": [0.1], "std": [0.2]}
    card = (place / "README.md").read_text()
    assert "Pixels from 0 to 1, then less 0.1 and divided by 0.2. One input has the shape (1, 12, 10)." in card


def test_new_inputs_get_what_the_test_predicted(told: Path) -> None:
    split = open_run(told).data_of_run.splits["test"]
    Path("new").mkdir()
    for name, pixels in zip(split.names, split.inputs, strict=True):
        np.save(f"new/{name}.npy", pixels.numpy())
    found = predict_run(told, "new", "out.csv", batch_size=5).set_index("file")["brightness_predicted"]
    known = pd.read_csv(told / "predictions.csv")
    expected = dict(zip(known["name"] + ".npy", known["brightness_prediction"], strict=True))
    assert found.to_dict() == pytest.approx(expected, abs=1e-5)
    assert evaluate_run(told)["mae"].tolist() == [json.loads((told / "result.json").read_text())["test"]["mae"]]


def test_one_that_describes_nothing_is_exported_and_says_so(tmp_path: Path) -> None:
    place = tmp_path / "bare"
    words = ["data._target_=own_data_set.Bare", "data.train_transform._target_=own_data_set.transform"]
    bare = _trained(place, *words, "~data.train_transform.mean", "~data.train_transform.std")
    exported = export_run(bare)
    assert json.loads((exported / "config.json").read_text())["input"] == {"shape": [1, 12, 10]}
    card = (exported / "README.md").read_text()
    assert re.search(r"own_data_set\.Bare\) does not describe how an input is prepared.* shape \(1, 12, 10\)", card)
    with pytest.raises(UserError, match=r"Bare does not say how .*: give own_data_set\.Bare a method unlabelled\("):
        predict_run(bare, ".", "out.csv")
