"""A data set of one file and one YAML, that of docs/own_data.md, can do what those of the suite can."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finished_runs import SHORT

from rnc_lightning.command_line.compose import compose_config
from rnc_lightning.finished_runs.evaluate import evaluate_run
from rnc_lightning.finished_runs.export import export_run
from rnc_lightning.finished_runs.finished_run import open_run
from rnc_lightning.finished_runs.predict import predict_run
from rnc_lightning.runs.run import run
from rnc_lightning.system.errors import UserError

PAGE = (Path(__file__).parents[2] / "docs/own_data.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Data that do not fit into a table\n")[1].split("\n## ")[0]


def _block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def _trained(folder: Path, *words: str) -> Path:
    (folder / "conf/data").mkdir(parents=True)
    (folder / "conf/data/brightness.yaml").write_text(_block("yaml"), encoding="utf-8")
    quiet = ["trainer=cpu", "plots=false", "print_config=false", "trainer.enable_progress_bar=false"]
    quiet += ["callbacks.model_summary=null", "callbacks.diagnostics=null", "encoder.width=4", "encoder.stages=2"]
    given = [f"hydra.searchpath=[file://{folder}/conf]", "data=brightness", "method=l1", "recipe=small"]
    options = (*given, *quiet, *SHORT, *words)
    run(compose_config([*options, f"paths.run_dir={folder / 'run'}"]), options)
    return folder / "run"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run on the data set of the page."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "brightness.py").write_text(_block("python"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        yield _trained(folder)


def test_the_card_says_what_was_used(trained: Path) -> None:
    place = export_run(trained, trust=["brightness"])
    given = json.loads((place / "config.json").read_text())["input"]
    assert given == {"shape": [1, 12, 10], "mean": [0.1], "std": [0.2]}
    card = (place / "README.md").read_text()
    assert "Pixels from 0 to 1; subtract 0.1 and divide by 0.2. One input has the shape (1, 12, 10)." in card
    assert "**The data are synthetic" in card


def test_new_inputs_get_what_the_test_predicted(trained: Path) -> None:
    split = open_run(trained, ["brightness"]).data_of_run.splits["test"]
    Path("new").mkdir()
    for name, pixels in zip(split.names, split.inputs, strict=True):
        np.save(f"new/{name}.npy", pixels.numpy())
    found = predict_run(trained, "new", "out.csv", batch_size=5, trust=["brightness"]).set_index("file")[
        "brightness_predicted"
    ]
    known = pd.read_csv(trained / "predictions.csv")
    expected = dict(zip(known["name"] + ".npy", known["brightness_prediction"], strict=True))
    assert found.to_dict() == pytest.approx(expected, abs=1e-5)
    assert evaluate_run(trained, trust=["brightness"])["mae"].tolist() == [
        json.loads((trained / "result.json").read_text())["test"]["mae"]
    ]


def test_one_that_describes_nothing_is_exported_and_says_so(tmp_path: Path) -> None:
    place = tmp_path / "bare"
    words = ["data._target_=bare_data_set.Bare", "data.train_transform._target_=bare_data_set.transform"]
    bare = _trained(place, *words, "~data.train_transform.mean", "~data.train_transform.std")
    exported = export_run(bare, trust=["bare_data_set"])
    assert json.loads((exported / "config.json").read_text())["input"] == {"shape": [1, 12, 10]}
    card = (exported / "README.md").read_text()
    assert re.search(r"bare_data_set\.Bare\) does not describe how an input is prepared.* shape \(1, 12, 10\)", card)
    with pytest.raises(UserError, match=r"Bare cannot read inputs without labels: give bare_data_set\.Bare a method"):
        predict_run(bare, ".", "out.csv", trust=["bare_data_set"])
