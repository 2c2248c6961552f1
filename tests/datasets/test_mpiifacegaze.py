"""The three layouts of MPIIFaceGaze with their traps, written here by hand."""

import logging
import math
import pickle
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image

from rnc_lightning.datasets.images.transforms import augmented_image, centred_image
from rnc_lightning.datasets.mpiifacegaze.datamodule import MPIIFaceGazeDataModule
from rnc_lightning.datasets.mpiifacegaze.hdf5 import HDF5Faces
from rnc_lightning.datasets.mpiifacegaze.samples import pitch_yaw
from rnc_lightning.datasets.splits import SplitName
from rnc_lightning.system.errors import UserError
from rnc_lightning.targets.distances import gaze_vectors

HEADER = "Face Left Right Origin WhichEye 3DGaze 3DHead 2DGaze 2DHead Rmat Smat GazeOrigin"
PERSONS = {"val": [1], "test": [2]}
RED, GREEN, BLUE = (200, 30, 40), (30, 200, 40), (30, 40, 200)


def _vector(pitch: float, yaw: float) -> tuple[float, float, float]:
    """Degrees to a direction in the camera's frame, written out."""
    p, y = math.radians(pitch), math.radians(yaw)
    return -math.cos(p) * math.sin(y), -math.sin(p), -math.cos(p) * math.cos(y)


def _angles(person: int, i: int) -> tuple[float, float]:
    """Made pitch and yaw in degrees, never equal, different for each picture."""
    return -5.0 - 2 * i - 0.25 * person, 11.0 * (i % 5) - 20.0 + person


def _line(person: int, i: int, **changes: str) -> str:
    pitch, yaw = _angles(person, i)
    cells = {
        "Face": f"p{person:02}/face/{i + 1}.jpg",
        "Left": f"p{person:02}/left/{i + 1}.jpg",
        "Right": f"p{person:02}/right/{i + 1}.jpg",
        "Origin": f"day01/{i:04}.jpg",
        "WhichEye": ("left", "right")[i % 2],
        "3DGaze": ",".join(f"{x:.6f}" for x in _vector(pitch, yaw)),
        "3DHead": "0.1,-0.2,0.0",
        "2DGaze": f"{math.radians(yaw):.5f},{math.radians(pitch):.5f}",  # yaw first, as the real files have it
        "2DHead": "-0.2,0.1",
        "Rmat": "0.0,0.0,0.0",
        "Smat": "1.0,1.0,0.6",
        "GazeOrigin": "0.1,0.2,590.0",
    }
    return " ".join({**cells, **changes}.values())


def _gazehub(root: Path, persons: Sequence[int] = range(5), count: int = 6) -> None:
    (root / "Label").mkdir(parents=True)
    for person in persons:
        faces = root / f"Image/p{person:02}/face"
        faces.mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (16, 16), (20 * person, 10 * i, 90)).save(faces / f"{i + 1}.jpg", quality=95)
        lines = [HEADER, *(_line(person, i) for i in range(count))]
        (root / f"Label/p{person:02}.label").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _relabel(root: Path, person: int, lines: Sequence[str]) -> None:
    (root / f"Label/p{person:02}.label").write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")


def _raw(root: Path, persons: Sequence[int] = range(3), count: int = 4) -> None:
    for person in persons:
        folder = root / f"p{person:02}"
        (folder / "day01").mkdir(parents=True)
        (folder / "Calibration").mkdir()
        (folder / "Calibration/Camera.mat").write_bytes(b"no HDF5")
        lines = []
        for i in range(count):
            picture = Image.new("RGB", (120, 90), BLUE)
            picture.paste(RED, (40, 30, 80, 70))  # the face: landmarks span its middle half, 50 to 70 and 40 to 60
            picture.save(folder / f"day01/{i:04}.jpg", quality=95)
            lines.append(_raw_line(person, i))
        (folder / f"p{person:02}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _raw_line(person: int, i: int) -> str:
    face = np.array([12.0, -40.0, 590.0])
    target = face + 600.0 * np.array(_vector(*_angles(person, i)))
    landmarks = [50, 40, 56, 41, 64, 41, 70, 40, 54, 60, 66, 60]
    numbers = [640, 360, *landmarks, 0.1, 0.2, 0.3, 10, 20, 600, *face, *target]
    return " ".join([f"day01/{i:04}.jpg", *(f"{x:.6f}" for x in numbers), ("left", "right")[i % 2]])


def _hdf5(folder: Path, persons: Sequence[int] = range(3), count: int = 4) -> None:
    h5py = pytest.importorskip("h5py")
    folder.mkdir(parents=True, exist_ok=True)
    for person in persons:
        with h5py.File(folder / f"p{person:02}.mat", "w") as file:
            pictures = np.zeros((count, 3, 10, 14), np.float32)
            pictures[:, 0], pictures[:, 1], pictures[:, 2] = 10, 20, 30  # blue, green, red
            pictures[:, 2, :5, :7] = 250  # upper left: red
            labels = np.zeros((count, 16))
            labels[:, :2] = np.deg2rad([_angles(person, i) for i in range(count)])
            file["Data/data"], file["Data/label"] = pictures, labels


def _module(root: Path, **keywords: Any) -> MPIIFaceGazeDataModule:
    settings = {"persons": PERSONS, "batch_size": 2, "eval_batch_size": 4} | keywords
    return MPIIFaceGazeDataModule(
        root=str(root), train_transform=augmented_image(16, flip=0.0), eval_transform=centred_image(16), **settings
    )


def _read(root: Path, **keywords: Any) -> MPIIFaceGazeDataModule:
    module = _module(root, **keywords)
    module.setup()
    return module


def _labels(module: MPIIFaceGazeDataModule, part: SplitName) -> dict[str, list[float]]:
    labels = torch.cat([batch["y"] for batch in module.plain_loader(part)])
    return dict(zip(module.splits[part].names, labels.tolist(), strict=True))


def test_formulas_are_those_of_the_field_there_and_back() -> None:
    angles = np.deg2rad(np.random.default_rng(0).uniform(-80, 80, (50, 2)))
    vectors = gaze_vectors(torch.from_numpy(angles)).numpy()
    np.testing.assert_allclose(pitch_yaw(7.3 * vectors), angles, atol=1e-12)
    slow = [(math.asin(-y), math.atan2(-x, -z)) for x, y, z in vectors.tolist()]
    np.testing.assert_allclose(pitch_yaw(vectors), slow, atol=1e-12)
    assert np.isnan(pitch_yaw(np.array([[0.0, 0, 0], [1, np.nan, 0], [np.inf, 0, 0]]))).all()


def test_gazehub_layout_pitch_first_in_degrees(tmp_path: Path) -> None:
    _gazehub(tmp_path)
    module = _read(tmp_path, layout="gazehub")
    assert module.counts == {"train": 18, "val": 6, "test": 6}
    for part, persons in {"train": (0, 3, 4), "val": (1,), "test": (2,)}.items():
        found = _labels(module, part)  # type: ignore[arg-type]
        assert {name[:3] for name in found} == {f"p{person:02}" for person in persons}
        for i, (name, label) in enumerate(found.items()):
            person, number = int(name[1:3]), int(Path(name).stem) - 1
            assert label == pytest.approx(_angles(person, number), abs=1e-3)
            pixel = module.splits[part].inputs[i][8, 8].tolist()  # type: ignore[index]
            assert pixel == pytest.approx((20 * person, 10 * number, 90), abs=6)


def test_the_header_says_where_a_field_is(tmp_path: Path) -> None:
    _gazehub(tmp_path)
    order = random.Random(0).sample(range(12), 12)
    for file in (tmp_path / "Label").iterdir():
        lines = [line.split() for line in file.read_text().splitlines()]
        file.write_text("\n".join(" ".join(line[k] for k in order) for line in lines))
    assert _labels(_read(tmp_path), "val")["p01/face/3.jpg"] == pytest.approx(_angles(1, 2), abs=1e-3)
    broken = tmp_path / "Label/p04.label"
    broken.write_text(broken.read_text().replace("3DGaze", "Gaze", 1))
    with pytest.raises(UserError, match=r"p04\.label: the header has no column 3DGaze"):
        _read(tmp_path)


def test_the_swapped_order_of_the_angles_is_a_check_not_a_label(tmp_path: Path) -> None:
    """Both orders of 2DGaze agree with 3DGaze; a mirrored yaw does not."""
    _gazehub(tmp_path)
    pitch, yaw = (math.radians(angle) for angle in _angles(1, 2))
    lines = [_line(1, i) for i in range(6)]
    lines[2] = _line(1, 2, **{"2DGaze": f"{pitch},{yaw}"})
    _relabel(tmp_path, 1, lines)
    assert _labels(_read(tmp_path), "val")["p01/face/3.jpg"] == pytest.approx(_angles(1, 2), abs=1e-3)
    lines[2] = _line(1, 2, **{"2DGaze": f"{-yaw},{pitch}"})
    _relabel(tmp_path, 1, lines)
    with pytest.raises(UserError, match="1 x 2DGaze and 3DGaze disagree") as raised:
        _read(tmp_path)
    assert "Label/p01.label, line 4" in raised.value.details[0]


def test_a_byte_order_mark_crlf_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    _gazehub(tmp_path / "gazehub")
    _raw(tmp_path / "raw")
    for file in [*tmp_path.glob("gazehub/Label/*"), *tmp_path.glob("raw/*/*.txt")]:
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert _read(tmp_path / "gazehub").counts == {"train": 18, "val": 6, "test": 6}
    assert _read(tmp_path / "raw").counts == {"train": 4, "val": 4, "test": 4}


def test_eyes_and_seeded_numbers_of_samples(tmp_path: Path) -> None:
    _gazehub(tmp_path)
    assert list(_read(tmp_path, eye="left").splits["val"].names) == [f"p01/face/{i}.jpg" for i in (1, 3, 5)]
    module = _read(tmp_path, per_person=4, per_person_seed=5)
    drawn = {part: set(split.names) for part, split in module.splits.items()}
    assert module.counts == {"train": 12, "val": 4, "test": 4}
    _relabel(tmp_path, 1, [_line(1, i) for i in (3, 0, 5, 2, 4, 1)])
    again = _read(tmp_path, per_person=4, per_person_seed=5)
    assert {part: set(split.names) for part, split in again.splits.items()} == drawn
    others = [_read(tmp_path, per_person=4, per_person_seed=seed) for seed in (6, 7)]
    assert any(set(other.splits["train"].names) != drawn["train"] for other in others)
    module.write_division(tmp_path / "split.csv")
    assert len((tmp_path / "split.csv").read_text().splitlines()) == 21
    _read(tmp_path).write_division(tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()


def test_hdf5_layout_blue_first_upright_and_pitch_first(tmp_path: Path) -> None:
    _hdf5(tmp_path / "MPIIFaceGaze_normalizad")
    module = _read(tmp_path, layout="hdf5")
    assert module.counts == {"train": 4, "val": 4, "test": 4}
    assert _labels(module, "test")["p02/0003"] == pytest.approx(_angles(2, 3), abs=1e-4)
    faces = module.splits["test"].inputs
    assert isinstance(faces, HDF5Faces)
    image = faces[1]
    assert (image.mode, image.size) == ("RGB", (14, 10))
    assert [image.getpixel(place) for place in ((2, 2), (12, 2), (2, 8))] == [(250, 20, 10), (30, 20, 10), (30, 20, 10)]
    copy = pickle.loads(pickle.dumps(faces))  # as a worker gets it, here after a file was opened
    assert np.array_equal(copy[1], image)
    before = module.fingerprint
    with (tmp_path / "MPIIFaceGaze_normalizad/p02.mat").open("ab") as file:
        file.write(b"more")
    assert _read(tmp_path, layout="hdf5").fingerprint != before


def test_hdf5_faces_through_workers(tmp_path: Path) -> None:
    """Forked after the parent opened the files."""
    _hdf5(tmp_path, count=8)
    module = _read(tmp_path)
    assert module.splits["test"].inputs[0].size == (14, 10)
    expected = [batch["x"] for batch in module.test_dataloader()]
    module.num_workers = 2
    assert torch.equal(torch.cat([batch["x"] for batch in module.test_dataloader()]), torch.cat(expected))


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hdf5(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"pip install 'rnc-lightning\[hdf5\]'"):
        _read(tmp_path)


def test_raw_layout_gaze_from_face_to_target_and_a_square_around_the_landmarks(tmp_path: Path) -> None:
    _raw(tmp_path)
    module = _read(tmp_path, crop_margin=0.4)
    assert module.counts == {"train": 4, "val": 4, "test": 4}
    labels = _labels(module, "val")
    assert list(labels) == [f"p01/day01/{i:04}.jpg" for i in range(4)]
    for i, label in enumerate(labels.values()):
        assert label == pytest.approx(_angles(1, i), abs=1e-3)
    face = module.splits["val"].inputs[0]
    assert face.size == (36, 36)  # 20 and 0.4 of it on each side
    assert np.abs(np.asarray(face, int) - RED).max() < 40  # nothing of the blue around the red of 40
    wide = np.asarray(_read(tmp_path, crop_margin=1.5).splits["val"].inputs[0], int)
    assert wide.shape == (80, 80, 3)
    assert np.abs(wide[40, 40] - RED).max() < 40
    assert np.abs(wide[15, 40] - BLUE).max() < 40
    assert list(_read(tmp_path, eye="right").splits["test"].names) == ["p02/day01/0001.jpg", "p02/day01/0003.jpg"]


def test_the_layout_is_found_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _raw(tmp_path)
    with caplog.at_level(logging.INFO):
        _read(tmp_path)
    assert "reading the raw layout" in caplog.text
    _gazehub(tmp_path)
    with caplog.at_level(logging.INFO):
        assert _read(tmp_path).splits["val"].names[0] == "p01/face/1.jpg"
    assert "reading the gazehub layout" in caplog.text
    assert "raw can be chosen with" in caplog.text
    assert _read(tmp_path, layout="raw").splits["val"].names[0] == "p01/day01/0000.jpg"
    with pytest.raises(UserError, match=r"no hdf5 layout .* \(there is gazehub, raw\)"):
        _read(tmp_path, layout="hdf5")
    with pytest.raises(UserError, match=r"no layout of MPIIFaceGaze in .*perceptualui.*RNC_DATA"):
        _read(tmp_path / "Label")


@pytest.mark.parametrize(
    ("persons", "error", "message"),
    [
        ({"val": [1, 3], "test": [3]}, ValueError, "p03 occurs more than once"),
        ({"val": [1]}, ValueError, "must be given for val and test"),
        ({"val": [1], "test": []}, ValueError, "must be given for val and test"),
        ({"val": ["p01"], "test": [2]}, ValueError, "must be whole numbers"),
        ({"val": [1], "test": [13, 14]}, UserError, r"data\.persons\.test: no p13, p14 in .* there are p00, p01"),
        ({"val": [0, 1], "test": [2, 3, 4]}, UserError, "none is left for training"),
    ],
)
def test_persons_that_do_not_fit_are_named(
    tmp_path: Path, persons: dict[str, Any], error: type[Exception], message: str
) -> None:
    _gazehub(tmp_path, count=1)
    with pytest.raises(error, match=message):
        _read(tmp_path, persons=persons)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"layout": "flat"}, "layout must be auto, gazehub, hdf5 or raw"),
        ({"eye": "third"}, "eye must be both, left or right"),
        ({"per_person": 0}, "per_person"),
        ({"crop_margin": -1.0}, "crop_margin"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _module(tmp_path, **keywords)


def test_hdf5_does_not_know_eyes(tmp_path: Path) -> None:
    _hdf5(tmp_path)
    with pytest.raises(UserError, match="does not contain the eye"):
        _read(tmp_path, eye="left")


def test_the_configuration_leaves_one_person_out_and_mirrors_nothing(
    tmp_path: Path, compose_config: Callable[..., DictConfig]
) -> None:
    _gazehub(tmp_path, count=2)
    words = ["+experiment=mpiifacegaze_rnc", f"data.root={tmp_path}", "data.persons={val: [3], test: [4]}"]
    cfg = compose_config(*words)
    module = instantiate(cfg.data, _convert_="all")
    module.setup()
    assert module.counts == {"train": 6, "val": 2, "test": 2}
    assert module.splits["val"].names[0] == "p03/face/1.jpg"
    assert module.train_transform.flip == 0
    assert (cfg.target.distance, list(cfg.target.dimensions)) == ("angular_degrees", ["pitch", "yaw"])


def test_all_that_is_wrong_in_gazehub_files_is_told_at_once(tmp_path: Path) -> None:
    _gazehub(tmp_path, count=12)
    far = _vector(10, 70)
    bad = {
        0: _line(1, 0) + " more",
        1: _line(1, 1, **{"3DGaze": "0.1,0.2"}),
        2: _line(1, 2, **{"3DGaze": "0.1,up,-0.9"}),
        3: _line(1, 3, **{"2DGaze": "0.1"}),
        4: _line(1, 4, Face="p01/face/404.jpg"),
        5: _line(1, 5, Face="p01/../../face/1.jpg"),
        6: _line(1, 6, Face="p01/../p02/face/1.jpg"),
        7: _line(1, 7, **{"3DGaze": "nan,nan,nan"}),
        8: _line(1, 8, **{"3DGaze": ",".join(map(str, far)), "2DGaze": f"{math.radians(70)},{math.radians(10)}"}),
        9: _line(1, 10),
    }
    _relabel(tmp_path, 1, [bad.get(i, _line(1, i)) for i in (*range(9), 10, 9, 11)])
    (tmp_path / "Image/p02/face/1.jpg").write_bytes(b"no picture")
    (tmp_path / "Label/p03.label").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="12 samples cannot be used") as raised:
        _read(tmp_path)
    lines = "\n".join(raised.value.details)
    for kind, line in (
        ("wrong number of fields", 2),
        ("3DGaze not three numbers", 3),
        ("3DGaze not three numbers", 4),
        ("2DGaze not two numbers", 5),
        ("missing file", 6),
        ("path outside the folder", 7),
        ("picture of another person", 8),
        ("gaze not finite", 9),
        ("gaze outside -60 to 60 degrees", 10),
        ("picture that occurs more than once", 12),
    ):
        assert f"{kind}: Label/p01.label, line {line}" in lines.replace(" (", "\n")
    assert "unreadable label file" in lines
    assert "unreadable file" in lines
    skipping = _read(tmp_path, on_bad="skip")
    assert list(skipping.splits["val"].names) == ["p01/face/11.jpg", "p01/face/12.jpg"]
    assert sum(skipping.skipped.values()) == 12


def test_all_that_is_wrong_in_raw_files_is_told_at_once(tmp_path: Path) -> None:
    _raw(tmp_path, count=9)
    lines = [_raw_line(1, i) for i in range(9)]
    fields = [line.split() for line in lines]
    lines[0] = " ".join(fields[0][:-1])
    lines[1] = " ".join([fields[1][0], "?", *fields[1][2:]])
    lines[2] = " ".join(["../../elsewhere.jpg", *fields[2][1:]])
    lines[3] = " ".join([*fields[3][:24], *fields[3][21:24], fields[3][27]])  # the target is the face's centre
    lines[4] = " ".join([*fields[4][:3], *["55.0"] * 12, *fields[4][15:]])
    lines[5] = " ".join([*fields[5][:3], *["9e9", "9e9", *["5.0"] * 10], *fields[5][15:]])
    lines[6] = " ".join([*fields[6][:24], "0", "0", "9000", fields[6][27]])
    (tmp_path / "p01/p01.txt").write_text("\n".join(lines))
    (tmp_path / "p01/day01/0007.jpg").unlink()
    with pytest.raises(UserError, match="8 samples cannot be used") as raised:
        _read(tmp_path)
    told = "\n".join(raised.value.details)
    for kind, line in (
        ("wrong number of fields", 1),
        ("fields 2 to 27 are not all numbers", 2),
        ("path outside the folder", 3),
        ("gaze not finite", 4),
        ("landmarks not finite or all at one point", 5),
        ("gaze outside -60 to 60 degrees", 7),
        ("missing file", 8),
    ):
        assert f"{kind}: p01/p01.txt, line {line}" in told
    assert "0005.jpg (landmarks outside the 120 x 90 pixels of the image)" in told
    assert list(_read(tmp_path, on_bad="skip").splits["val"].names) == ["p01/day01/0008.jpg"]


def test_all_that_is_wrong_in_hdf5_files_is_told_at_once(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    _hdf5(tmp_path, range(6))
    with h5py.File(tmp_path / "p01.mat", "a") as file:
        file["Data/label"][2, 0] = np.nan
        file["Data/label"][3, 1] = 20.0  # degrees where radians belong
    whole = (tmp_path / "p03.mat").read_bytes()
    (tmp_path / "p03.mat").write_bytes(whole[: len(whole) // 2])
    with h5py.File(tmp_path / "p04.mat", "a") as file:
        del file["Data/label"]
    with h5py.File(tmp_path / "p05.mat", "a") as file:
        del file["Data/label"]
        file["Data/label"] = np.zeros((3, 16))
    with pytest.raises(UserError, match="5 samples cannot be used") as raised:
        _read(tmp_path)
    told = "\n".join(raised.value.details)
    for line in (
        "gaze not finite: p01.mat, sample 2",
        "gaze outside -60 to 60 degrees: p01.mat, sample 3",
        f"unreadable file: {tmp_path / 'p03.mat'}",
        f"unreadable file: {tmp_path / 'p04.mat'}",
        f"file with arrays of other shapes: {tmp_path / 'p05.mat'}",
    ):
        assert line in told
    skipping = _read(tmp_path, on_bad="skip")
    assert list(skipping.splits["val"].names) == ["p01/0000", "p01/0001"]


def test_changed_landmarks_are_checked_again(tmp_path: Path) -> None:
    _raw(tmp_path)
    _read(tmp_path, cache_dir=str(tmp_path / "cache"))
    file = tmp_path / "p00/p00.txt"
    file.write_text(file.read_text().replace(" 50.000000 40.000000 ", " 9000.000000 40.000000 ", 1))
    with pytest.raises(UserError, match="1 x unreadable file") as raised:
        _read(tmp_path, cache_dir=str(tmp_path / "cache"))
    assert "landmarks outside the 120 x 90 pixels" in raised.value.details[0]


def test_label_files_without_a_sample_are_told(tmp_path: Path) -> None:
    _gazehub(tmp_path)
    _relabel(tmp_path, 0, [])
    with pytest.raises(UserError, match="1 x label file without samples"):
        _read(tmp_path)


def test_a_picture_that_cannot_be_decompressed_is_found_before_training(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    _hdf5(tmp_path)
    with h5py.File(tmp_path / "p00.mat", "r+") as file:
        pictures = file["Data/data"][:]
        del file["Data/data"]
        data = file.create_dataset("Data/data", data=pictures, chunks=(1, *pictures.shape[1:]), compression="gzip")
        place = data.id.get_chunk_info(2)
    with (tmp_path / "p00.mat").open("r+b") as file:
        file.seek(place.byte_offset)
        file.write(b"\0" * place.size)
    with pytest.raises(UserError, match="1 x unreadable file") as raised:
        _read(tmp_path)
    assert "sample 2" in raised.value.details[0]
    assert _read(tmp_path, on_bad="skip").counts == {"train": 3, "val": 4, "test": 4}


def test_options_of_image_files_are_refused_where_there_are_none(tmp_path: Path) -> None:
    _raw(tmp_path)
    with pytest.raises(UserError, match=r"data\.exif_orientation .* apply to data sets of one image"):
        _read(tmp_path, layout="raw", exif_orientation=True)
