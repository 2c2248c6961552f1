"""The TUH Abnormal EEG Corpus (TUAB): predict a subject's age from a recording of the normal part.

    v2  <root>/v2.0.0/edf/{train,eval}/{normal,abnormal}/01_tcp_ar/<3 digits>/<subject>/s001_2009_01_01/
            <subject>_s001_t000.edf
    v3  <root>/v3.0.1/edf/{train,eval}/{normal,abnormal}/01_tcp_ar/<subject>_s001_t000.edf

Age and sex are in each file's header. The corpus' own train and eval parts are for another task; both are used.
"""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.random_split import Division
from rnc_lightning.datasets.signals.edf import (
    EdfHeader,
    find_channels,
    microvolts,
    read_header,
    read_samples,
    used_samples,
)
from rnc_lightning.datasets.signals.recordings import LabelledRecording, RecordingsDataModule
from rnc_lightning.datasets.signals.store import Recording
from rnc_lightning.datasets.splits import PARTS, Split, SplitName
from rnc_lightning.system.errors import UserError

_HOW_TO_GET = (
    "TUAB is available on request: fill in the form at https://isip.piconepress.com/projects/nedc/, and unpack the "
    "corpus so that {root}/v3.0.1/edf/train exists (or v2.0.0). Elsewhere: set data.root=..., paths.data_dir=... or "
    "the environment variable RNC_DATA."
)

log = logging.getLogger(__name__)

_PARTS = ("train", "eval")
_PATHOLOGY = ("normal", "abnormal")
_PLAUSIBLE = (0.0, 120.0)


class TUABDataModule(RecordingsDataModule):
    """EEG recordings and ages in years: the first segment of the first session of each subject.

    Only sessions of the chosen pathology count: a subject's first normal session may follow an abnormal one.

    Args:
        root: Folder of the corpus, or of one version of it.
        channels: Names of the channels to use, in this order.
        pathology: Which parts are used: normal, abnormal or both.
        start: Start of the used segment in seconds.
        duration: Length of the used segment in seconds, shorter if the recording ends earlier; null: to the end.
        split: Arguments of `Division`, by subject.
        **signals: Arguments of `RecordingsDataModule`.

    Raises:
        ValueError: For an argument out of its range.
    """

    terms: ClassVar[str] = (
        "TUAB is provided by NEDC on request (https://isip.piconepress.com/projects/nedc), under a signed agreement. "
        "Recordings of patients: read the agreement before you share models trained on them."
    )

    published: ClassVar[Published] = Published(
        counts={"train": 1246, "test": 139},
        low=0,
        high=95,
        note="The paper's sizes are unconfirmed, and its split is not public. It seems to have no validation part: "
        "ours is taken from the training part.",
    )

    def __init__(
        self,
        *,
        root: str,
        channels: Sequence[str],
        pathology: Sequence[str] = ("normal",),
        start: float = 0.0,
        duration: float | None = None,
        split: Mapping[str, Any] | None = None,
        **signals: Any,
    ) -> None:
        super().__init__(channels=channels, **signals)
        if not pathology or not set(pathology) <= set(_PATHOLOGY):
            raise ValueError(f"pathology must be a list of {' or '.join(_PATHOLOGY)}, got {list(pathology)}")
        if start < 0 or (duration is not None and not duration > 0):
            raise ValueError(f"start must be 0 or more and duration positive or null, got {start} and {duration}")
        self.root = Path(root)
        self.channels: list[str] = list(channels)
        self.pathology = list(pathology)
        self._sexes: Counter[str] = Counter()
        self.start = start
        self.duration = duration
        self.division: Division = Division(**{"by": "subject", **(split or {})})

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """List the recordings by their headers; what cannot be used becomes a problem."""
        assert self.root is not None
        edf = edf_folder(self.root)
        self._sexes.clear()
        files = first_recordings(list_recordings(edf, self.pathology, problems))
        if not files and not len(problems):
            raise UserError(f"{edf} has no {' or '.join(self.pathology)} recordings. {_how_to_get(self.root)}")
        labelled = {file.subject: one for file in files if (one := self._read_file(file, edf.parent, problems))}
        log.info("TUAB: recordings by sex: %s", ", ".join(f"{sex} {n}" for sex, n in sorted(self._sexes.items())))
        if len(labelled) < len(PARTS) and len(problems):
            parts: list[SplitName] = ["train"] * len(labelled)  # the problems are reported instead of a failed split
        else:
            names = [one.name for one in labelled.values()]
            parts = self.division.divide(names, {"subject": list(labelled)})
        settings = {"channels": self.channels, "start": self.start, "duration": self.duration}
        by_part: dict[SplitName, list[LabelledRecording]] = {part: [] for part in PARTS}
        for one, part in zip(labelled.values(), parts, strict=True):
            by_part[part].append(one)
        return self.recording_splits(by_part, settings)

    def _read_file(self, file: "TUABFile", version: Path, problems: Problems) -> LabelledRecording | None:
        where = str(file.path)
        try:
            header = read_header(file.path)
        except ValueError as error:
            problems.add("unreadable recording", where, str(error))
            return None
        self._sexes[header.sex or "unknown"] += 1
        age = _plausible_age(header, where, problems)
        recording = self._recording(file.path, header, problems)
        if recording is None or age is None:
            return None
        return LabelledRecording(file.path.relative_to(version).as_posix(), recording, [age])

    def recording(self, path: Path, rate: float | None = None) -> Recording:
        """An EDF file as a recording; see `RecordingsDataModule`."""
        problems = Problems()
        recording = self._recording(path, read_header(path), problems)
        if recording is None:
            raise ValueError("; ".join(f"{one.kind} ({one.detail})" for one in problems))
        return recording

    def _recording(self, path: Path, header: EdfHeader, problems: Problems) -> Recording | None:
        try:
            indices = find_channels(header.labels, self.channels)
        except ValueError as error:
            problems.add("channels missing or ambiguous", str(path), str(error))
            return None
        rates = sorted({header.rates[i] for i in indices})
        if len(rates) > 1:
            problems.add("channels with different sampling rates", str(path), ", ".join(f"{r:g} Hz" for r in rates))
            return None
        if strange := sorted({header.units[i] for i in indices if microvolts(header.units[i]) is None}):
            problems.add("unit that is not a voltage", str(path), ", ".join(map(repr, strange)))
            return None
        first, last = used_samples(header.counts[indices[0]], rates[0], self.start, self.duration)
        read = partial(read_samples, path, indices, first, last)
        recording = Recording(path, rates[0], last - first, len(indices), read, tuple(self.channels))
        if reason := self.unusable_reason(recording):
            problems.add(reason[0], str(path), reason[1])
            return None
        return recording


@dataclass(frozen=True)
class TUABFile:
    """A file of the corpus and the parts of its name."""

    path: Path
    subject: str
    session: int
    segment: int


def edf_folder(root: Path) -> Path:
    """The folder with `train` and `eval`, from the folder of the corpus or of one of its versions.

    Raises:
        UserError: If there is none, or there are several versions.
    """
    candidates = [root, root / "edf", *(sorted(root.glob("*/edf")) if root.is_dir() else ())]
    folders = [folder for folder in candidates if any((folder / part).is_dir() for part in _PARTS)]
    if not folders:
        raise UserError(f"there is no TUAB in {root} (edf/train, edf/eval). {_how_to_get(root)}")
    if len(folders) > 1:
        versions = " and ".join(folder.parent.name for folder in folders)
        raise UserError(f"{root} contains {versions}: choose one with data.root={folders[-1].parent}")
    return folders[0]


def list_recordings(edf: Path, pathology: Sequence[str], problems: Problems) -> list[TUABFile]:
    """All EDF files of the chosen parts, sorted by path; names that do not match the pattern become problems."""
    files = []
    for part in _PARTS:
        for kind in pathology:
            for path in sorted((edf / part / kind).rglob("*")):
                if path.suffix.lower() != ".edf" or path.name.startswith("."):
                    continue
                if name := re.fullmatch(r"([a-z0-9]+)_s(\d+)_t(\d+)", path.stem, re.IGNORECASE):
                    files.append(TUABFile(path, name[1], int(name[2]), int(name[3])))
                else:
                    problems.add("file name that is not <subject>_s<session>_t<segment>", str(path))
    return files


def first_recordings(files: Sequence[TUABFile]) -> list[TUABFile]:
    """The first segment of the first session of each subject, sorted by subject."""
    first: dict[str, TUABFile] = {}
    for file in sorted(files, key=lambda file: (file.subject, file.session, file.segment)):
        first.setdefault(file.subject, file)
    return list(first.values())


def _plausible_age(header: EdfHeader, where: str, problems: Problems) -> float | None:
    low, high = _PLAUSIBLE
    if header.age is None:
        problems.add("age missing", where, header.patient)
    elif not low <= header.age <= high:
        problems.add(f"age outside {low:g} to {high:g}", where, f"{header.age:g}")
    else:
        return header.age
    return None


def _how_to_get(root: Path) -> str:
    return _HOW_TO_GET.format(root=root)
