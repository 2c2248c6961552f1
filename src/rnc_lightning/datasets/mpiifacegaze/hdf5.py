"""MPIIFaceGaze as normalised by its authors: one MATLAB 7.3 file per person, which is HDF5.

<root>/pXX.mat, or in <root>/MPIIFaceGaze_normalizad (the archive's spelling), or in .../MPIIFaceGaze_normalized
    Data/data     (N, 3, H, W) 0..255, blue first
    Data/label    (N, 16); the first two are pitch and yaw in radians
"""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rnc_lightning.datasets.mpiifacegaze.samples import GazeSamples, find_plausible, person_of
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.system.errors import UserError, first_line
from rnc_lightning.system.files import check_regular

_FOLDERS = ("", "MPIIFaceGaze_normalizad", "MPIIFaceGaze_normalized")


class HDF5Faces:
    """Faces in HDF5 files, read one at a time; each process opens the files itself on first use.

    Args:
        rows: File and row of each sample.
    """

    def __init__(self, rows: Sequence[tuple[Path, int]]) -> None:
        self._rows = list(rows)
        self._open: dict[Path, Any] = {}
        self._process = os.getpid()

    @property
    def paths(self) -> list[Path]:
        """The file of each sample."""
        return [path for path, _ in self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Image.Image:
        path, row = self._rows[index]
        try:
            pixels = self._pictures(path)[row]
        except (OSError, KeyError) as error:
            raise UserError(f"{path}, sample {row} cannot be read ({first_line(error)}): replace the file") from error
        rgb = np.rint(pixels[::-1]).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
        return Image.fromarray(np.ascontiguousarray(rgb))

    def problem(self, index: int) -> str | None:
        """What is wrong with a sample, found by decompressing it; None if nothing is."""
        try:
            self[index]
        except UserError as error:
            return f"sample {self._rows[index][1]}: {error.__cause__}"
        return None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def take(self, indices: Sequence[int]) -> "HDF5Faces":
        """Some of the faces, in the order given."""
        return HDF5Faces([self._rows[i] for i in indices])

    def _pictures(self, path: Path) -> Any:
        if self._process != os.getpid():  # after a fork the handles belong to the parent
            self._open, self._process = {}, os.getpid()
        if path not in self._open:
            self._open[path] = _h5py().File(path, "r")
        return self._open[path]["Data/data"]


def matlab_files(root: Path) -> list[Path]:
    """The persons' files, from the first folder that has any."""
    candidates = (sorted((root / folder).glob("p[0-9][0-9].mat")) for folder in _FOLDERS)
    return next((files for files in candidates if files), [])


def read_hdf5(root: Path, problems: Problems) -> GazeSamples:
    """Read the labels of all files; unusable files and samples become problems.

    Raises:
        UserError: If h5py is not installed.
    """
    h5py = _h5py()
    angles, located, names = [], [], []
    for file in matlab_files(root):
        try:
            check_regular(file)
            with h5py.File(file, "r") as content:
                data, label = content["Data/data"], np.asarray(content["Data/label"], dtype=np.float64)
                shape = data.shape
        except (OSError, KeyError, ValueError, AttributeError) as error:
            problems.add("unreadable file", str(file), first_line(error))
            continue
        if len(shape) != 4 or shape[1] != 3 or label.ndim != 2 or label.shape[1] < 2 or len(label) != shape[0]:
            shapes = f"Data/data {shape}, Data/label {label.shape}, not (N, 3, H, W) and (N, 16)"
            problems.add("file with arrays of other shapes", str(file), shapes)
            continue
        degrees = np.rad2deg(label[:, :2])
        good = find_plausible(degrees, [f"{file.name}, sample {i}" for i in range(len(label))], problems)
        rows = np.flatnonzero(good).tolist()
        angles.append(degrees[good])
        located += [(file, row) for row in rows]
        names += [f"{file.stem}/{row:04}" for row in rows]
    persons = np.array([person_of(file) for file, _ in located], dtype=np.int64)
    return GazeSamples(HDF5Faces(located), np.concatenate([np.empty((0, 2)), *angles]), names, persons)


def _h5py() -> Any:
    try:
        return import_module("h5py")
    except ImportError as error:
        raise UserError("the HDF5 files of MPIIFaceGaze need h5py: pip install 'rnc-lightning[hdf5]'") from error
