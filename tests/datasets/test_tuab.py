"""Files of the corpus, written in its two layouts with what is found there."""

import os
import pickle
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edfio import Edf, EdfSignal, Patient

from rnc_lightning.datasets.signals import store as recordings_file
from rnc_lightning.datasets.signals.transforms import centred_crop, random_crop
from rnc_lightning.datasets.signals.windows import Recordings, Windows, window_starts
from rnc_lightning.datasets.tuab import TUABDataModule
from rnc_lightning.system.errors import UserError

NAMES = [
    "A1",
    "A2",
    "FP1",
    "FP2",
    "F3",
    "F4",
    "C3",
    "C4",
    "P3",
    "P4",
    "O1",
    "O2",
    "F7",
    "F8",
    "T3",
    "T4",
    "T5",
    "T6",
    "FZ",
    "CZ",
    "PZ",
]
WINDOW = 2.0


def _write(
    path: Path,
    age: int | None = 40,
    rate: int = 250,
    seconds: int = 7,
    labels: list[str] | None = None,
    unit: str = "uV",
) -> None:
    """Each channel a 10 Hz wave whose amplitude is 10 + its place in NAMES, in the file's unit."""
    labels = labels or [f"EEG {name}-REF" for name in NAMES]
    t = np.arange(rate * seconds) / rate
    signals = []
    for label in labels:
        plain = label.removeprefix("EEG ").split("-")[0]
        amplitude = 10 + NAMES.index(plain) if plain in NAMES else 400
        wave = amplitude * np.sin(2 * np.pi * 10 * t)
        signals.append(EdfSignal(wave, rate, label=label, physical_dimension=unit, physical_range=(-500, 500)))
    code = path.name.split("_")[0]
    additional = [] if age is None else [f"Age:{age}"]
    path.parent.mkdir(parents=True, exist_ok=True)
    Edf(signals, patient=Patient(code=code, sex="F", name=code, additional=additional)).write(path)


def _v3(root: Path, subjects: int = 10) -> Path:
    """Ten plain subjects, aged 20, 25, ..., two of them in the part `eval`."""
    home = root / "v3.0.1" / "edf"
    for i in range(subjects):
        part = "eval" if i < 2 else "train"
        _write(home / part / "normal" / "01_tcp_ar" / f"aaaaaaa{chr(97 + i)}_s001_t000.edf", age=20 + 5 * i)
    return home


def _module(root: Path, **more: Any) -> TUABDataModule:
    transforms = {"train_transform": random_crop(WINDOW, 200.0), "eval_transform": centred_crop(WINDOW, 200.0)}
    settings = {"channels": NAMES, "in_channels": 21, "sampling_rate": 200.0, "low": 0.1, "high": 49.0}
    split = {"by": "subject", "val": 0.2, "test": 0.2}
    given = {"batch_size": 3, "window": WINDOW, "split": split, **settings, **transforms, **more}
    return TUABDataModule(root=str(root), **given)


def _read(root: Path, **more: Any) -> TUABDataModule:
    module = _module(root, **more)
    module.setup()
    return module


def _names(module: TUABDataModule) -> list[str]:
    return sorted(
        name for split in module.splits.values() for name in (split.groups.names if split.groups else split.names)
    )


def test_flat_layout(tmp_path: Path) -> None:
    _v3(tmp_path)
    module = _read(tmp_path)
    assert module.counts == {"train": 6, "val": 2, "test": 2}
    assert _names(module)[0] == "edf/eval/normal/01_tcp_ar/aaaaaaaa_s001_t000.edf"
    for split in module.splits.values():
        named = [split.groups.names[g] for g in split.groups.index.tolist()] if split.groups else split.names
        letters = [name.removesuffix("_s001_t000.edf")[-1] for name in named]
        assert split.targets[:, 0].tolist() == [20.0 + 5 * "abcdefghij".index(letter) for letter in letters]


def test_samples_are_microvolts_at_200_hz_in_the_order_of_the_names(tmp_path: Path) -> None:
    _v3(tmp_path)
    recording = _read(tmp_path).splits["train"].inputs[0]
    assert recording.shape == (21, 1400)
    assert recording.dtype == np.float32
    t = np.arange(1400) / 200
    expected = (10 + np.arange(21))[:, None] * np.sin(2 * np.pi * 10 * t)
    assert np.abs(recording - expected)[:, 200:-200].max() < 0.5


def test_version_two_tree_and_each_folder_of_it(tmp_path: Path) -> None:
    home = tmp_path / "v2.0.0" / "edf"
    for i in range(4):
        subject = f"0000{7871 + i}"
        _write(
            home / "train" / "normal" / "01_tcp_ar" / "078" / subject / "s002_2011_07_12" / f"{subject}_s002_t001.edf"
        )
    assert not list(home.rglob("._*"))
    (next(home.rglob("*.edf")).parent / "._00007871_s002_t001.edf").write_bytes(b"not a recording")
    (next(home.rglob("*.edf")).parent / "00007871_s002.txt").write_text("report")
    names = [_names(_read(place)) for place in (tmp_path, tmp_path / "v2.0.0", home)]
    assert names[0] == names[1] == names[2]
    assert names[0][0] == "edf/train/normal/01_tcp_ar/078/00007871/s002_2011_07_12/00007871_s002_t001.edf"
    assert len(names[0]) == 4


def test_two_versions_side_by_side_are_not_mixed(tmp_path: Path) -> None:
    _v3(tmp_path, subjects=4)
    shutil.copytree(tmp_path / "v3.0.1", tmp_path / "v2.0.0")
    with pytest.raises(UserError, match=r"contains v2.0.0 and v3.0.1: choose one with data.root="):
        _read(tmp_path)


def test_nothing_there_says_what_to_get(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no TUAB in .*isip.piconepress.com.*RNC_DATA"):
        _read(tmp_path / "none")


def test_normal_first_session_first_segment(tmp_path: Path) -> None:
    home = _v3(tmp_path)
    normal = home / "train" / "normal" / "01_tcp_ar"
    _write(normal / "aaaaaaac_s000_t001.edf", age=50)
    _write(normal / "aaaaaaac_s000_t003.edf", age=51)
    _write(normal / "aaaaaaac_s010_t000.edf", age=52)
    _write(home / "train" / "abnormal" / "01_tcp_ar" / "aaaaaaad_s000_t000.edf", age=53)
    _write(home / "train" / "abnormal" / "01_tcp_ar" / "bbbbbbbb_s000_t000.edf", age=54)
    names = [name.rsplit("/")[-1] for name in _names(_read(tmp_path))]
    assert "aaaaaaac_s000_t001.edf" in names
    assert "aaaaaaad_s001_t000.edf" in names
    assert len(names) == 10
    both = [name.rsplit("/")[-1] for name in _names(_read(tmp_path, pathology=["normal", "abnormal"]))]
    assert "aaaaaaad_s000_t000.edf" in both
    assert len(both) == 11


def test_other_files_of_the_same_kind_give_the_same_samples(tmp_path: Path) -> None:
    home = _v3(tmp_path)
    normal = home / "train" / "normal" / "01_tcp_ar"
    turned = [f"EEG {name}-REF" for name in NAMES[::-1]]
    _write(normal / "aaaaaaac_s001_t000.edf", labels=["EEG EKG1-REF", *turned[:9], "PHOTIC-REF", *turned[9:], "IBI"])
    _write(normal / "aaaaaaad_s001_t000.edf", rate=512)
    _write(normal / "aaaaaaae_s001_t000.edf", labels=[f"EEG {name}-LE" for name in NAMES], rate=256)
    module = _read(tmp_path)
    store = module.splits["train"].inputs.store  # type: ignore[attr-defined]
    inputs = [
        part.inputs.recordings if isinstance(part.inputs, Windows) else part.inputs for part in module.splits.values()
    ]
    made = {one.path.name: store[one] for part in inputs if isinstance(part, Recordings) for one in part.recordings}
    plain = made["aaaaaaaj_s001_t000.edf"]
    for subject in "cde":
        other = made[f"aaaaaaa{subject}_s001_t000.edf"]
        assert other.shape == plain.shape
        assert np.abs(other - plain)[:, 200:-200].max() < 0.5


def test_every_problem_is_told_at_once_and_the_rest_is_usable(tmp_path: Path) -> None:
    home = _v3(tmp_path, subjects=12)
    folder = home / "train" / "normal" / "01_tcp_ar"

    def file(letter: str) -> Path:
        return folder / f"aaaaaaa{letter}_s001_t000.edf"

    _write(file("c"), age=None)
    _write(file("d"), age=140)
    _write(file("e"), labels=[f"EEG {name}-REF" for name in NAMES[1:]])
    file("f").write_bytes(file("f").read_bytes()[:-100])
    file("g").write_bytes(file("g").read_bytes()[:236] + b"????????" + file("g").read_bytes()[244:])
    _write(file("h"), seconds=1)
    _write(file("i"), unit="mmHg")
    _write(file("j"), rate=80)
    file("k").rename(folder / "recording.edf")
    with pytest.raises(UserError, match="9 samples cannot be used") as raised:
        _read(tmp_path)
    told = sorted(raised.value.details)
    expected = {
        "age missing": "aaaaaaac",
        "age outside 0 to 120": "aaaaaaad",
        "channels missing or ambiguous": "no channel A1",
        "file name that is not": "recording.edf",
        "recording shorter than a window": "1 s, the window is 2 s",
        "sampling rate too low": "aaaaaaaj",
        "unit that is not a voltage": "mmHg",
        "unreadable recording: ": "truncated",
        "unreadable recording:": "broken EDF header",
    }
    for kind, detail in expected.items():
        assert any(line.startswith(kind) and detail in line for line in told), (kind, told)
    module = _read(tmp_path, on_bad="skip")
    assert sum(module.counts.values()) == 3
    assert sum(module.skipped.values()) == 9


def test_windows_do_not_overlap_and_are_grouped_by_recording(tmp_path: Path) -> None:
    _v3(tmp_path)
    module = _read(tmp_path)
    split = module.splits["test"]
    assert split.groups is not None
    assert len(split) == 2 * 3  # of 7 s, three windows of 2 s
    assert split.groups.index.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(split.groups.names) == 2
    assert [name.rsplit(" ", 2)[1:] for name in split.names[:3]] == [["0", "s"], ["2.5", "s"], ["5", "s"]]
    recording = split.inputs.recordings[1]  # type: ignore[attr-defined]
    assert np.array_equal(split.inputs[4], recording[:, 500:900])
    assert len(_read(tmp_path, eval_windows=1).splits["test"]) == 2


@pytest.mark.parametrize(("samples", "length", "most"), [(7, 2, None), (1400, 400, None), (1001, 10, 7), (5, 5, 3)])
def test_window_starts(samples: int, length: int, most: int | None) -> None:
    starts = window_starts(samples, length, most)
    assert len(starts) == min(samples // length, most or samples)
    gaps = np.diff(starts)
    assert (gaps >= length).all()
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
    assert min(starts) >= 0
    assert max(starts) + length <= samples
    assert window_starts(length - 1, length) == []


def test_views_are_windows_of_their_own_and_repeat_under_the_same_seed(tmp_path: Path) -> None:
    _v3(tmp_path)
    batches = []
    for _ in range(2):
        module = _read(tmp_path).for_stage(seed=5, batch_size=6, views=2)
        batches.append(next(iter(module.train_dataloader())))
    assert batches[0]["x"].shape == (6, 2, 21, 400)
    assert torch.equal(batches[0]["x"], batches[1]["x"])
    assert not torch.equal(batches[0]["x"][:, 0], batches[0]["x"][:, 1])
    other = next(iter(_read(tmp_path).for_stage(seed=6, batch_size=6, views=2).train_dataloader()))
    assert not torch.equal(other["x"], batches[0]["x"])
    plain = _read(tmp_path).for_stage(seed=5, batch_size=6, augment=False)
    recording = plain.splits["train"].inputs[0]
    batch = next(iter(plain.plain_loader("train")))
    assert np.array_equal(batch["x"][0].numpy(), recording[:, 500:900])  # the middle of 1,400


def test_transform_options() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(3, 50, (4, 1000)).astype(np.float32)
    scaled = centred_crop(1.0, 1000, scale=20.0, clip=40.0)(signal)
    assert np.allclose(scaled.numpy(), np.clip(signal, -40, 40) / 20)
    standard = centred_crop(1.0, 1000, standardise=True)(signal).numpy()
    assert np.allclose(standard.mean(axis=1), 0, atol=1e-5)
    assert np.allclose(standard.std(axis=1), 1, atol=1e-4)
    noisy = random_crop(1.0, 1000, noise=2.0)(signal).numpy() - signal
    assert noisy.std() == pytest.approx(2.0, rel=0.05)
    dropped = torch.stack([random_crop(1.0, 1000, channel_dropout=0.3)(signal) for _ in range(200)])
    silent = (dropped == 0).all(dim=2).float().mean().item()
    assert silent == pytest.approx(0.3, abs=0.06)
    with pytest.raises(ValueError, match="does not fit"):
        random_crop(2.0, 1000)(signal)
    starts = {int(np.flatnonzero(signal[0] == random_crop(0.99, 1000)(signal)[0, 0].item())[0]) for _ in range(300)}
    assert starts == set(range(11))  # the first and the last place included


def test_the_seconds_used(tmp_path: Path) -> None:
    _v3(tmp_path)
    whole = _read(tmp_path, low=None, high=None).splits["train"].inputs[0]
    part = _read(tmp_path, low=None, high=None, start=2.0, duration=3.0).splits["train"].inputs[0]
    assert part.shape == (21, 600)
    assert np.abs(part - whole[:, 400:1000])[:, 50:-50].max() < 0.5


def _cached(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in folder.rglob("*.npy")}


def test_cache_is_used_again_and_equals_memory(tmp_path: Path) -> None:
    _v3(tmp_path / "data")
    cache = tmp_path / "cache"
    first = _read(tmp_path / "data", cache_dir=str(cache))
    files = _cached(cache)
    assert len(files) == 10
    second = _read(tmp_path / "data", cache_dir=str(cache))
    assert _cached(cache) == files
    memory = _read(tmp_path / "data")
    for part in ("train", "val", "test"):
        for a, b, c in zip(*(one.splits[part].inputs for one in (first, second, memory)), strict=True):  # type: ignore[index]
            assert np.array_equal(a, b)
            assert np.array_equal(a, c)
    assert isinstance(first.splits["train"].inputs[0], np.memmap)
    assert first.fingerprint == second.fingerprint == memory.fingerprint
    assert _read(tmp_path / "data", high=40.0).fingerprint != first.fingerprint
    copy = pickle.loads(pickle.dumps(first.splits["train"].inputs))  # as a loader's workers get it
    assert np.array_equal(copy[0], first.splits["train"].inputs[0])


def test_listing_reads_no_samples_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _v3(tmp_path / "data")
    monkeypatch.setattr("rnc_lightning.datasets.signals.store.Recording.values", None)  # what reads samples
    splits, problems = _module(tmp_path / "data", cache_dir=str(tmp_path / "cache")).inspect()
    assert sum(len(set(split.inputs.paths)) for split in splits.values()) == 10  # type: ignore[attr-defined]
    assert len(problems) == 0
    assert not (tmp_path / "cache" / "recordings").exists()


def test_once_made_the_sources_are_not_looked_at_again(tmp_path: Path) -> None:
    _v3(tmp_path / "data", subjects=4)
    module = _read(tmp_path / "data", cache_dir=str(tmp_path / "cache"))
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert all(len(list(module.plain_loader(part))) > 0 for part in ("train", "val", "test"))


def test_a_changed_recording_is_made_anew_alone(tmp_path: Path) -> None:
    home = _v3(tmp_path / "data")
    cache = tmp_path / "cache"
    _read(tmp_path / "data", cache_dir=str(cache))
    before = _cached(cache)
    path = home / "train" / "normal" / "01_tcp_ar" / "aaaaaaac_s001_t000.edf"
    _write(path, seconds=9)
    os.utime(path, ns=(1, 1))
    module = _read(tmp_path / "data", cache_dir=str(cache))
    after = _cached(cache)
    assert len(after) == 10  # the former state is gone
    assert len(set(before.items()) & set(after.items())) == 9
    lengths = sorted(module.splits["train"].inputs.store[one].shape[1] for one in _all(module))  # type: ignore[attr-defined]
    assert lengths == 9 * [1400] + [1800]


def _all(module: TUABDataModule) -> list[recordings_file.Recording]:
    found = []
    for split in module.splits.values():
        inputs = split.inputs.recordings if isinstance(split.inputs, Windows) else split.inputs
        assert isinstance(inputs, Recordings)
        found += inputs.recordings
    return found


def test_other_settings_have_a_cache_of_their_own(tmp_path: Path) -> None:
    _v3(tmp_path / "data", subjects=4)
    cache = tmp_path / "cache"
    _read(tmp_path / "data", cache_dir=str(cache))
    _read(tmp_path / "data", cache_dir=str(cache), high=40.0)
    _read(tmp_path / "data", cache_dir=str(cache), channels=NAMES[::-1])
    _read(tmp_path / "data", cache_dir=str(cache), duration=5.0)
    assert len(_cached(cache)) == 4 * 4
    assert len(list((cache / "recordings").iterdir())) == 4


def test_a_build_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _v3(tmp_path / "data")
    cache = tmp_path / "cache"
    real, done = np.save, []

    def dies(path: Path, array: np.ndarray) -> None:
        if len(done) == 3:
            Path(path).write_bytes(b"half")
            raise KeyboardInterrupt
        done.append(path)
        real(path, array)

    monkeypatch.setattr(recordings_file.np, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        _read(tmp_path / "data", cache_dir=str(cache))
    monkeypatch.setattr(recordings_file.np, "save", real)
    whole = _cached(cache)
    assert len(whole) == 3
    folder = next((cache / "recordings").iterdir())
    (folder / ".0123456789abcdef-0.99999.npy").write_bytes(b"half")  # of a process that could not tidy up
    module = _read(tmp_path / "data", cache_dir=str(cache))
    after = _cached(cache)
    assert len(after) == 10
    assert set(whole.items()) <= set(after.items())
    assert module.splits["train"].inputs[0].shape == (21, 1400)


def test_a_disk_that_would_not_hold_them_is_refused_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _v3(tmp_path / "data")
    needed = 10 * 21 * 1400 * 4
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(recordings_file.shutil, "disk_usage", lambda _: usage(10**12, 10**12, needed))  # no headers
    with pytest.raises(UserError, match=r"10 preprocessed recordings need 0.00118 GB.*data.cache_dir"):
        _read(tmp_path / "data", cache_dir=str(tmp_path / "cache"))
    assert not _cached(tmp_path / "cache")
    monkeypatch.setattr(recordings_file.shutil, "disk_usage", lambda _: usage(10**12, 10**12, needed + 10 * 128))
    _read(tmp_path / "data", cache_dir=str(tmp_path / "cache"))
    sizes = [file.stat().st_size for file in (tmp_path / "cache").rglob("*.npy")]
    assert sum(sizes) == needed + 10 * 128  # sized exactly


def test_the_split_depends_on_the_subjects_alone_and_can_be_used_again(tmp_path: Path) -> None:
    _v3(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first, second = _read(tmp_path / "a"), _read(tmp_path / "b" / "v3.0.1")
    assert first.splits["test"].names == second.splits["test"].names
    assert list(first.splits["train"].names) == list(second.splits["train"].names)
    first.write_division(tmp_path / "split.csv")
    again = _read(tmp_path / "a", split={"by": "subject", "seed": 9, "file": str(tmp_path / "split.csv")})
    assert again.splits["test"].names == first.splits["test"].names
    drawn = _read(tmp_path / "a", split={"by": "subject", "val": 0.2, "test": 0.2, "seed": 9})
    assert drawn.splits["test"].names != first.splits["test"].names


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"in_channels": 19}, "21 channels, but input.channels is 19"),
        ({"pathology": ["ill"]}, "pathology must be a list of normal or abnormal"),
        ({"duration": 0.0}, "duration positive"),
        ({"window": 0.001}, "window must be at least one sample"),
        ({"eval_windows": 0}, "eval_windows must be a whole number from 1 up"),
    ],
)
def test_impossible_arguments(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _module(Path("nowhere"), **wrong)


def test_the_configuration_builds_it(compose_config: Any) -> None:
    from hydra.utils import instantiate

    cfg = compose_config("+experiment=tuab_rnc")
    module = instantiate(cfg.data, _convert_="all")
    assert isinstance(module, TUABDataModule)
    assert sorted(module.channels) == sorted(NAMES)
    assert module.window == 2000
    encoder = instantiate(cfg.encoder)
    assert encoder.layers == 24
    x = module.train_transform(np.full((21, 3000), 40.0, dtype=np.float32))
    assert x.shape == (21, 2000)
    assert (x == 2.0).all()
    sizes = module.division.divide([f"s{i}" for i in range(1385)], {"subject": list(range(1385))})
    assert sizes.count("test") == 139
