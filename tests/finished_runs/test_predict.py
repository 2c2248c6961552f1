"""Predictions from your own files."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finished_runs import array_run, digits_run, faces_run, signals_run
from PIL import Image

from rnc_lightning.command_line.options import command_line
from rnc_lightning.datasets.unlabelled import read_whole_table
from rnc_lightning.finished_runs.finished_run import open_run
from rnc_lightning.finished_runs.predict import predict_run, with_rounded_predictions
from rnc_lightning.predict import _work
from rnc_lightning.system.errors import UserError
from rnc_lightning.targets import TargetSpec


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faces_run(tmp_path_factory.mktemp("faces") / "run")


@pytest.fixture
def photos(faces: Path, tmp_path: Path) -> Path:
    """The images of the synthetic AgeDB in a folder of their own, next to files that are no images."""
    folder = tmp_path / "photos"
    shutil.copytree(faces.parent / "agedb/AgeDB", folder / "below")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.jpg").write_bytes(b"")
    return folder


def _known(run: Path) -> dict[str, float]:
    """What the run's own test predicted, by the file's number."""
    table = pd.read_csv(run / "predictions.csv")
    return {
        name.split("/")[-1].split("_")[0]: p for name, p in zip(table["name"], table["age_prediction"], strict=True)
    }


def test_a_folder_of_images_gets_what_the_test_predicted(faces: Path, photos: Path) -> None:
    table = predict_run(faces, photos, "new/ages.csv", batch_size=5)
    assert list(table.columns) == ["file", "age_years"]
    assert table["file"].tolist() == sorted(path.relative_to(photos).as_posix() for path in photos.glob("below/*.jpg"))
    found = {Path(name).name.split("_")[0]: age for name, age in zip(table["file"], table["age_years"], strict=True)}
    known = _known(faces)
    assert len(known) > 1
    assert {number: found[number] for number in known} == pytest.approx(known, abs=1e-3)
    written = pd.read_csv("new/ages.csv")
    pd.testing.assert_frame_equal(written, table, rtol=1e-5)
    assert [path.name for path in Path("new").iterdir()] == ["ages.csv"]
    single = predict_run(faces, photos / table["file"][3], "one.csv")
    assert single["age_years"].tolist() == pytest.approx([table["age_years"][3]], abs=1e-4)


def test_a_table_keeps_its_columns(faces: Path, photos: Path) -> None:
    names = sorted(path.name for path in photos.glob("below/*.jpg"))[:3]
    rows = [f"{i};photos/below/{name};{40 + i};x{i}" for i, name in enumerate(names)]
    Path("my.csv").write_text("\n".join(["no;photo;age_years;note", *rows, "9;photos/none.jpg;1;y"]), encoding="utf-8")
    with pytest.raises(UserError, match=r"no column path .*input=.*photo"):
        predict_run(faces, "my.csv", "out.csv")
    table = predict_run(faces, "my.csv", "out.csv", column="photo", on_bad="skip")
    assert list(table.columns) == ["no", "photo", "age_years", "note", "age_years_predicted"]
    assert table["note"].tolist() == ["x0", "x1", "x2"]
    assert table["age_years"].tolist() == ["40", "41", "42"]
    assert "row 5" in Path("out.csv.bad.csv").read_text()


def test_bad_files_are_all_reported_and_refused_or_skipped(faces: Path, photos: Path) -> None:
    good = predict_run(faces, photos, "ages.csv")
    (photos / "a.png").write_bytes(b"no picture")
    (photos / "b.jpg").write_bytes(next(photos.glob("below/*.jpg")).read_bytes()[:200])
    with pytest.raises(UserError, match=r"ages\.csv already exists; overwrite=true"):
        predict_run(faces, photos, "ages.csv")
    with pytest.raises(
        UserError, match=r"2 samples cannot be used, listed in new\.csv\.bad\.csv.*on_bad=skip"
    ) as error:
        predict_run(faces, photos, "new.csv")
    assert [detail.split(" (")[0] for detail in error.value.details] == [
        f"unreadable file: {photos / name}" for name in ("a.png", "b.jpg")
    ]
    assert not Path("new.csv").exists()
    left = predict_run(faces, photos, "new.csv", on_bad="skip")
    pd.testing.assert_frame_equal(left, good, rtol=1e-5)
    assert pd.read_csv("new.csv.bad.csv")["file"].tolist() == [str(photos / name) for name in ("a.png", "b.jpg")]
    for name in ("a.png", "b.jpg"):
        (photos / name).unlink()
    predict_run(faces, photos, "new.csv", overwrite=True)
    assert not Path("new.csv.bad.csv").exists()
    (photos / "alone").mkdir()
    (photos / "alone/a.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="1 sample cannot be used"):
        predict_run(faces, photos / "alone", "alone.csv", on_bad="skip")


def test_the_training_data_need_not_be_there(faces: Path, photos: Path, tmp_path: Path) -> None:
    known = predict_run(faces, photos, "known.csv")
    moved = shutil.copytree(faces, tmp_path / "moved")
    config = (moved / "config.yaml").read_text()
    (moved / "config.yaml").write_text(config.replace(str(faces.parent / "agedb"), "/nowhere"))
    pd.testing.assert_frame_equal(predict_run(moved, photos, "moved.csv"), known)


def test_grey_pictures_for_digits(tmp_path: Path, tiny_digits: list[str]) -> None:
    run = digits_run(tmp_path / "run", tiny_digits)
    split = open_run(run).data_of_run.splits["test"]
    Path("digits").mkdir()
    for i in range(4):
        picture = Image.fromarray(split.inputs[i][0].numpy())
        picture.save(f"digits/{i}.png")
    Image.fromarray(np.zeros((40, 60, 3), dtype=np.uint8)).save("digits/other.png")
    table = predict_run(run, "digits", "angles.csv")
    known = pd.read_csv(run / "predictions.csv")["angle_prediction"][:4]
    assert table["angle_degrees"][:4].tolist() == pytest.approx(known.tolist(), abs=1e-3)
    assert np.isfinite(table["angle_degrees"][4])


def test_rows_of_numbers_are_prepared_as_in_training(tmp_path: Path) -> None:
    run = array_run(tmp_path / "run")
    known = pd.read_csv(run / "predictions.csv")
    (tmp_path / "my.csv").rename("rows.csv")  # the training table is gone
    rows = pd.read_csv("rows.csv")
    table = predict_run(run, "rows.csv", "levels.csv")
    assert list(table.columns) == ["name", "a", "b", "level", "level_predicted"]
    found = table.set_index(table["name"].astype(int))["level_predicted"]
    assert found[known["name"]].tolist() == pytest.approx(known["level_prediction"].tolist(), abs=1e-4)
    rows.loc[3, "b"] = None
    rows[["b", "a", "name"]].to_csv("gap.csv", index=False)
    gap = predict_run(run, "gap.csv", "gap_levels.csv", on_bad="skip")
    assert gap["level_predicted"].tolist() == pytest.approx(table["level_predicted"].drop(3).tolist(), abs=1e-4)
    rows[["a"]].to_csv("less.csv", index=False)
    with pytest.raises(UserError, match="has no b, which the run used as inputs in training"):
        predict_run(run, "less.csv", "less_levels.csv")


def test_recordings_get_the_mean_over_their_windows(tmp_path: Path) -> None:
    run = signals_run(tmp_path / "run")
    np.save(tmp_path / "signals/short.npy", np.zeros((2, 5)))
    np.save(tmp_path / "signals/wide.npy", np.zeros((3, 500)))
    with pytest.raises(UserError, match="2 samples cannot be used") as error:
        predict_run(run, "signals", "out.csv")
    assert "recording shorter than a window" in error.value.details[0]
    assert "3 channels, but the run was trained on 2" in error.value.details[1]
    table = predict_run(run, "signals", "out.csv", on_bad="skip").set_index("file")
    known = pd.read_csv(run / "predictions.csv")
    expected = dict(zip(known["name"], known["speed_prediction"], strict=True))
    assert {name: table["speed_Hz"][Path(name).name] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert len(table) == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"inputs": "nothing"}, "inputs=nothing: there is no such file or folder"),
        ({"inputs": "."}, r"no file in this folder or its subfolders ends in .*\.jpg"),
        ({"inputs": ".", "out": "."}, r"out=\. is a folder"),
        ({"inputs": ".", "on_bad": "ignore"}, "on_bad=ignore: must be error or skip"),
        ({"inputs": ".", "batch_size": 0}, "batch_size=0: must be a whole number from 1 up"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line(faces: Path, words: dict, message: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(UserError, match=message):
        predict_run(faces, **{"out": "out.csv", **words})


def test_the_command(faces: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command_line("predict", [f"run={faces}", f"inputs={photos}", "out=ages.csv"], _work)
    assert "24 predictions: ages.csv" in capsys.readouterr().out
    assert len(pd.read_csv("ages.csv")) == 24
    with pytest.raises(UserError, match="data: unknown option"):
        command_line("predict", [f"run={faces}", f"inputs={photos}", "out=x.csv", "data=agedb"], _work)


def test_a_table_to_predict_from_keeps_its_own_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": pd.array([1234567890, None, 4611686018427387905], dtype="Int64"),
            "code": ["007", "1e5", "x,y"],
            "share": [0.1, 1 / 3, np.nan],
            "narrow": np.array([0.1, 2.5, 1e-7], dtype=np.float32),
            "day": pd.to_datetime(["2020-01-01", None, "2021-02-03"]),
            "yes": [True, None, False],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    columns = read_whole_table(tmp_path / "t.parquet", ["id"]).frame.reset_index(drop=True)
    shown = with_rounded_predictions(
        columns.assign(y_predicted=[1.0, 2.00000001, 1e9 / 3]), ["y_predicted"], TargetSpec({"y": {}})
    )
    assert shown.to_csv(index=False).splitlines() == [
        "id,code,share,narrow,day,yes,y_predicted",
        "1234567890,007,0.1,0.1,2020-01-01,True,1",
        ",1e5,0.3333333333333333,2.5,,,2",
        '4611686018427387905,"x,y",,1e-07,2021-02-03,False,3.333333e+08',
    ]
    text = "\n".join([",id,code,note", "0,1234567890,007,NaN", '1,,1e5,"a, b"'])
    (tmp_path / "t.csv").write_text(text + "\n")
    kept = read_whole_table(tmp_path / "t.csv", ["id"]).frame
    assert kept.to_csv(index=False).splitlines() == text.splitlines()
    (tmp_path / "t.csv").write_text("id;code;\n1;2;\n3;4;\n")  # a separator at the end of each row is no column
    assert list(read_whole_table(tmp_path / "t.csv", ["id"]).frame.columns) == ["id", "code"]


@pytest.mark.parametrize(
    ("low", "high", "value", "shown"),
    [
        (0, 100, 12.3456789, "12.34568"),
        (1.7e9, 1.7001e9, 1700012345.678, "1700012345.68"),
        (20240101, 20241231, 20240113.26, "20240113.26"),
    ],
)
def test_predictions_far_from_zero_keep_their_digits(low: float, high: float, value: float, shown: str) -> None:
    spec = TargetSpec({"y": {"low": low, "high": high, "step": (high - low) / 10}})
    table = with_rounded_predictions(pd.DataFrame({"y_predicted": [value]}), ["y_predicted"], spec)
    assert table["y_predicted"].tolist() == [shown]
