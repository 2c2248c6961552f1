import re
import sys
from collections.abc import Callable
from pathlib import Path

import edfio
import numpy as np
import pytest
from scipy.signal import welch

from rnc_lightning.synthetic.tuab import write_tuab
from rnc_lightning.system.errors import UserError

NAMES = "A1 A2 FP1 FP2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6 FZ CZ PZ".split()  # noqa: SIM905
SAMPLES = 80


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuab")
    write_tuab(out, SAMPLES, 8, 1)
    return out / "tuh_eeg_abnormal" / "v3.0.1" / "edf"


def _patient(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(88)[8:].decode("ascii")


def _age(path: Path) -> int:
    found = re.search(r"Age:(\d+)", _patient(path))
    return int(found[1]) if found else -1


def _name(path: Path) -> tuple[str, int, int]:
    match = re.fullmatch(r"([a-z]{8})_s(\d{3})_t(\d{3})", path.stem)
    assert match
    return match[1], int(match[2]), int(match[3])


def _usable(root: Path) -> list[Path]:
    """First segment of the first session of everybody with a normal recording and an age."""
    first: dict[str, Path] = {}
    for path in sorted(root.glob("*/normal/01_tcp_ar/*.edf")):
        if _age(path) >= 0:
            first.setdefault(_name(path)[0], path)
    return list(first.values())


def test_layout_of_version_3(root: Path) -> None:
    files = list(root.rglob("*.edf"))
    folders = {str(path.parent.relative_to(root)) for path in files}
    assert folders == {f"{part}/{kind}/01_tcp_ar" for part in ("train", "eval") for kind in ("normal", "abnormal")}
    usable = _usable(root)
    assert len(usable) == SAMPLES
    assert sum("eval" in path.parts for path in usable) == 8
    assert min(map(_age, usable)) >= 10
    assert max(map(_age, usable)) <= 90


def test_the_header_names_the_patient(root: Path) -> None:
    for path in _usable(root):
        assert re.fullmatch(rf"{_name(path)[0]} [FM] 01-JAN-\d{{4}} {_name(path)[0]} Age:\d+ *", _patient(path))


def test_every_recording_has_the_21_channels_in_microvolts(root: Path) -> None:
    for path in root.rglob("*.edf"):
        edf = edfio.read_edf(path)
        for name in NAMES:
            signal = edf.get_signal(f"EEG {name}-REF")
            assert signal.physical_dimension == "uV"
            assert 3 < signal.data.std() < 200
        assert edf.duration == 8


def test_traps_of_tuab(root: Path) -> None:
    files = [(path, edfio.read_edf(path)) for path in root.rglob("*.edf")]
    normal = [_name(path) for path, _ in files if "normal" in path.parts]
    assert len({(subject, session) for subject, session, _ in normal}) < len(normal)  # a second segment
    assert len({subject for subject, _, _ in normal}) < len({name[:2] for name in normal})  # a second session
    assert [path for path, _ in files if _age(path) < 0]
    assert {signal.sampling_frequency for _, edf in files for signal in edf.signals} == {250, 256, 512}
    labels = [tuple(edf.labels) for _, edf in files]
    assert any({"EEG EKG1-REF", "PHOTIC-REF"} <= set(found) for found in labels)
    assert len({tuple(label for label in found if label.split()[-1][:-4] in NAMES) for found in labels}) > 3


def test_without_traps(tmp_path: Path) -> None:
    write_tuab(tmp_path, 12, 4, 0, traps=False)
    files = list(tmp_path.rglob("*.edf"))
    assert len(files) == 12
    assert {tuple(edfio.read_edf(path).labels) for path in files} == {tuple(edfio.read_edf(files[0]).labels)}
    assert all("normal" in path.parts and _age(path) > 0 for path in files)


def test_layout_of_version_2(tmp_path: Path) -> None:
    write_tuab(tmp_path, 12, 4, 0, layout="v2")
    root = tmp_path / "tuh_eeg_abnormal" / "v2.0.0" / "edf"
    files = list(root.rglob("*.edf"))
    pattern = r"(train|eval)/(ab)?normal/01_tcp_ar/\d{3}/(\d{8})/(s\d{3})_\d{4}_\d\d_\d\d/\3_\4_t\d{3}\.edf"
    assert len(files) > 12
    for path in files:
        assert re.fullmatch(pattern, path.relative_to(root).as_posix())
        assert [report.suffix for report in path.parent.iterdir() if report.suffix != ".edf"] == [".txt"]


def test_spectra_show_the_age_roughly(root: Path, ridge_r2: Callable[..., float]) -> None:
    features, ages = [], []
    for path in _usable(root):
        edf = edfio.read_edf(path)
        signals = [edf.get_signal(f"EEG {name}-REF") for name in NAMES]
        rate = int(signals[0].sampling_frequency)
        _, power = welch(np.stack([signal.data for signal in signals]), rate, nperseg=2 * rate)
        features.append(np.log(power[:, 2:80]).mean(axis=0))
        ages.append(float(_age(path)))
    assert 0.3 < ridge_r2(np.stack(features), ages) < 0.92


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"whole seconds, at least 4, got 4\.5"):
        write_tuab(tmp_path, 12, 4.5)
    with pytest.raises(UserError, match="comes as v3 or v2, got 'v1'"):
        write_tuab(tmp_path, 12, layout="v1")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "edfio", None)
    with pytest.raises(UserError, match=r"pip install 'rnc-lightning\[eeg\]'"):
        write_tuab(tmp_path, 12)
    assert not list(tmp_path.iterdir())
