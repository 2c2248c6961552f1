"""MPIIFaceGaze as recorded: complete pictures, and one text file per person.

    <root>/pXX/dayYY/<n>.jpg
    <root>/pXX/pXX.txt          28 fields per line, separated by blanks

The gaze goes from the centre of the face to the target on the screen, both in camera coordinates. The face is a square
crop around its six landmarks. That is our choice and simpler than the paper's normalised faces: the head is not turned
upright and the cameras are not normalised, so results are not comparable with the paper's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from rnc_lightning.datasets.images.files import open_rgb
from rnc_lightning.datasets.mpiifacegaze.samples import (
    Eye,
    GazeSamples,
    Pictures,
    find_plausible,
    parse_numbers,
    person_of,
    pitch_yaw,
    read_lines,
)
from rnc_lightning.datasets.reading.file_check import error_message
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.system.errors import UserError

_FIELDS = 28

# Positions among the 26 numbers between the path and the eye; the first two are the target on the screen in pixels.
_LANDMARKS = slice(2, 14)
_FACE_CENTRE = slice(20, 23)
_TARGET = slice(23, 26)


class CroppedFaces:
    """Squares around landmarks, cropped from image files on demand.

    Args:
        paths: One file per sample; a file may occur more than once.
        landmarks: (N, K, 2) pixels, x and y.
        margin: Margin on each side, as a fraction of the landmarks' extent.
    """

    def __init__(self, paths: Sequence[Path], landmarks: np.ndarray, margin: float) -> None:
        self.paths = list(paths)
        self.landmarks = landmarks
        self.margin = margin

    @property
    def besides_files(self) -> bytes:
        """What the inputs are made of in addition to the files, for the identity of the data."""
        return self.landmarks.tobytes()

    @property
    def checked_as(self) -> bytes:
        """What a file check depends on in addition to the files."""
        return self.besides_files

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image.Image:
        try:
            return self._face(index)
        except ValueError as error:
            raise UserError(f"{self.paths[index]} cannot be used ({error}): replace it or its line") from error

    def problem(self, index: int) -> str | None:
        """What is wrong with a file or its landmarks, found by cropping the face; None if nothing is."""
        return error_message(lambda: self._face(index))

    def take(self, indices: Sequence[int]) -> "CroppedFaces":
        """Some of the faces, in this order."""
        return CroppedFaces([self.paths[i] for i in indices], self.landmarks[list(indices)], self.margin)

    def _face(self, index: int) -> Image.Image:
        image = open_rgb(self.paths[index])
        low, high = self.landmarks[index].min(axis=0), self.landmarks[index].max(axis=0)
        middle, size = (low + high) / 2, np.array(image.size)
        if (middle < 0).any() or (middle > size).any() or (high - low).max() > size.max():
            raise ValueError(f"landmarks outside the {image.width} x {image.height} pixels of the image")
        return image.crop(square(low, high, self.margin))


@dataclass(frozen=True)
class _Row:
    where: str
    picture: str
    person: int
    numbers: list[float]


def square(low: np.ndarray, high: np.ndarray, margin: float) -> tuple[int, int, int, int]:
    """The square around a box, as Pillow's (left, upper, right, lower); it may extend beyond the picture.

    Args:
        low: (2,) smallest x and y.
        high: (2,) largest x and y.
        margin: Margin on each side, as a fraction of the longer side of the box.

    >>> square(np.array([10.0, 20.0]), np.array([30.0, 30.0]), 0.5)
    (0, 5, 40, 45)
    """
    side = max(1, round(float((high - low).max()) * (1 + 2 * margin)))
    left, upper = (round(float(middle) - side / 2) for middle in (low + high) / 2)
    return left, upper, left + side, upper + side


def text_files(root: Path) -> list[Path]:
    """The persons' text files."""
    return sorted(path for path in root.glob("p[0-9][0-9]/p[0-9][0-9].txt") if path.parent.name == path.stem)


def read_raw(root: Path, eye: Eye, margin: float, problems: Problems) -> GazeSamples:
    """Read all text files; bad lines become problems.

    Args:
        root: Folder with `p00/` to `p14/`.
        eye: Which lines to use, by the eye that MPIIGaze's evaluation subset uses from a picture.
        margin: Margin around the landmarks on each side, as a fraction of their extent.
        problems: Receives the bad lines.
    """
    pictures = Pictures(root, problems)
    rows = [
        row
        for file in text_files(root)
        for row in _read_rows(file, eye, problems)
        if pictures.usable(row.picture, row.person, row.where)
    ]
    table = np.array([row.numbers for row in rows], dtype=np.float64).reshape(-1, _FIELDS - 2)
    degrees = np.rad2deg(pitch_yaw(table[:, _TARGET] - table[:, _FACE_CENTRE]))
    landmarks = table[:, _LANDMARKS].reshape(-1, 6, 2)
    good = find_plausible(degrees, [row.where for row in rows], problems)
    valid = np.isfinite(landmarks).all(axis=(1, 2)) & (np.ptp(landmarks, axis=1) > 0).any(axis=1)
    for i in np.flatnonzero(~valid).tolist():
        problems.add("landmarks not finite or all at one point", rows[i].where)
    good &= valid
    usable = [rows[i] for i in np.flatnonzero(good).tolist()]
    return GazeSamples(
        CroppedFaces([root / row.picture for row in usable], landmarks[good], margin),
        degrees[good],
        [row.picture for row in usable],
        np.array([row.person for row in usable], dtype=np.int64),
    )


def _read_rows(file: Path, eye: Eye, problems: Problems) -> list[_Row]:
    rows = []
    for where, fields in read_lines(file, problems):
        if len(fields) != _FIELDS:
            problems.add("wrong number of fields", where, f"{len(fields)}, not {_FIELDS}")
        elif (values := parse_numbers(fields[1:-1], _FIELDS - 2)) is None:
            problems.add("fields 2 to 27 are not all numbers", where)
        elif eye != "both" and fields[-1] not in ("left", "right"):
            problems.add("eye other than left or right", where, fields[-1])
        elif eye in ("both", fields[-1]):
            rows.append(_Row(where, f"{file.stem}/{fields[0]}", person_of(file), values))
    return rows
