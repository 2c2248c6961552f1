"""Shared by the layouts of MPIIFaceGaze: gaze angles from vectors, samples, lines of label files."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import leaves_folder
from rnc_lightning.datasets.splits import Inputs
from rnc_lightning.system.errors import first_line
from rnc_lightning.system.files import check_regular

Eye = Literal["both", "left", "right"]
PLAUSIBLE = 60.0  # degrees to any side: nobody who looks at a laptop's screen looks further away from its camera


class Faces(Inputs, Protocol):
    """Inputs from which a subset can be taken."""

    def take(self, indices: Sequence[int]) -> "Faces":
        """Some of the inputs, in this order."""


@dataclass(frozen=True)
class GazeSamples:
    """Usable samples.

    Attributes:
        inputs: N faces.
        angles: (N, 2) float64, pitch and yaw in degrees.
        names: N names, such as `p03/face/7.jpg`.
        persons: (N,) int64, 3 for p03.
    """

    inputs: Faces
    angles: np.ndarray
    names: Sequence[str]
    persons: np.ndarray

    def take(self, rows: np.ndarray) -> "GazeSamples":
        """Some of the samples, in this order."""
        indices = rows.tolist()
        return GazeSamples(
            self.inputs.take(indices), self.angles[rows], [self.names[i] for i in indices], self.persons[rows]
        )


def pitch_yaw(vectors: np.ndarray) -> np.ndarray:
    """Pitch and yaw in radians of gaze directions, the inverse of `rnc_lightning.targets.distances.gaze_vectors`.

    Args:
        vectors: (N, 3) in camera coordinates (z away from the camera, y down), of any length except 0.

    Returns:
        (N, 2), pitch (up is positive) and yaw; NaN for vectors of length 0 or not finite.

    >>> pitch_yaw(np.array([[0.0, 0.0, -2.0], [-1.0, 0.0, -1.0], [0.0, -1.0, -1.0]])).round(3) + 0.0
    array([[0.   , 0.   ],
           [0.   , 0.785],
           [0.785, 0.   ]])
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = (lengths > 0) & np.isfinite(lengths)
    x, y, z = np.divide(vectors, lengths, out=np.full_like(vectors, np.nan), where=usable).T
    return np.stack([np.arcsin(np.clip(-y, -1, 1)), np.arctan2(-x, -z)], axis=1)


def find_plausible(degrees: np.ndarray, where: Sequence[str], problems: Problems) -> np.ndarray:
    """Mask (N,) of the plausible angles (N, 2); the others become problems."""
    finite = np.isfinite(degrees).all(axis=1)
    good = finite & (np.abs(degrees) <= PLAUSIBLE).all(axis=1)
    for i in np.flatnonzero(~good).tolist():
        if finite[i]:
            problems.add(f"gaze outside -{PLAUSIBLE:g} to {PLAUSIBLE:g} degrees", where[i], _format_angles(degrees[i]))
        else:
            problems.add("gaze not finite", where[i])
    return good


def person_of(path: Path) -> int:
    """The number of a person's file.

    >>> person_of(Path("Label/p03.label"))
    3
    """
    return int(path.stem[1:])


def read_lines(path: Path, problems: Problems, headings: int = 0) -> Iterator[tuple[str, list[str]]]:
    """The location and the blank-separated fields of each non-empty line of a label file.

    Args:
        path: The file.
        problems: Receives the file if it cannot be read or has no samples.
        headings: Number of lines before the first sample.
    """
    try:
        check_regular(path)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        problems.add("unreadable label file", str(path), first_line(error))
        return
    filled = [(number, fields) for number, line in enumerate(text.splitlines(), start=1) if (fields := line.split())]
    if len(filled) <= headings:
        problems.add("label file without samples", str(path))
    for number, fields in filled:
        yield f"{path.parent.name}/{path.name}, line {number}", fields


def parse_numbers(fields: Sequence[str], count: int) -> list[float] | None:
    """Fields as numbers, None if they are not `count` numbers.

    >>> parse_numbers(["0.5", "-1e-3"], 2), parse_numbers(["0.5", "?"], 2), parse_numbers(["0.5"], 2)
    ([0.5, -0.001], None, None)
    """
    try:
        values = [float(field) for field in fields]
    except ValueError:
        return None
    return values if len(values) == count else None


class Pictures:
    """Checks the pictures named in label files: each exists inside the folder and is named only once.

    Args:
        folder: Folder that the paths are relative to.
        problems: Receives the bad lines.
    """

    def __init__(self, folder: Path, problems: Problems) -> None:
        self.folder = folder
        self.problems = problems
        self._first: dict[Path, str] = {}
        self._listing = cache(_file_names)  # each folder is listed once; checking each file is slow over a network

    def usable(self, relative: str, person: int, where: str) -> bool:
        """Whether a line's picture can be used; if not, it becomes a problem."""
        path = Path(os.path.normpath(relative))
        if leaves_folder(relative):
            self.problems.add("path outside the folder", where, relative)
        elif path.parts[:1] != (f"p{person:02}",):
            self.problems.add("picture of another person", where, relative)
        elif path in self._first:
            self.problems.add("picture that occurs more than once", where, f"{relative}, first {self._first[path]}")
        elif path.name not in self._listing(self.folder / path.parent):
            self.problems.add("missing file", where, relative)
        else:
            self._first[path] = where
            return True
        return False


def _file_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if os.path.isdir(folder) else set()  # noqa: PTH112 - long names


def _format_angles(angles: np.ndarray) -> str:
    return f"pitch {angles[0]:.1f}, yaw {angles[1]:.1f}"
