import sys
from pathlib import Path

import numpy as np
import pytest
from edfio import Edf, EdfAnnotation, EdfSignal, Patient

from rnc_lightning.datasets.signals.edf import (
    EdfHeader,
    find_channels,
    microvolts,
    read_header,
    read_samples,
    used_samples,
)
from rnc_lightning.datasets.signals.preprocessing import Preprocessing
from rnc_lightning.system.errors import UserError

REAL = "0       00007871 F 01-JAN-1988 00007871 Age:23" + 42 * " "  # the first 88 bytes of a file of the corpus


def _amplitude(signal: np.ndarray, frequency: float, rate: float) -> float:
    """Amplitude of one frequency by projection on a sine and a cosine."""
    t = np.arange(len(signal)) / rate
    return 2 * abs(np.mean(signal * np.exp(-2j * np.pi * frequency * t)))


def _write(path: Path, signals: dict[str, tuple[np.ndarray, float, str]], age: str = "Age:37") -> None:
    made = [
        EdfSignal(values, sampling_frequency=rate, label=label, physical_dimension=unit, physical_range=(-500, 500))
        for label, (values, rate, unit) in signals.items()
    ]
    patient = Patient(code="aaaaaaaq", sex="M", name="aaaaaaaq", additional=[age] if age else [])
    Edf(made, patient=patient, annotations=[EdfAnnotation(0.5, None, "eyes closed")]).write(path)


def _header(patient: str) -> EdfHeader:
    return EdfHeader(patient, labels=(), units=(), rates=(), counts=())


def test_the_real_header_field_is_understood() -> None:
    assert _header(REAL[8:]).age == 23.0
    assert _header(REAL[8:]).sex == "F"
    assert _header("x M 01-JAN-1980 x Age:0.0109").age == 0.0109
    assert _header("x X 01-JAN-1980 x").age is None
    assert _header("x X 01-JAN-1980 x").sex is None
    assert _header("x M 01-JAN-1980 x Stage:5").age is None


def test_header_of_a_written_file(tmp_path: Path) -> None:
    wave = np.sin(np.arange(1000) / 7) * 100
    _write(tmp_path / "a.edf", {"EEG FP1-REF": (wave, 250, "uV"), "PHOTIC-REF": (wave[:400], 100, "mV")})
    header = read_header(tmp_path / "a.edf")
    assert (header.age, header.sex) == (37.0, "M")
    assert header.labels == ("EEG FP1-REF", "PHOTIC-REF")  # and no annotations
    assert header.units == ("uV", "mV")
    assert header.rates == (250.0, 100.0)
    assert header.counts == (1000, 400)


def test_samples_are_microvolts_and_a_stretch_is_that_stretch(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(-400, 400, (2, 1000))
    _write(tmp_path / "a.edf", {"A": (values[0], 250, "uV"), "B": (values[1], 250, "mV")})
    step = 1000 / 65535  # of the digital values
    read = read_samples(tmp_path / "a.edf", [1, 0], 300, 801)
    assert read.shape == (2, 501)
    assert np.allclose(read[0], 1000 * values[1, 300:801], atol=1000 * step)
    assert np.allclose(read[1], values[0, 300:801], atol=step)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda b: b[: len(b) - 1], "truncated: 3 of 4 records"),
        (lambda b: b[:300], "broken EDF header"),
        (lambda b: b"", "no EDF header"),
        (lambda b: b"JFIF" + b[4:], "no EDF header"),
        (lambda b: b[:236] + b"-1      " + b[244:], "-1 records"),
        (lambda b: b[:236] + b"many    " + b[244:], "broken EDF header: .*'many"),
        (lambda b: b[:252] + b"zz  " + b[256:], "broken EDF header: .*'zz"),
        (lambda b: b[:252] + b"0   " + b[256:], "a header of 768 bytes does not match 0 signals"),
        (lambda b: b[:184] + b"300     " + b[192:], "a header of 300"),
        (lambda b: b[:192] + b"EDF+D" + b[197:], "gaps"),
        (lambda b: b[:244] + b"0       " + b[252:], "records of 0 s"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, damage: object, said: str) -> None:
    path = tmp_path / "a.edf"
    _write(path, {"EEG FP1-REF": (np.zeros(1000), 250, "uV")})
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ValueError, match=said):
        read_header(path)


def test_channels_are_picked_by_name_in_the_order_wanted() -> None:
    labels = ["EEG EKG1-REF", "eeg o1-ref", "EEG FP10-REF", "EEG FP1-LE", "A1"]
    assert find_channels(labels, ["A1", "FP1", "O1"]) == [4, 3, 1]
    with pytest.raises(ValueError, match="no channel CZ, PZ"):
        find_channels(labels, ["O1", "CZ", "PZ"])
    with pytest.raises(ValueError, match="more than one channel O1"):
        find_channels([*labels, "EEG O1-LE"], ["O1"])


def test_units() -> None:
    found = [microvolts(unit) for unit in ("uV", "µV", "mV", "V", "nV", "mmHg", "")]
    assert found == [1.0, 1.0, 1e3, 1e6, 1e-3, None, None]


def test_seconds_used() -> None:
    assert used_samples(1000, 250) == (0, 1000)
    assert used_samples(1000, 250, 1.0, 1.5) == (250, 625)
    assert used_samples(1000, 250, 2.0, 600.0) == (500, 1000)
    assert used_samples(1000, 250, 9.0, 1.0) == (1000, 1000)


@pytest.mark.parametrize("rate", [100.0, 200.0, 250.0, 256.0, 400.0, 512.0])
def test_a_wave_survives_band_and_resampling_in_place(rate: float) -> None:
    t = np.arange(round(20 * rate)) / rate
    wave = 50 * np.sin(2 * np.pi * 10 * t + 0.3)
    made = Preprocessing(200.0, 0.1, 49.0)(wave[None] + 300.0, rate)[0]  # on an offset
    expected = 50 * np.sin(2 * np.pi * 10 * np.arange(4000) / 200 + 0.3)
    assert made.shape == (4000,)
    assert made.dtype == np.float32
    assert np.abs(made - expected)[200:-200].max() < 0.5  # amplitude and phase
    assert abs(made[400:-400].mean()) < 0.5


@pytest.mark.parametrize(
    ("frequency", "least", "most"),
    [(0.01, 0.0, 0.01), (0.1, 0.4, 0.6), (1.0, 0.98, 1.02), (40.0, 0.95, 1.02), (49.0, 0.45, 0.55), (60.0, 0.0, 0.02)],
)
def test_the_band(frequency: float, least: float, most: float) -> None:
    rate, seconds = 250.0, 200.0
    t = np.arange(round(seconds * rate)) / rate
    made = Preprocessing(200.0, 0.1, 49.0)(np.sin(2 * np.pi * frequency * t)[None], rate)[0]
    middle = made[round(0.25 * len(made)) : round(0.75 * len(made))]  # a whole number of waves of each
    assert least <= _amplitude(middle, frequency, 200.0) <= most


def test_what_would_be_mirrored_below_half_the_rate_is_gone() -> None:
    t = np.arange(5120) / 512
    made = Preprocessing(200.0)(np.sin(2 * np.pi * 150 * t)[None], 512.0)[0]
    assert _amplitude(made, 50.0, 200.0) < 0.01  # 200 - 150
    assert np.abs(made[100:-100]).max() < 0.02


def test_without_a_band_and_at_its_own_rate_nothing_changes() -> None:
    x = np.random.default_rng(0).normal(size=(3, 100))
    assert np.array_equal(Preprocessing(200.0)(x, 200.0), x.astype(np.float32))


@pytest.mark.parametrize("rate", [100.0, 128.0, 173.61, 250.0, 256.0, 499.907])
@pytest.mark.parametrize("count", [1, 999, 1000, 1001])
def test_the_length_told_beforehand_is_the_length(rate: float, count: int) -> None:
    preprocessing = Preprocessing(200.0)
    assert preprocessing(np.zeros((1, count)), rate).shape[1] == preprocessing.length(count, rate)


def test_a_low_pass_alone_keeps_the_offset() -> None:
    t = np.arange(2500) / 250
    made = Preprocessing(200.0, None, 30.0)(700 + np.sin(2 * np.pi * 5 * t)[None] + np.sin(2 * np.pi * 80 * t), 250.0)
    assert np.abs(made[0] - 700 - np.sin(2 * np.pi * 5 * np.arange(2000) / 200))[50:-50].max() < 0.02


def test_a_short_piece_is_filtered_too() -> None:
    assert np.isfinite(Preprocessing(200.0, 0.1, 49.0)(np.ones((2, 30)), 250.0)).all()


def test_a_rate_below_the_band_is_refused() -> None:
    assert Preprocessing(200.0, 0.1, 49.0).unusable_reason(250.0) is None
    assert "90 Hz is too low" in str(Preprocessing(200.0, 0.1, 49.0).unusable_reason(90.0))


@pytest.mark.parametrize(("low", "high"), [(0.0, 49.0), (0.1, 100.0), (50.0, 49.0)])
def test_impossible_bands(low: float, high: float) -> None:
    with pytest.raises(ValueError, match=r"low|high"):
        Preprocessing(200.0, low, high)


def test_without_edfio_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "edfio", None)
    with pytest.raises(UserError, match=r"pip install 'rnc-lightning\[eeg\]'"):
        read_header(tmp_path / "a.edf")
