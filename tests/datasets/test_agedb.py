from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic_agedb
import torch
from PIL import Image

from rnc_lightning.datasets.agedb import AgeDBDataModule
from rnc_lightning.datasets.images.transforms import augmented_image, centred_image
from rnc_lightning.system.errors import UserError


def _module(root: Path, **more: Any) -> AgeDBDataModule:
    transforms = {"train_transform": augmented_image(32), "eval_transform": centred_image(32, 40)}
    return AgeDBDataModule(root=str(root), batch_size=4, **transforms, **more)


def _read(root: Path) -> AgeDBDataModule:
    module = _module(root)
    module.setup()
    return module


def _edit(root: Path, old: str, new: str) -> None:
    table = root / "agedb.csv"
    text = table.read_text(encoding="utf-8")
    assert old in text
    table.write_text(text.replace(old, new), encoding="utf-8")


def test_official_layout(tmp_path: Path) -> None:
    paths = synthetic_agedb.write(tmp_path)
    module = _read(tmp_path)
    assert module.counts == {"train": 16, "val": 4, "test": 4}
    assert module.splits["val"].targets[:, 0].tolist() == [13.0, 37.0, 61.0, 85.0]  # rows 2, 8, 14, 20
    assert list(module.splits["val"].names) == [paths[i] for i in (2, 8, 14, 20)]
    for split in module.splits.values():
        for i, age in enumerate(split.targets[:, 0].tolist()):
            assert np.asarray(split.inputs[i]).mean() == pytest.approx(2 * age, abs=4)  # the made brightness
    batch = next(iter(module.test_dataloader()))
    assert batch["x"].shape == (4, 3, 32, 32)


def test_names_of_another_code_page_are_found(tmp_path: Path) -> None:
    paths = synthetic_agedb.write(tmp_path)
    assert not (tmp_path / paths[2]).exists()
    assert not (tmp_path / paths[5]).exists()
    files = {path.name for split in _read(tmp_path).splits.values() for path in split.inputs.paths}  # type: ignore[attr-defined]
    assert "2_Mylène_13_m.jpg" in files
    assert "5_Montalb#n_25_f.jpg" in files
    assert len(files) == synthetic_agedb.ROWS


def test_a_byte_order_mark_and_crlf_do_no_harm(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path)
    table = tmp_path / "agedb.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    assert _read(tmp_path).counts == {"train": 16, "val": 4, "test": 4}


def test_nothing_there_says_what_to_get_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        _read(tmp_path)
    for word in (str(tmp_path / "agedb.csv"), "ibug.doc.ic.ac.uk", "RNC_DATA", "paths.data_dir"):
        assert word in str(raised.value)


def test_missing_images_are_counted_and_named(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path)
    for number in (0, 7):
        next((tmp_path / "AgeDB").glob(f"{number}_*")).unlink()
    with pytest.raises(UserError, match=r"2 samples cannot be used \(2 x missing file\).*data.on_bad=skip") as raised:
        _read(tmp_path)
    rows = [detail.split(" (")[0] for detail in raised.value.details]
    assert rows == ["missing file: agedb.csv, row 2", "missing file: agedb.csv, row 9"]
    for file in (tmp_path / "AgeDB").iterdir():
        file.unlink()
    (tmp_path / "AgeDB").rmdir()
    with pytest.raises(UserError, match="no folder"):
        _read(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("age,path", "years,path", "no column age; its columns are years, path, split"),
        (",val\n", ",train\n", "no samples are left in val"),
    ],
)
def test_a_table_that_cannot_be_used_at_all(tmp_path: Path, old: str, new: str, message: str) -> None:
    synthetic_agedb.write(tmp_path)
    _edit(tmp_path, old, new)
    with pytest.raises(UserError, match=message):
        _read(tmp_path)


def _spoil(root: Path) -> list[str]:
    """A bad sample of every kind; returns how they must be told."""
    _edit(root, "\n5,AgeDB/0_", "\nfive,AgeDB/0_")  # row 2
    _edit(root, "_9_f.jpg,train\n", "_9_f.jpg,trane\n")  # row 3
    _edit(root, "AgeDB/3_MadePerson_17_f.jpg", "AgeDB/10_MadePerson_45_m.jpg")  # row 5, and row 12 repeats it
    _edit(root, "AgeDB/6_", "../AgeDB/6_")  # row 8
    _edit(root, "\n33,AgeDB/7_", "\n,AgeDB/7_")  # row 9
    _edit(root, "\n37,AgeDB/8_", "\n370,AgeDB/8_")  # row 10
    next((root / "AgeDB").glob("9_*")).unlink()  # row 11
    cut = next((root / "AgeDB").glob("4_*"))  # row 6
    cut.write_bytes(cut.read_bytes()[:400])
    return [
        "age not a finite number: agedb.csv, row 2 ('five')",
        "split other than train, val, test: agedb.csv, row 3 ('trane')",
        f"unreadable file: agedb.csv, row 6 ({cut}: ",
        "path outside the folder: agedb.csv, row 8 (../AgeDB/6_MadePerson_29_m.jpg)",
        "age missing: agedb.csv, row 9",
        "age outside 0 to 120: agedb.csv, row 10 (370)",
        "missing file: agedb.csv, row 11 (AgeDB/9_MadePerson_41_f.jpg)",
        "path that occurs more than once: agedb.csv, row 12 (AgeDB/10_MadePerson_45_m.jpg, first in row 5)",
    ]


def test_every_bad_sample_is_told_at_once_before_training(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path)
    expected = _spoil(tmp_path)
    with pytest.raises(UserError, match=r"AgeDB: 8 samples cannot be used") as raised:
        _read(tmp_path)
    for line in expected:
        assert any(detail.startswith(line) for detail in raised.value.details), line
    assert len(raised.value.details) == len(expected)


def test_skipping_leaves_out_the_bad_samples_and_counts_them(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path)
    _spoil(tmp_path)
    module = _module(tmp_path, on_bad="skip")
    module.setup()
    assert sum(module.counts.values()) == synthetic_agedb.ROWS - 8
    assert module.skipped["unreadable file"] == 1
    assert sum(module.skipped.values()) == 8
    for split in module.splits.values():
        assert [split.inputs[i].shape[2:] for i in range(len(split))] == [(3,)] * len(split)
    with pytest.raises(ValueError, match="on_bad must be error or skip"):
        _module(tmp_path, on_bad="ignore")


def test_an_image_that_breaks_during_training_is_named(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path)
    split = _read(tmp_path).splits["test"]
    file = next((tmp_path / "AgeDB").glob("4_*"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="4_MadePerson"):
        split.inputs[0]


def test_the_fingerprint_sees_a_changed_image(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path)
    before = _read(tmp_path).fingerprint
    assert _read(tmp_path).fingerprint == before
    file = next((tmp_path / "AgeDB").glob("4_*"))
    Image.new("RGB", (8, 8)).save(file)
    assert _read(tmp_path).fingerprint != before


def test_evaluation_transform_is_resize_and_centre_crop() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    small = image.resize((341, 256), Image.Resampling.BILINEAR)  # shorter side to 256
    left, top = round((341 - 224) / 2), round((256 - 224) / 2)
    expected = np.asarray(small.crop((left, top, left + 224, top + 224)), np.float32) / 127.5 - 1
    torch.testing.assert_close(centred_image()(image), torch.from_numpy(expected).permute(2, 0, 1), atol=1e-6, rtol=0)


def test_training_transform_draws_at_the_official_rates() -> None:
    torch.manual_seed(0)
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32] = (200, 40, 40)  # left red, right dark
    image[:, 32:] = (40, 40, 90)
    plain = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    draw = augmented_image(16, min_scale=0.9, **plain)
    views = torch.stack([draw(Image.fromarray(image)) for _ in range(600)])
    flipped = (views[:, 0, :, 0] < views[:, 0, :, -1]).float().mean().item()
    grey = (views[:, 0] == views[:, 1]).flatten(1).all(dim=1).float().mean().item()
    assert flipped == pytest.approx(0.5, abs=0.07)
    assert grey == pytest.approx(0.2, abs=0.06)


def test_one_image_in_two_rows_is_told_however_it_is_written(tmp_path: Path) -> None:
    synthetic_agedb.write(tmp_path)
    _edit(tmp_path, "AgeDB/3_MadePerson_17_f.jpg", "./AgeDB//10_MadePerson_45_m.jpg")  # row 5
    _edit(tmp_path, "AgeDB/7_MadePerson_33_f.jpg", "AgeDB/8_Other_33_f.jpg")  # row 9: by its number it is row 10's
    with pytest.raises(UserError, match="2 samples cannot be used") as raised:
        _read(tmp_path)
    assert [detail.split(" (")[0] for detail in raised.value.details] == [
        "path that occurs more than once: agedb.csv, row 12",
        "file named in two rows: agedb.csv, row 10",
    ]


def test_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "agedb.csv").write_text("age,path,split\n")
    with pytest.raises(UserError, match="no samples are left in train and val and test"):
        _read(tmp_path)
