"""Synthetic data in the layouts of TUAB 2.0.0 and 3.0.1: a tree of EDF files with ages in their headers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from string import ascii_lowercase
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.synthetic.checks import check_arguments, check_package
from rnc_lightning.synthetic.eeg import CHANNELS, draw_brain, photic_marker, simulate_ecg, simulate_eeg
from rnc_lightning.system.errors import UserError


@dataclass(frozen=True)
class _Recording:
    """One EDF file."""

    subject: int
    age: int
    recorded: date
    session: int = 1
    segment: int = 0
    part: str = "train"
    normal: bool = True
    age_in_header: bool = True


def write_tuab(
    out: Path,
    samples: int = 240,
    seconds: float = 30.0,
    seed: int = 0,
    traps: bool = True,
    layout: Literal["v3", "v2"] = "v3",
    on_sample: Callable[[], object] = lambda: None,
) -> None:
    """Write `tuh_eeg_abnormal/v3.0.1/edf/{train,eval}/{normal,abnormal}/01_tcp_ar/*.edf`, or the tree of 2.0.0.

    A sample is a person with a normal recording and an age. With traps there are also abnormal recordings, second
    sessions and second segments, a header without an age, additional channels, channels in another order, and sampling
    rates of 256 and 512 Hz in addition to 250.

    Args:
        out: Folder to write into.
        samples: Number of people with a usable recording, aged 10 to 90 years.
        seconds: Length of a recording: a whole number of seconds from 4 up.
        seed: The same seed gives the same bytes.
        traps: Whether to write the irregularities that a reader must skip or correct.
        layout: `v3`: one flat folder per class; `v2`: folders for patients and sessions, with reports.
        on_sample: Called after each person.

    Raises:
        UserError: For fewer than 10 samples, fewer than 4 seconds, a fraction of a second, an unknown layout, or if
            edfio is not installed.
    """
    check_arguments(samples, 10, layout=layout, layouts=("v3", "v2"))
    if seconds < 4 or seconds != int(seconds):
        raise UserError(f"seconds: recordings take whole seconds, at least 4, got {seconds}")
    check_package("edfio", "EDF", "eeg")
    generator = np.random.default_rng(derive_seed(seed, "tuab", "people"))
    evaluated = set(generator.choice(samples, max(1, samples // 10), replace=False).tolist())
    for i in range(samples):
        person = _Recording(
            subject=i,
            age=int(generator.integers(10, 91)),
            recorded=date(2003, 1, 1) + timedelta(days=int(generator.integers(4000))),
            session=int(generator.choice([1, 1, 1, 2, 4])),
            part="eval" if i in evaluated else "train",
        )
        for recording in [person, *(_extra_recordings(person, samples) if traps else [])]:
            _write(out / "tuh_eeg_abnormal", recording, seconds, seed, layout, varied=traps)
        on_sample()


def _extra_recordings(person: _Recording, samples: int) -> list[_Recording]:
    """Recordings that are not samples, for about four in ten people; each kind occurs at least once."""
    kind, other = person.subject % 10, samples + person.subject
    if kind == 1:
        later = person.recorded + timedelta(days=400)
        return [replace(person, session=person.session + 2, recorded=later, age=person.age + 1)]
    if kind == 3:
        return [replace(person, segment=1)]
    if kind in (5, 8):
        return [replace(person, subject=other, normal=False)]
    if person.subject == 6:
        return [replace(person, subject=other, age_in_header=False)]
    return []


def _write(root: Path, recording: _Recording, seconds: float, seed: int, layout: str, varied: bool) -> None:
    """Write one EDF file, and in layout v2 its report."""
    name = _subject_name(recording.subject, layout)
    file = f"{name}_s{recording.session:03d}_t{recording.segment:03d}.edf"
    kind = "normal" if recording.normal else "abnormal"
    folder = root / ("v3.0.1" if layout == "v3" else "v2.0.0") / "edf" / recording.part / kind / "01_tcp_ar"
    if layout == "v2":
        folder = folder / name[3:6] / name / f"s{recording.session:03d}_{recording.recorded:%Y_%m_%d}"
    folder.mkdir(parents=True, exist_ok=True)
    person = np.random.default_rng(derive_seed(seed, "tuab", "person", recording.subject))
    sex = str(person.choice(["F", "M"]))
    slowing = 0.0 if recording.normal else float(person.uniform(0.2, 0.6))
    brain = draw_brain(recording.age, person, slowing)
    parts = (seed, "tuab", "signal", recording.subject, recording.session, recording.segment)
    generator = np.random.default_rng(derive_seed(*parts))
    rate = (250, 250, 250, 256, 512)[recording.subject % 5] if varied else 250
    signals = dict(zip([f"EEG {c}-REF" for c in CHANNELS], simulate_eeg(brain, seconds, rate, generator), strict=True))
    if varied and recording.subject % 3 == 1:
        signals = _add_other_channels(signals, seconds, rate, generator)
    if varied and recording.subject % 4 == 2:
        labels = list(signals)
        signals = {labels[i]: signals[labels[i]] for i in generator.permutation(len(labels))}
    _write_edf(folder / file, signals, rate, name, sex, recording)
    if layout == "v2":
        report = (
            "Synthetic data, about nobody.\n"
            f"CLINICAL HISTORY: {recording.age} years old, {sex}.\nIMPRESSION: {kind} EEG.\n"
        )
        (folder / f"{name}_s{recording.session:03d}.txt").write_text(report, encoding="utf-8")


def _subject_name(subject: int, layout: str) -> str:
    """Eight digits in version 2, eight letters in version 3."""
    number = 7001 + 13 * subject
    if layout == "v2":
        return f"{number:08d}"
    letters = ""
    for _ in range(8):
        number, letter = divmod(number, 26)
        letters = ascii_lowercase[letter] + letters
    return letters


def _add_other_channels(
    signals: dict[str, NDArray[np.float64]], seconds: float, rate: int, generator: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Add channels that are no EEG before, between and after the others."""
    pairs = list(signals.items())
    length = round(seconds * rate)
    return {
        "EEG EKG1-REF": simulate_ecg(seconds, rate, generator),
        **dict(pairs[:9]),
        "EEG ROC-REF": generator.normal(0, 30, length),
        "EEG LOC-REF": generator.normal(0, 30, length),
        **dict(pairs[9:]),
        "PHOTIC-REF": photic_marker(seconds, rate),
        "IBI": np.full(length, 60.0),
    }


def _write_edf(
    path: Path, signals: dict[str, NDArray[np.float64]], rate: int, name: str, sex: str, recording: _Recording
) -> None:
    """Write an EDF whose patient field reads `<name> <sex> 01-JAN-<year> <name> Age:<age>`."""
    import edfio

    patient = edfio.Patient(
        code=name,
        sex="F" if sex == "F" else "M",
        birthdate=date(recording.recorded.year - recording.age, 1, 1),
        name=name,
        additional=[f"Age:{recording.age}"] if recording.age_in_header else [],
    )
    channels = [
        edfio.EdfSignal(data, rate, label=label, physical_dimension="uV", physical_range=(-1200, 1200))
        for label, data in signals.items()
    ]
    start = edfio.Recording(startdate=recording.recorded)
    edfio.Edf(channels, patient=patient, recording=start, data_record_duration=1).write(path)
