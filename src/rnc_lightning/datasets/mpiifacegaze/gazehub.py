"""MPIIFaceGaze as prepared by GazeHub's script: normalised faces as files, one label file per person.

    <root>/Image/pXX/face/<n>.jpg
    <root>/Label/pXX.label          a header, then a line per picture; blanks between fields, commas within vectors

The header gives the order of the fields. The angles are computed from the vector `3DGaze`: the two angles of `2DGaze`
are stored yaw first, which is often mistaken for pitch first. They are only used as a check, in either order.

Lines whose `WhichEye` is right have a picture mirrored by that script and a gaze mirrored accordingly, so they are
valid samples; `eye="left"` skips them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnc_lightning.datasets.images.files import ImageFiles
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
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.system.errors import UserError

_TOLERANCE = 0.01  # radians between 2DGaze and 3DGaze: the files are rounded to three decimals or more


@dataclass(frozen=True)
class _Row:
    where: str
    face: str
    person: int
    gaze: list[float]
    flat_gaze: list[float] | None


def label_files(root: Path) -> list[Path]:
    """The persons' label files."""
    return sorted((root / "Label").glob("p[0-9][0-9].label"))


def read_gazehub(root: Path, eye: Eye, problems: Problems) -> GazeSamples:
    """Read all label files; bad lines become problems.

    Args:
        root: Folder with `Image/` and `Label/`.
        eye: Which lines to use.
        problems: Receives the bad lines.

    Raises:
        UserError: If a header lacks a column.
    """
    pictures = Pictures(root / "Image", problems)
    rows = [
        row
        for file in label_files(root)
        for row in _read_rows(file, eye, problems)
        if pictures.usable(row.face, row.person, row.where)
    ]
    radians = pitch_yaw(np.array([row.gaze for row in rows], dtype=np.float64).reshape(-1, 3))
    good = find_plausible(np.rad2deg(radians), [row.where for row in rows], problems)
    good &= _check_agreement(radians, rows, good, problems)
    usable = [rows[i] for i in np.flatnonzero(good).tolist()]
    return GazeSamples(
        ImageFiles([root / "Image" / row.face for row in usable]),
        np.rad2deg(radians[good]),
        [row.face for row in usable],
        np.array([row.person for row in usable], dtype=np.int64),
    )


def _read_rows(file: Path, eye: Eye, problems: Problems) -> list[_Row]:
    numbered = read_lines(file, problems, headings=1)
    header = next(numbered, ("", []))[1]
    if not header:
        return []
    needed = ["Face", "3DGaze"] + (["WhichEye"] if eye != "both" else [])
    if missing := [column for column in needed if column not in header]:
        raise UserError(f"{file}: the header has no column {', '.join(missing)}; it is {' '.join(header)[:200]}")
    rows = []
    for where, fields in numbered:
        if len(fields) != len(header):
            problems.add("wrong number of fields", where, f"{len(fields)}, the header has {len(header)}")
            continue
        cells = dict(zip(header, fields, strict=True))
        gaze = parse_numbers(cells["3DGaze"].split(","), 3)
        flat = parse_numbers(cells["2DGaze"].split(","), 2) if "2DGaze" in cells else None
        if eye != "both" and cells["WhichEye"] not in ("left", "right"):
            problems.add("eye other than left or right", where, cells["WhichEye"])
        elif eye != "both" and cells["WhichEye"] != eye:
            continue
        elif gaze is None:
            problems.add("3DGaze not three numbers", where, cells["3DGaze"])
        elif "2DGaze" in cells and flat is None:
            problems.add("2DGaze not two numbers", where, cells["2DGaze"])
        else:
            face = cells["Face"].replace("\\", "/")  # the script writes backslashes on Windows
            rows.append(_Row(where, face, person_of(file), gaze, flat))
    return rows


def _check_agreement(radians: np.ndarray, rows: Sequence[_Row], good: np.ndarray, problems: Problems) -> np.ndarray:
    """Mask (N,) of the rows whose 2DGaze matches the angles in either order; only `good` rows are checked."""
    agree = np.ones(len(rows), dtype=bool)
    for i in np.flatnonzero(good).tolist():
        (pitch, yaw), flat = radians[i], rows[i].flat_gaze
        if flat is not None and not (np.abs(np.array([flat, flat[::-1]]) - radians[i]) <= _TOLERANCE).all(axis=1).any():
            agree[i] = False
            detail = f"2DGaze {flat[0]:g},{flat[1]:g}; 3DGaze gives yaw {yaw:.3f}, pitch {pitch:.3f}"
            problems.add("2DGaze and 3DGaze disagree", rows[i].where, detail)
    return agree
