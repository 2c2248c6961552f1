import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import synthetic_agedb
from rich.console import Console

from rnc_lightning.datasets.agedb import AgeDBDataModule
from rnc_lightning.datasets.feature_table import ArrayDataModule
from rnc_lightning.datasets.feature_transforms import plain_array
from rnc_lightning.datasets.images.transforms import centred_image
from rnc_lightning.datasets.inspection import Inspection, as_json, inspect, print_inspection
from rnc_lightning.targets import TargetSpec

TARGET = TargetSpec({"age": {"unit": "years", "low": 0, "high": 90}})


def _inspect(root: Path) -> Inspection:
    transform = centred_image(16, 18)
    module = AgeDBDataModule(root=str(root), train_transform=transform, eval_transform=transform, batch_size=4)
    return inspect(module, TARGET)


def _shown(found: Inspection) -> str:
    console = Console(width=200, record=True)
    print_inspection("agedb", found, console)
    return console.export_text()


def test_a_name_with_brackets_is_printed_as_it_is(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path)
    found = _inspect(tmp_path)
    labels = {part: {"age[y]": columns["age"]} for part, columns in found.labels.items()}
    shown = _shown(replace(found, labels=labels, outside={"age[y]": 2}))
    assert "2 labels of age[y] are outside" in shown
    assert shown.count("age[y]") == 4  # a row for each part, and that line


def test_a_sound_data_set(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path)
    found = _inspect(tmp_path)
    assert found.counts == {"train": 16, "val": 4, "test": 4}
    assert found.labels["val"]["age"] == {"low": 13.0, "mean": 49.0, "high": 85.0, "distinct": 4.0}
    assert found.outside == {"age": 2}  # 93 and 97
    assert not len(found.problems)
    assert found.copies == ()
    assert _inspect(tmp_path).fingerprint == found.fingerprint
    shown = _shown(found)
    assert "every sample can be used" in shown
    assert "train has 16 samples, the paper's 12,208" in shown
    assert "the highest label is 97, the paper's 101" in shown


def test_problems_are_listed_and_the_rest_is_counted(tmp_path: Path) -> None:
    paths = synthetic_agedb.write(tmp_path)
    for number in (0, 4):
        next((tmp_path / "AgeDB").glob(f"{number}_*")).write_bytes(b"broken")
    found = _inspect(tmp_path)
    assert found.counts == {"train": 15, "val": 4, "test": 3}
    shown = _shown(found)
    assert "2 samples cannot be used: 2 x unreadable file" in shown
    assert str(tmp_path / paths[0]) in shown
    assert "data.on_bad=skip" in shown


def test_copies_are_told_with_their_parts(tmp_path: Path) -> None:
    paths = [tmp_path / path for path in synthetic_agedb.write(tmp_path)]
    shutil.copyfile(paths[0], paths[8])  # train to val
    shutil.copyfile(paths[1], paths[3])  # within train
    found = _inspect(tmp_path)
    told = {(frozenset(Path(path).name for path in copy.paths), copy.parts) for copy in found.copies}
    assert told == {
        (frozenset({paths[0].name, paths[8].name}), ("train", "val")),
        (frozenset({paths[1].name, paths[3].name}), ("train",)),
    }
    assert "in more than one part of the split" in _shown(found)


def test_made_data_are_called_so_and_not_compared(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path)
    (tmp_path / "SYNTHETIC_DATA.txt").write_text("made")
    found = _inspect(tmp_path)
    assert found.synthetic
    assert found.synthetic_parts == ("inputs", "target")
    shown = _shown(found)
    assert "agedb (synthetic data)" in shown
    assert "differs from the paper's data" not in shown


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnc_lightning.data import main

    synthetic_agedb.write(tmp_path / "data")
    next((tmp_path / "data/AgeDB").glob("4_*")).unlink()
    monkeypatch.setattr(sys, "argv", ["data", "verify", "agedb", "paths.data_dir=data", "json=found.json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "missing file: agedb.csv, row 6" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["counts"] == {"train": 16, "val": 4, "test": 3}
    assert len(found["problems"]) == 1
    assert found["synthetic_data"] is False


def test_the_command_s_errors_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnc_lightning.data import main

    for words, message in (
        (["verify", "agedbb"], "data=agedbb: unknown option; did you mean data=agedb?"),
        (["verify", "agedb", "paths.data_dir=nowhere"], "there is no nowhere/agedb.csv"),
        (["verify", "agedb", "data.rooot=x"], "data.rooot"),
    ):
        monkeypatch.setattr(sys, "argv", ["data", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert message in lines[0]


def test_an_empty_part_is_told_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnc_lightning.data import main

    synthetic_agedb.write(tmp_path)
    table = tmp_path / "agedb.csv"
    table.write_text(table.read_text().replace(",val\n", ",train\n"))
    monkeypatch.setattr(sys, "argv", ["data", "verify", "agedb", f"paths.data_dir={tmp_path}"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    shown = capsys.readouterr().out
    assert "AgeDB: no samples are left in val" in shown
    assert "every sample can be used" not in shown


def test_a_wrong_word_that_only_reading_finds_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnc_lightning.data import main
    from rnc_lightning.synthetic import write_synthetic

    write_synthetic("skyfinder", tmp_path / "made", samples=20, size=24, quiet=True)
    words = ["verify", "skyfinder", f"paths.data_dir={tmp_path}/made", "data.split.by=cam"]
    monkeypatch.setattr(sys, "argv", ["data", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "error: data: split.by must be sample or camera or day, got 'cam'" in capsys.readouterr().err


def test_the_mark_of_made_data_counts_for_what_lies_deeper(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path / "one/two/three")
    (tmp_path / "SYNTHETIC_DATA.txt").touch()
    assert _inspect(tmp_path / "one/two/three").synthetic


def test_labels_that_are_missing_are_counted_and_narrow_ranges_keep_their_digits(tmp_path: Path) -> None:
    rows = [f"{i},{20240101 + i},{'' if i % 3 else i}" for i in range(30)]
    (tmp_path / "my.csv").write_text("\n".join(["a,day,z", *rows]) + "\n")
    module = ArrayDataModule(
        csv=str(tmp_path / "my.csv"), target=["day", "z"], channels=1, partial_targets=True, batch_size=4,
        train_transform=plain_array(), eval_transform=plain_array(),
    )  # fmt: skip
    found = inspect(module, TargetSpec({"day": {}, "z": {}}))
    assert found.refusal is None
    assert sum(part["z"].get("missing", 0) for part in found.labels.values()) == 20
    assert "missing" not in found.labels["train"]["day"]
    shown = _shown(found)
    assert "20240101" in shown
    assert re.search(r"z .* \d+ \(\d+ missing\)", shown)
    assert as_json(found)["labels"]["train"]["z"]["missing"] > 0
