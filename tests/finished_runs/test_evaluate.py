"""Evaluation of finished runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from finished_runs import array_run, digits_run, faces_run, result_of

from rnc_lightning.command_line.commands import load_command
from rnc_lightning.command_line.options import command_line, read_options
from rnc_lightning.evaluate import _work
from rnc_lightning.finished_runs.evaluate import evaluate_run
from rnc_lightning.system.errors import UserError


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory, tiny_digits: list[str]) -> Path:
    return digits_run(tmp_path_factory.mktemp("digits") / "run", tiny_digits)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faces_run(tmp_path_factory.mktemp("faces") / "run")


@pytest.fixture
def copied(digits: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits, tmp_path / "copy", ignore=shutil.ignore_patterns("evaluations")))


def test_clean_images_give_the_test_result_of_training(copied: Path) -> None:
    table = evaluate_run(copied, features=True)
    assert table[["corruption", "severity", "samples"]].to_numpy().tolist() == [["none", 0, "all"]]
    known = result_of(copied)
    found = result_of(copied / "evaluations/digits,test/clean")
    assert found["test"] == known["test"]
    assert found["samples"]["all"]["count"] == known["counts"]["test"]
    assert found["seed"] == 0
    assert found["evaluated_on"] == "digits"
    here = copied / "evaluations/digits,test/clean"
    assert (here / "predictions.csv").read_text() == (copied / "predictions.csv").read_text()
    assert (here / "features.npz").is_file()


def test_corruptions_are_tested_once_and_an_evaluation_that_was_stopped_goes_on(copied: Path) -> None:
    table = evaluate_run(copied, corruptions=["gaussian_noise", "fog"], severities=[1, 5], corruption_side=32)
    assert table["severity"].tolist() == [0, 1, 5, 1, 5]
    assert table["corruption"].tolist() == ["none", "gaussian_noise", "gaussian_noise", "fog", "fog"]
    assert table["mae"].nunique() == 5
    place = copied / "evaluations/digits,test,side=32"
    pd.testing.assert_frame_equal(pd.read_csv(place / "corruptions.csv"), table)
    times = {path: path.stat().st_mtime_ns for path in place.rglob("result.json")}
    (place / "fog-5/result.json").unlink()  # as if it had been stopped before
    again = evaluate_run(copied, corruptions=["fog"], severities=[5, 1], corruption_side=32)
    assert again["mae"].tolist() == table["mae"][[0, 4, 3]].tolist()
    changed = [path for path in times if path.stat().st_mtime_ns != times[path]]
    assert changed == [place / "fog-5/result.json"]
    assert len(pd.read_csv(place / "corruptions.csv")) == 5

    weights = place / "clean/result.json"
    weights.write_text(weights.read_text().replace(result_of(place / "clean")["key"]["checkpoint"], "another"))
    evaluate_run(copied, corruption_side=32)
    assert "another" not in weights.read_text()


def test_without_the_order_of_features_and_then_with_it(copied: Path) -> None:
    assert "spearman" not in evaluate_run(copied, ordinality=False)
    assert "spearman" in evaluate_run(copied)
    assert "spearman" in evaluate_run(copied, ordinality=False)  # read


def test_ranges_of_the_target_divide_the_samples(copied: Path) -> None:
    table = evaluate_run(copied, targets={"angle": {"low": -20, "high": 20}}, part="val").set_index("samples")
    kept = pd.read_csv(next(copied.glob("evaluations/digits,val,angle=-20..20/clean/predictions.csv")))
    error = (kept["angle_prediction"] - kept["angle_target"]).abs()
    inside = kept["angle_target"].between(-20, 20)
    assert table["count"].to_dict() == {"all": len(kept), "inside": inside.sum(), "outside": (~inside).sum()}
    for name, chosen in (("all", inside | True), ("inside", inside), ("outside", ~inside)):
        assert table.loc[name, "mae"] == pytest.approx(error[chosen].mean(), abs=1e-4)


def test_another_data_set(faces: Path, synthetic_files: Callable[[str], Path]) -> None:
    words = ["data=imdb_wiki", f"data.root={synthetic_files('imdb_wiki')}", "data.on_bad=skip", "data.num_workers=0"]
    words.append("data.cache_dir=null")
    table = evaluate_run(faces, data_options=words, corruptions=["contrast"], severities=[3], corruption_side=48)
    assert table["severity"].tolist() == [0, 3]
    found = result_of(faces / "evaluations/imdb_wiki,test,side=48/clean")
    assert found["evaluated_on"] == "imdb_wiki_synthetic"
    assert found["synthetic_data"]
    assert found["key"]["data_fingerprint"] != result_of(faces)["data_fingerprint"]


def test_its_own_data_may_have_moved_but_not_changed(faces: Path, tmp_path: Path) -> None:
    shutil.copytree(faces.parent / "agedb", tmp_path / "moved")
    table = evaluate_run(faces, data_options=["data.root=moved"])
    assert table["mae"].tolist() == [result_of(faces)["test"]["mae"]]
    csv = tmp_path / "moved/agedb.csv"
    csv.write_text(csv.read_text().replace("\n5,", "\n6,", 1), encoding="utf-8")
    with pytest.raises(UserError, match=r"trained on other data .*data\.root=.*data=NAME"):
        evaluate_run(faces, data_options=["data.root=moved"], part="val")
    with pytest.raises(UserError, match=r"nowhere/agedb\.csv"):
        evaluate_run(faces, data_options=["data.root=nowhere"], part="val")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=agedb", "data.root=nowhere"], "agedb has 3 input channels, .* takes 1"),
        (["data.max_angle=30"], r"data\.max_angle: would change the data .*data=NAME"),
        (["data=agdb"], "agedb"),
    ],
)
def test_data_that_do_not_fit_are_refused_in_one_line(digits: Path, words: list[str], message: str) -> None:
    with pytest.raises(Exception, match=message):
        evaluate_run(digits, data_options=words)


def test_another_target_is_refused(faces: Path) -> None:
    Path("my.csv").write_text("path,height\nAgeDB/x.jpg,3\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"target height, and .* predicts age \(years\)"):
        evaluate_run(faces, data_options=["data=table", "data.csv=my.csv", "data.target=[height]"])


def test_corruptions_are_for_images(tmp_path: Path) -> None:
    run = array_run(tmp_path / "run")
    with pytest.raises(UserError, match="need images"):
        evaluate_run(run, corruptions=["fog"], severities=[1])
    table = evaluate_run(run)
    assert table["mae"].tolist() == [result_of(run)["test"]["mae"]]
    words = ["data=array", f"data.csv={tmp_path / 'my.csv'}", "data.target=[level]"]
    with pytest.raises(UserError, match="standardised by its own training rows"):
        evaluate_run(run, data_options=words)


def test_anything_but_a_finished_run_is_refused_in_one_line(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such directory"):
        evaluate_run("nowhere")
    with pytest.raises(UserError, match="not the directory of a run"):
        evaluate_run(tmp_path)
    checkpoint = copied / "stages/regress/best.ckpt"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"best\.ckpt is missing or damaged"):
        evaluate_run(copied)
    result = result_of(copied)
    (copied / "result.json").write_text(json.dumps({**result, "status": "failed"}))
    with pytest.raises(UserError, match="is failed: start its training command"):
        evaluate_run(copied)
    (copied / "result.json").write_text(json.dumps(result))
    (copied / "config.yaml").write_text("stages: [", encoding="utf-8")
    with pytest.raises(UserError, match=r"config\.yaml was altered"):
        evaluate_run(copied)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["corruptoin=fog"], "corruptoin: unknown option; did you mean corruption"),
        (["a", "b"], "b: an option is key=value"),
        (["part=test"], "run: not given"),
    ],
)
def test_wrong_options_are_refused_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_options(load_command("evaluate"), words)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"corruptions": ["fogg"]}, "corruption=fogg: .* did you mean fog"),
        ({"corruptions": "all", "severities": [6]}, "severity=6"),
        ({"part": "tset"}, "part=tset"),
        ({"corruptions": ["fog"], "corruption_side": 0}, "corruption_side"),
        ({"targets": {"angl": {"low": 1}}}, "targets.angl: .* did you mean angle"),
        ({"targets": {"angle": {"lo": 1}}}, "targets.angle: takes low, high or both"),
        ({"targets": {"angle": {"low": 3, "high": 1}}}, "targets.angle: a range needs low <= high"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(digits: Path, keywords: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate_run(digits, **keywords)


def test_the_command_prints_tables_and_its_help(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(copied), "corruption=fog,snow", "severity=3", "targets.angle.low=0", "ordinality=false"]
    command_line("evaluate", words, _work)
    printed = capsys.readouterr().out
    for word in ("mae (degrees)", "inside", "fog", "snow", "all", "evaluations"):
        assert word in printed
    command_line("evaluate", ["--help"], _work)
    assert "corruption_side" in capsys.readouterr().out
