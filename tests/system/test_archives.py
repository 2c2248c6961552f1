"""The size of archives before they are unpacked."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnc_lightning.system.archives import check_npz
from rnc_lightning.system.errors import UserError


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .npz file of 8 MB in each of 4 parts that is itself small."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.npz"
    content = io.BytesIO()
    np.save(content, np.zeros((1000, 1000)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"x{number}.npy", content.getvalue())
    return path


def test_a_small_file_that_becomes_a_large_one_is_refused(bomb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bomb.stat().st_size < 50_000
    check_npz(bomb)
    monkeypatch.setenv("RNC_UNPACK_GB", "0.02")
    with pytest.raises(ValueError, match=r"0\.0\d+ MB that would become 0\.032 GB: .*RNC_UNPACK_GB=0\.1 allows that"):
        check_npz(bomb)
    check_npz(bomb, ["x0", "x1"])  # only these are unpacked
    monkeypatch.setenv("RNC_UNPACK_GB", "0.1")
    check_npz(bomb)
    monkeypatch.setenv("RNC_UNPACK_GB", "much")
    with pytest.raises(UserError, match="RNC_UNPACK_GB=much: must be a number of gigabytes"):
        check_npz(bomb)


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    lying = io.BytesIO()
    np.lib.format.write_array_header_1_0(lying, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**3)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", lying.getvalue())
    with pytest.raises(ValueError, match=r"x\.npy: its header promises 8,000,000,000,000 bytes, more than it holds"):
        check_npz(tmp_path / "x.npz")


def test_ordinary_arrays_pass(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.ones((3, 2)), y=np.array(1), z=np.array(["a"]), empty=np.zeros((0, 5)))
    check_npz(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("notes.txt", "no array")
    check_npz(tmp_path / "b.npz")
