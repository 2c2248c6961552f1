"""Tables of signals, written here with what people have in them."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edfio import Edf, EdfSignal

from rnc_lightning.datasets.signal_table import SignalsDataModule
from rnc_lightning.datasets.signals.store import Recording, RecordingStore
from rnc_lightning.datasets.signals.transforms import centred_crop, random_crop
from rnc_lightning.system.errors import UserError

RATE = 100.0


def _wave(amplitude: float, seconds: float = 5.0, rate: float = RATE, channels: int = 2) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return amplitude * np.arange(1, channels + 1)[:, None] * np.sin(2 * np.pi * 5 * t)


def _edf(path: Path, samples: np.ndarray, rate: float, labels: list[str], unit: str = "mV") -> None:
    ends = (-0.1, 0.1) if unit == "V" else (-100, 100)
    signals = [
        EdfSignal(x, rate, label=label, physical_dimension=unit, physical_range=ends)
        for x, label in zip(samples, labels, strict=True)
    ]
    Edf(signals).write(path)


def _table(folder: Path, rows: int = 10, **columns: list[str]) -> list[str]:
    """Rows `signals/<i>.npy` with age 10 i + 1, and more columns where given."""
    (folder / "signals").mkdir(parents=True)
    names = [f"signals/{i}.npy" for i in range(rows)]
    for i, name in enumerate(names):
        np.save(folder / name, _wave(i + 1))
    _write_table(folder, names, **columns)
    return names


def _write_table(folder: Path, names: list[str], **columns: list[str]) -> None:
    lines = [",".join(["file", "age", *columns])]
    for i, name in enumerate(names):
        lines.append(",".join([name, str(10 * i + 1), *(values[i] for values in columns.values())]))
    (folder / "my.csv").write_text("\n".join(lines) + "\n")


def _module(folder: Path, **more: Any) -> SignalsDataModule:
    transforms = {"train_transform": random_crop(1.0, RATE), "eval_transform": centred_crop(1.0, RATE)}
    given = {
        "input": "file",
        "target": ["age"],
        "in_channels": 2,
        "sampling_rate": RATE,
        "window": 1.0,
        "batch_size": 4,
    }
    return SignalsDataModule(csv=str(folder / "my.csv"), **{**given, **transforms, **more})


def _read(folder: Path, **more: Any) -> SignalsDataModule:
    module = _module(folder, **more)
    module.setup()
    return module


def _by_name(module: SignalsDataModule) -> dict[str, tuple[np.ndarray, list[float]]]:
    """Whole recording and target of every row."""
    found = {}
    for split in module.splits.values():
        if split.groups is None:
            for i, name in enumerate(split.names):
                found[name] = (np.array(split.inputs[i]), split.targets[i].tolist())
            continue
        for i, group in enumerate(split.groups.index.tolist()):
            recording = split.inputs.recordings[group]  # type: ignore[attr-defined]
            found[split.groups.names[group]] = (np.array(recording), split.targets[i].tolist())
    return found


def test_arrays_of_a_table(tmp_path: Path) -> None:
    names = _table(tmp_path)
    module = _read(tmp_path)
    assert module.counts == {"train": 8, "val": 1, "test": 1}
    assert list(module.target_names) == ["age"]
    found = _by_name(module)
    assert sorted(found) == sorted(names)
    for i, name in enumerate(names):
        samples, target = found[name]
        assert samples.dtype == np.float32
        assert np.array_equal(samples, _wave(i + 1).astype(np.float32))  # at its own rate, without a band
        assert target == [10.0 * i + 1]
    assert len(module.splits["test"]) == 5  # windows of 1 s
    assert len(_read(tmp_path, eval_windows=2).splits["test"]) == 2
    assert next(iter(module.train_dataloader()))["x"].shape == (4, 2, 100)


def test_each_kind_of_file_at_any_rate_gives_the_same_signal(tmp_path: Path) -> None:
    names = _table(tmp_path)
    folder = tmp_path / "signals"
    np.save(folder / "slow.npy", _wave(8, rate=50.0))
    np.savez(folder / "packed.npz", wave=_wave(8, rate=200.0), more=np.zeros(3))
    extra = np.concatenate([50 * np.ones((1, 1280)), _wave(8, rate=256.0)[::-1]])
    _edf(folder / "a.edf", extra, 256.0, ["EKG", "C4", "EEG C3-REF"])
    _edf(folder / "b.edf", _wave(8, rate=256.0) / 1000, 256.0, ["C3", "C4"], unit="V")
    names = [*names, "signals/slow.npy", "signals/packed.npz", "signals/a.edf", "signals/b.edf"]
    _write_table(tmp_path, names, hz=[*["100"] * 10, "50", "200", "", ""])
    found = _by_name(_read(tmp_path, rate_column="hz", channels=["c3", "C4"]))
    scale = {"signals/a.edf": 1e-3, "signals/b.edf": 1e-3}  # voltages come in microvolts
    for name in names[10:]:
        samples = found[name][0] * scale.get(name, 1.0)
        assert samples.shape == (2, 500)
        assert np.abs(samples - _wave(8))[:, 50:-50].max() < 0.2, name


def test_the_array_of_a_packed_file_is_chosen_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "signals").mkdir()
    names = [f"signals/{i}.npz" for i in range(5)]
    for name in names:
        np.savez(tmp_path / name, one=_wave(1), two=_wave(2))
    _write_table(tmp_path, names)
    for key, amplitude in ((None, 1), ("one", 1), ("two", 2)):
        for samples, _ in _by_name(_read(tmp_path, key=key)).values():
            assert np.allclose(samples, _wave(amplitude), atol=1e-5)
    with pytest.raises(UserError) as raised:
        _read(tmp_path, key="three")
    assert "no array three; the file has one, two" in raised.value.details[0]


def test_a_single_axis_is_one_channel(tmp_path: Path) -> None:
    names = _table(tmp_path, rows=4)
    for name in names:
        np.save(tmp_path / name, np.arange(300))
    assert {s.shape for s, _ in _by_name(_read(tmp_path, in_channels=1)).values()} == {(1, 300)}


def test_a_band(tmp_path: Path) -> None:
    for i, name in enumerate(_table(tmp_path, rows=4)):
        t = np.arange(1000) / RATE
        np.save(tmp_path / name, _wave(i + 1, 10.0) + 70 + 5 * np.sin(2 * np.pi * 40 * t))
    for name, (samples, _) in _by_name(_read(tmp_path, low=0.5, high=20.0)).items():
        expected = _wave(int(Path(name).stem) + 1, 10.0)
        assert np.abs(samples - expected)[:, 100:-100].max() < 0.3


def test_split_and_group_columns(tmp_path: Path) -> None:
    words = ["train"] * 6 + ["val", "val", "test", "test"]
    people = ["p", "q", "r", "p", "q", "r", "s", "s", "t", "t"]
    names = _table(tmp_path, part=words, person=people)
    module = _read(tmp_path, split_column="part")
    assert list(module.splits["train"].names) == names[:6]
    assert module.splits["val"].groups is not None
    assert list(module.splits["val"].groups.names) == names[6:8]
    drawn = _read(tmp_path, group="person", split={"val": 0.2, "test": 0.2})
    where: dict[str, set[str]] = {}
    for part, split in drawn.splits.items():
        for name in split.groups.names if split.groups else split.names:
            where.setdefault(people[names.index(name)], set()).add(part)
    assert all(len(parts) == 1 for parts in where.values())
    assert set().union(*where.values()) == {"train", "val", "test"}


def test_every_problem_is_told_with_its_row(tmp_path: Path) -> None:
    names = _table(tmp_path, rows=16)

    def bad(i: int, array: np.ndarray) -> None:
        np.save(tmp_path / names[i], array)

    holes = _wave(1)
    holes[1, 7] = np.nan
    bad(0, holes)
    bad(1, _wave(1, seconds=0.5))
    bad(2, _wave(1, channels=3))
    bad(3, np.zeros((2, 3, 100)))
    bad(4, np.array(["a", "b"]))
    bad(5, np.array([object()], dtype=object))
    (tmp_path / names[6]).write_bytes((tmp_path / names[6]).read_bytes()[:-8])
    (tmp_path / names[7]).write_bytes(b"")
    (tmp_path / names[8]).unlink()
    (tmp_path / "signals" / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "signals" / "b.npz").write_bytes(b"PK no")
    (tmp_path / "signals" / "c.edf").write_bytes(b"0")
    names[9:12] = ["signals/a.wav", "signals/b.npz", "signals/c.edf"]
    _write_table(tmp_path, names, part=[*["train"] * 14, "val", "test"])
    with pytest.raises(UserError, match="12 samples cannot be used") as raised:
        _read(tmp_path, split_column="part")
    told = raised.value.details
    expected = [
        "1 values are NaN or infinite",
        "recording shorter than a window: my.csv, row 3, signals/1.npy (0.5 s, the window is 1 s)",
        "other number of channels: my.csv, row 4, signals/2.npy (3 channels, input.channels is 2)",
        "shape (2, 3, 100)",
        "not of real numbers",
        "row 7",
        "row 8",
        "row 9",
        "missing file: my.csv, row 10",
        "a .wav file",
        "row 12",
        "no EDF header",
    ]
    for i, words in enumerate(expected):
        assert [line for line in told if words in line and f"row {i + 2}" in line], (words, told)
    module = _read(tmp_path, split_column="part", on_bad="skip")
    assert sum(module.counts.values()) == 4
    assert all(np.isfinite(samples).all() for samples, _ in _by_name(module).values())


def test_a_wrong_rate_is_a_problem_of_its_row(tmp_path: Path) -> None:
    rates = ["100", "", "zero", "-5", "100", "100", "100", "100"]
    names = _table(tmp_path, rows=8, hz=rates, part=[*["train"] * 6, "val", "test"])
    with pytest.raises(UserError, match="3 samples") as raised:
        _read(tmp_path, rate_column="hz", split_column="part")
    assert [detail for detail in raised.value.details if "hz is not a positive number" in detail] == list(
        raised.value.details
    )
    assert len(_by_name(_read(tmp_path, rate_column="hz", split_column="part", on_bad="skip"))) == len(names) - 3


def test_the_number_of_channels_is_said_in_one_line(tmp_path: Path) -> None:
    _table(tmp_path)
    with pytest.raises(UserError, match=r"2 channels, but input.channels is 1: set input.channels=2"):
        _read(tmp_path, in_channels=1)
    with pytest.raises(ValueError, match=r"channels names 1 channels, but input.channels is 2"):
        _module(tmp_path, channels=["C3"])


def test_unchecked_files_are_found_when_they_are_preprocessed(tmp_path: Path) -> None:
    names = _table(tmp_path)
    np.save(tmp_path / names[4], np.full((2, 500), np.inf))
    with pytest.raises(UserError, match=r"1 recordings of my\.csv cannot be preprocessed") as raised:
        _read(tmp_path, check_files=False)
    assert "4.npy: 1000 values are NaN or infinite" in raised.value.details[0]


@pytest.mark.parametrize("cached", [False, True])
def test_reading_again_gives_the_same(tmp_path: Path, cached: bool) -> None:
    _table(tmp_path / "data")
    more = {"cache_dir": str(tmp_path / "cache")} if cached else {}
    first = _read(tmp_path / "data", **more)
    fingerprint, a = first.fingerprint, _by_name(first)
    again = _read(tmp_path / "data", **more)
    assert again.fingerprint == fingerprint
    assert all(np.array_equal(a[name][0], samples) for name, (samples, _) in _by_name(again).items())
    np.save(tmp_path / "data" / "signals" / "3.npy", _wave(77, seconds=6.0))
    second = _read(tmp_path / "data", **more)
    assert second.fingerprint != fingerprint
    b = _by_name(second)
    changed = [name for name in a if a[name][0].shape != b[name][0].shape or not np.array_equal(a[name][0], b[name][0])]
    assert changed == ["signals/3.npy"]


def test_a_file_found_good_before_is_checked_again_once_it_changed(tmp_path: Path) -> None:
    names = _table(tmp_path)
    cache = str(tmp_path / "cache")
    _read(tmp_path, cache_dir=cache)
    np.save(tmp_path / names[4], np.full((2, 600), np.nan))
    with pytest.raises(UserError, match="1 sample cannot be used") as raised:
        _read(tmp_path, cache_dir=cache)
    assert "row 6" in raised.value.details[0]


def test_the_configuration_builds_it(tmp_path: Path, compose_config: Any) -> None:
    from hydra.utils import instantiate

    names = _table(tmp_path, person=["a", "b", "c", "d", "e", "a", "b", "c", "d", "e"])
    words = ["data.sampling_rate=100", "data.window=1", "data.group=person", "input.channels=2", "data.num_workers=0"]
    cfg = compose_config(
        "data=signals", f"data.csv={tmp_path / 'my.csv'}", "data.input=file", "data.target=[age]", *words
    )
    module = instantiate(cfg.data, _convert_="all")
    module.setup()
    assert sorted(_by_name(module)) == sorted(names)
    assert list(module.target_names) == ["age"]
    assert instantiate(cfg.encoder).stem[0].in_channels == 2


def test_a_recording_that_fails_beside_others_is_tried_once_more_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _table(tmp_path)
    compute = RecordingStore._compute
    tried: Counter[str] = Counter()

    def failing(store: RecordingStore, recording: Recording) -> np.ndarray:
        tried[recording.path.name] += 1
        if recording.path.name == "3.npy" and tried["3.npy"] == 1:
            raise ValueError("out of luck")
        return compute(store, recording)

    monkeypatch.setattr(RecordingStore, "_compute", failing)
    _read(tmp_path)
    assert tried["3.npy"] == 2
    assert {count for name, count in tried.items() if name != "3.npy"} == {1}
    assert any("3.npy: out of luck; the second try succeeded" in message for message in caplog.messages)


def test_partly_labelled_signals_and_their_windows(tmp_path: Path) -> None:
    mass = ["" if i % 2 else str(i) for i in range(10)]
    _table(tmp_path, mass=mass)
    with pytest.raises(UserError, match="5 x mass missing"):
        _read(tmp_path, target=["age", "mass"])
    module = _read(tmp_path, target=["age", "mass"], partial_targets=True)
    assert sum(int(split.labels[:, 1].isnan().sum()) for split in module.splits.values()) == 5
    assert all(split.targets.dtype == torch.float64 for split in module.splits.values())
