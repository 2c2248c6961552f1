import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from rnc_lightning.synthetic.mpiifacegaze import write_mpiifacegaze
from rnc_lightning.system.errors import UserError

SAMPLES = 215
PERSONS = [f"p{i:02d}" for i in range(15)]


def _angles(vector: np.ndarray) -> tuple[float, float]:
    """Pitch and yaw of a direction."""
    x, y, z = vector / np.linalg.norm(vector)
    return float(np.arcsin(-y)), float(np.arctan2(-x, -z))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gaze")
    write_mpiifacegaze(out, SAMPLES, 48, 2)
    return out / "MPIIFaceGaze"


def _rows(root: Path) -> list[dict[str, str]]:
    rows = []
    for person in PERSONS:
        header, *lines = (root / "Label" / f"{person}.label").read_text().splitlines()
        rows += [dict(zip(header.split(), line.split(), strict=True)) for line in lines]
    return rows


def _numbers(text: str) -> np.ndarray:
    return np.array([float(word) for word in text.split(",")])


def test_processed_layout(root: Path) -> None:
    head = (root / "Label" / "p00.label").read_text().split("\n")[0]
    assert head == "Face Left Right Origin WhichEye 3DGaze 3DHead 2DGaze 2DHead Rmat Smat GazeOrigin"
    rows = _rows(root)
    assert len(rows) == SAMPLES
    assert sorted(path.name for path in (root / "Image").iterdir()) == PERSONS
    for row in rows:
        assert Image.open(root / "Image" / row["Face"]).size == (48, 48)
        assert {Image.open(root / "Image" / row[eye]).size for eye in ("Left", "Right")} == {(60, 36)}
        assert row["Face"].split("/")[1] == "face"
    counts = [sum(row["Face"].startswith(person) for row in rows) for person in PERSONS]
    assert max(counts) - min(counts) <= 1
    assert {row["WhichEye"] for row in rows} == {"left", "right"}


def test_processed_angles_are_yaw_then_pitch(root: Path) -> None:
    for row in _rows(root):
        pitch, yaw = _angles(_numbers(row["3DGaze"]))
        np.testing.assert_allclose(_numbers(row["2DGaze"]), [yaw, pitch], atol=1e-5)
        assert -40 <= np.degrees(pitch) <= 10
        assert abs(np.degrees(yaw)) <= 45


def test_a_picture_without_a_label(root: Path, tmp_path: Path) -> None:
    pictures = {str(path.relative_to(root / "Image")) for path in (root / "Image").glob("*/face/*.jpg")}
    assert pictures > {row["Face"] for row in _rows(root)}
    write_mpiifacegaze(tmp_path, 15, 24, 0, traps=False)
    bare = tmp_path / "MPIIFaceGaze"
    assert len(list((bare / "Image").glob("*/face/*.jpg"))) == len(_rows(bare)) == 15


def test_faces_of_others_show_the_gaze_roughly(
    root: Path, ridge_r2: Callable[..., float], thumbnails: Callable[..., np.ndarray]
) -> None:
    """Mirrored rows included: with their yaw's sign unchanged this would fail."""
    rows = _rows(root)
    yaw, pitch = np.stack([_numbers(row["2DGaze"]) for row in rows]).T
    features = thumbnails([root / "Image" / row["Face"] for row in rows])
    people = [row["Face"][:3] for row in rows]
    assert 0.3 < ridge_r2(features, yaw, people) < 0.95
    unmirrored = np.where([row["WhichEye"] == "right" for row in rows], -yaw, yaw)
    assert ridge_r2(features, unmirrored, people) < 0.2
    eyes = thumbnails([root / "Image" / row["Left"] for row in rows])
    assert 0.2 < ridge_r2(eyes, pitch, people) < 0.95


def test_raw_layout(tmp_path: Path) -> None:
    write_mpiifacegaze(tmp_path, 32, 48, 2, layout="raw")
    labelled = 0
    for person in PERSONS:
        folder = tmp_path / "MPIIFaceGaze" / person
        for line in (folder / f"{person}.txt").read_text().splitlines():
            words = line.split()
            assert len(words) == 28
            assert words[27] in ("left", "right")
            width, height = Image.open(folder / words[0]).size
            numbers = np.array([float(word) for word in words[1:27]])
            points, centre, target = numbers[2:14].reshape(6, 2), numbers[20:23], numbers[23:26]
            assert (points > 0).all()
            assert (points < [width, height]).all()
            assert (np.diff(points[:4, 0]) > 0).all()  # four eye corners from left to right
            assert points[4:, 1].min() > points[:4, 1].max()  # the mouth is below
            assert abs(points[:, 0].mean() - width / 2 - centre[0] / centre[2] * 0.5 * 48 * 600 / 95) < 8
            pitch, yaw = np.degrees(_angles(target - centre))
            assert -40.1 < pitch < 10.1
            assert abs(yaw) < 45.1
            labelled += 1
    assert labelled == 32


def test_normalised_layout(tmp_path: Path, ridge_r2: Callable[..., float]) -> None:
    write_mpiifacegaze(tmp_path, 150, 32, 2, layout="hdf5")
    folder = tmp_path / "MPIIFaceGaze" / "MPIIFaceGaze_normalizad"
    pictures, labels = [], []
    for person in PERSONS:
        with h5py.File(folder / f"{person}.mat") as file:
            pictures.append(file["Data/data"][:].transpose(0, 2, 3, 1))
            labels.append(file["Data/label"][:])
    assert pictures[0].shape == (10, 32, 32, 3)
    assert labels[0].shape == (10, 16)
    x, y = np.concatenate(pictures), np.concatenate(labels)
    assert 0 <= x.min() < 60 < 180 < x.max() <= 255
    assert y[:, 0].max() <= np.radians(10) < np.radians(20) < y[:, 1].max()  # pitch, then yaw
    skin = x[:, 20:24, 6:10].mean(axis=(1, 2))  # a cheek: more red than blue
    assert (skin[:, 2] > skin[:, 0]).mean() > 0.9
    assert ridge_r2(x.reshape(len(x), -1) / 255, y[:, 1], np.repeat(PERSONS, 10).tolist()) > 0.3


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="at least 15, got 14"):
        write_mpiifacegaze(tmp_path, 14)
    with pytest.raises(UserError, match="gazehub or raw or hdf5, got 'mat'"):
        write_mpiifacegaze(tmp_path, 15, layout="mat")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"pip install 'rnc-lightning\[hdf5\]'"):
        write_mpiifacegaze(tmp_path, 15, layout="hdf5")
    assert not list(tmp_path.iterdir())
