"""MPIIFaceGaze in any of its three layouts, split by person. The target is (pitch, yaw) in degrees, pitch first."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch

from rnc_lightning.datasets.images.datamodule import ImagesDataModule
from rnc_lightning.datasets.mpiifacegaze.gazehub import label_files, read_gazehub
from rnc_lightning.datasets.mpiifacegaze.hdf5 import matlab_files, read_hdf5
from rnc_lightning.datasets.mpiifacegaze.raw import read_raw, text_files
from rnc_lightning.datasets.mpiifacegaze.samples import Eye, GazeSamples, person_of
from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.random_split import write_division
from rnc_lightning.datasets.splits import PARTS, Split, SplitName
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.system.errors import UserError

log = logging.getLogger(__name__)

Layout = Literal["auto", "gazehub", "hdf5", "raw"]

_HOW_TO_GET = (
    "MPIIFaceGaze (for non-commercial use): get it from "
    "https://perceptualui.org/research/datasets/MPIIFaceGaze and put in {root} either Image/ and Label/ as created by "
    "GazeHub's script (https://phi-ai.buaa.edu.cn/Gazehub), or p00.mat to p14.mat from MPIIFaceGaze_normalized.zip, "
    "or p00/ to p14/ from MPIIFaceGaze.zip. "
    "Elsewhere: set data.root=..., paths.data_dir=... or the environment variable RNC_DATA."
)


class MPIIFaceGazeDataModule(ImagesDataModule):
    """Faces and gaze directions of 15 persons; no person is in two parts.

    Args:
        root: Folder of the data set.
        layout: `gazehub`, `hdf5`, `raw`, or `auto`: the first of these that is in `root`.
        persons: Numbers of the persons for `val` and `test`, such as 3 for p03; all others are for training.
        eye: `left` or `right` takes the samples of that eye in MPIIGaze's evaluation subset, `both` takes all. In
            GazeHub's layout, the pictures and gaze directions of right-eye samples are mirrored.
        per_person: Samples per person, drawn with `per_person_seed`; None takes all.
        per_person_seed: Seed of that draw, which depends only on it and the samples' names.
        crop_margin: For the raw layout, the margin around the landmarks on each side, as a fraction of their extent.
        **loading: Arguments of `RegressionDataModule`.

    Raises:
        ValueError: For an unknown layout or eye, invalid or overlapping persons, or a number out of range.
    """

    terms: ClassVar[str] = (
        "MPIIFaceGaze: CC BY-NC-SA 4.0 (https://www.perceptualui.org/research/datasets/MPIIFaceGaze): no commercial "
        "use, and the authors must be credited."
    )

    published: ClassVar[Published] = Published(
        counts={"train": 33000, "val": 6000, "test": 6000},
        note="The counts (11, 2 and 2 persons of 3,000 faces) and the paper's range (pitch -40 to 10, yaw -45 to 45 "
        "degrees) are unconfirmed. The paper does not say which persons are validation and test: they are our choice.",
    )

    def __init__(
        self,
        *,
        root: str,
        layout: Layout = "auto",
        persons: Mapping[str, Sequence[int]],
        eye: Eye = "both",
        per_person: int | None = None,
        per_person_seed: int = 0,
        crop_margin: float = 0.5,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        for key, value, allowed in (("layout", layout, get_args(Layout)), ("eye", eye, get_args(Eye))):
            if value not in allowed:
                raise ValueError(f"{key} must be {', '.join(allowed[:-1])} or {allowed[-1]}, got {value!r}")
        if per_person is not None:
            check_whole_number("per_person", per_person, 1)
        if not 0 <= crop_margin <= 5:
            raise ValueError(f"crop_margin must be between 0 and 5, got {crop_margin}")
        self.root = Path(root)
        self.layout: Layout = layout
        self.persons = check_persons(persons)
        self.eye: Eye = eye
        self.per_person = per_person
        self.per_person_seed = per_person_seed
        self.crop_margin = crop_margin

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the label files; samples that cannot be used become problems.

        Raises:
            UserError: If the layout or a person is missing.
        """
        assert self.root is not None
        layout, files = find_layout(self.root, self.layout)
        _check_present(self.persons, {person_of(file) for file in files}, self.root)
        samples = self._samples(layout, problems)
        if self.per_person is not None:
            samples = draw_per_person(samples, self.per_person, self.per_person_seed)
        part_of = {person: part for part, persons in self.persons.items() for person in persons}
        parts = np.array([part_of.get(person, "train") for person in samples.persons.tolist()], dtype="U5")
        return {part: _split(samples.take(np.flatnonzero(parts == part))) for part in PARTS}

    def write_division(self, path: Path) -> None:
        """Write the drawn samples if `per_person` is set; without it the configuration determines the split."""
        if self.per_person is not None:
            write_division(path, self.drawn)

    def _samples(self, layout: str, problems: Problems) -> GazeSamples:
        assert self.root is not None
        if layout == "gazehub":
            return read_gazehub(self.root, self.eye, problems)
        if layout == "raw":
            return read_raw(self.root, self.eye, self.crop_margin, problems)
        if self.eye != "both":
            raise UserError(f"data.eye={self.eye}: the HDF5 layout does not contain the eye of a sample; set both")
        return read_hdf5(self.root, problems)


def find_layout(root: Path, wanted: Layout) -> tuple[str, list[Path]]:
    """The layout to read and its label files, one per person.

    Raises:
        UserError: If it is not in `root`.
    """
    files = {"gazehub": label_files(root), "hdf5": matlab_files(root), "raw": text_files(root)}
    present = [layout for layout, paths in files.items() if paths]
    if wanted == "auto" and present:
        others = f"; {' and '.join(present[1:])} can be chosen with data.layout=..." if present[1:] else ""
        log.info("MPIIFaceGaze: reading the %s layout in %s%s", present[0], root, others)
        return present[0], files[present[0]]
    if wanted not in present:
        what = "no layout of MPIIFaceGaze" if wanted == "auto" else f"no {wanted} layout of MPIIFaceGaze"
        instead = f" (there is {', '.join(present)})" if present else ""
        raise UserError(f"there is {what} in {root}{instead}. {_HOW_TO_GET.format(root=root)}")
    return wanted, files[wanted]


def check_persons(persons: Mapping[str, Sequence[int]]) -> dict[SplitName, list[int]]:
    """The persons of validation and test.

    Raises:
        ValueError: If they are not whole numbers, or one occurs twice.

    >>> check_persons({"val": [3], "test": [4]})
    {'val': [3], 'test': [4]}
    """
    if set(persons) != {"val", "test"} or not all(persons.values()):
        raise ValueError(
            f"persons must be given for val and test, for example {{val: [11, 12], test: [13, 14]}}, got {persons}"
        )
    everyone = [*persons["val"], *persons["test"]]
    if wrong := [person for person in everyone if isinstance(person, bool) or not isinstance(person, int)]:
        raise ValueError(f"persons must be whole numbers (3 for p03), got {wrong[0]!r}")
    if twice := sorted({person for person in everyone if everyone.count(person) > 1}):
        raise ValueError(f"persons: {_names(twice)} occurs more than once; a person belongs to one part")
    return {"val": list(persons["val"]), "test": list(persons["test"])}


def draw_per_person(samples: GazeSamples, per_person: int, seed: int) -> GazeSamples:
    """At most `per_person` random samples of each person, in the original order."""
    chosen: list[int] = []
    for person in sorted(set(samples.persons.tolist())):
        rows = sorted(np.flatnonzero(samples.persons == person).tolist(), key=lambda row: samples.names[row])
        if len(rows) < per_person:
            log.warning("MPIIFaceGaze: p%02d has %d samples, fewer than per_person=%d", person, len(rows), per_person)
        order = np.random.default_rng(derive_seed(seed, "per_person", person)).permutation(len(rows))
        chosen += [rows[i] for i in order[:per_person].tolist()]
    return samples.take(np.array(sorted(chosen), dtype=np.int64))


def _check_present(persons: Mapping[SplitName, Sequence[int]], present: set[int], root: Path) -> None:
    for part, wanted in persons.items():
        if missing := sorted(set(wanted) - present):
            raise UserError(f"data.persons.{part}: no {_names(missing)} in {root}; there are {_names(sorted(present))}")
    if not present.difference(*persons.values()):
        raise UserError(f"data.persons: validation and test use all persons in {root}; none is left for training")


def _names(persons: Sequence[int]) -> str:
    return ", ".join(f"p{person:02}" for person in persons)


def _split(samples: GazeSamples) -> Split:
    return Split(samples.inputs, torch.tensor(samples.angles, dtype=torch.float32), list(samples.names))
