"""SkyFinder's layout with its traps, written here by hand; the choice of pictures against a slow loop."""

import csv
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image

from rnc_lightning.datasets.images.transforms import augmented_image, centred_image
from rnc_lightning.datasets.reading.random_split import Division
from rnc_lightning.datasets.skyfinder import SkyFinderDataModule
from rnc_lightning.system.errors import UserError

Row = dict[str, Any]


def _row(camera: int, local: datetime, temperature: float | str, zone: int = -5) -> Row:
    return {
        "Filename": f"{local - timedelta(hours=zone):%Y%m%d_%H%M%S}.jpg",
        "CamId": camera,
        "Year": local.year,
        "hoiem_MCR": 0.1,
        "Month": local.month,
        "Day": local.day,
        "Hour": local.hour,
        "Min": local.minute,
        "Timezone": zone,
        "TempM": temperature,
        "Conds": "Light Rain, Mist",
    }


def _write(root: Path, rows: Sequence[Row], images: str = "images", without: Sequence[str] = ()) -> None:
    """The table and a picture for each row, but for those whose `CamId/Filename` is in `without`."""
    root.mkdir(exist_ok=True)
    with (root / "complete_table_with_mcr.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        path = root / images / str(row["CamId"]) / row["Filename"]
        if row["Filename"] and f"{row['CamId']}/{row['Filename']}" not in without and "/" not in row["Filename"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (row["CamId"] % 256, 0, 0)).save(path)


def _module(root: Path, split: dict[str, Any] | None = None, **keywords: Any) -> SkyFinderDataModule:
    return SkyFinderDataModule(
        root=str(root),
        split=split or {"by": "sample", "val": 0.25, "test": 0.25},
        train_transform=augmented_image(16),
        eval_transform=centred_image(16),
        batch_size=2,
        **keywords,
    )


def _read(root: Path, split: dict[str, Any] | None = None, **keywords: Any) -> SkyFinderDataModule:
    module = _module(root, split, **keywords)
    module.setup()
    return module


def _chosen(module: SkyFinderDataModule) -> dict[str, float]:
    """Temperature by name, over all parts."""
    batches = [batch for part in module.splits for batch in module.plain_loader(part)]
    names = [name for split in module.splits.values() for name in split.names]
    return dict(zip(names, [y for batch in batches for y in batch["y"][:, 0].tolist()], strict=True))


def _days(count: int, cameras: Sequence[int] = (162,), hour: int = 11) -> list[Row]:
    start = datetime(2013, 3, 1, hour)
    return [_row(camera, start + timedelta(days=d), d - 10.5) for camera in cameras for d in range(count)]


def _slow_choice(rows: Sequence[Row], tolerance: float, there: Callable[[str], bool]) -> dict[str, float]:
    best: dict[tuple[int, object], tuple[float, datetime, str, float]] = {}
    for row in rows:
        moment = datetime(row["Year"], row["Month"], row["Day"]) + timedelta(hours=row["Hour"], minutes=row["Min"])
        distance = abs((moment - moment.replace(hour=11, minute=0)).total_seconds())
        key = f"{row['CamId']}/{row['Filename']}"
        if distance > tolerance * 3600 or not there(key) or not -99 < row["TempM"] < 100:
            continue
        candidate = (distance, moment, key, row["TempM"])
        place = (row["CamId"], moment.date())
        best[place] = min(best.get(place, candidate), candidate)
    return {key: temperature for _, _, key, temperature in best.values()}


@pytest.mark.parametrize("tolerance", [0.75, 12])
def test_of_each_day_the_picture_closest_to_eleven_as_a_slow_loop_finds_it(tmp_path: Path, tolerance: float) -> None:
    draw = random.Random(0)
    rows: dict[str, Row] = {}
    for _ in range(240):
        minutes = draw.choice([draw.randrange(24 * 60), 11 * 60 + draw.choice([-40, -20, 0, 20, 40])])
        local = datetime(2013, 2, 26) + timedelta(days=draw.randrange(5), minutes=minutes)
        row = _row(draw.choice([3888, 162, 9730]), local, draw.choice([-9999, -999, *range(-20, 40)]))
        if local.hour == 0 and draw.random() < 0.7:  # as the table writes midnight
            before = local - timedelta(days=1)
            row |= {"Year": before.year, "Month": before.month, "Day": before.day, "Hour": 24}
        rows[f"{row['CamId']}/{row['Filename']}"] = row
    assert any(row["Hour"] == 24 for row in rows.values())
    without = set(draw.sample(sorted(rows), 40))
    _write(tmp_path, list(rows.values()), without=sorted(without))
    expected = _slow_choice(list(rows.values()), tolerance, lambda key: key not in without)
    assert len(expected) > 10
    assert _chosen(_read(tmp_path, tolerance_hours=tolerance)) == expected


def test_hour_24_is_hour_0_of_the_next_day(tmp_path: Path) -> None:
    """Taken for 24 hours of its own day it would be the only picture of that day."""
    late = _row(162, datetime(2013, 6, 1, 0, 30), 5.0)
    late["Hour"] = 24
    noon = _row(162, datetime(2013, 6, 2, 11), 20.0)
    _write(tmp_path, [late, noon, *_days(4)])
    assert set(_chosen(_read(tmp_path, tolerance_hours=12))).isdisjoint({f"162/{late['Filename']}"})


def test_missing_temperatures_are_no_mistakes_but_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = _days(9)
    for row, word in zip(rows, ["-9999", "-999", "-99", "", "NaN", "100"], strict=False):
        row["TempM"] = word
    _write(tmp_path, [*rows, *_days(5, [7])])
    with caplog.at_level(logging.INFO):
        module = _read(tmp_path)
    assert Counter(name.split("/")[0] for name in _chosen(module)) == {"162": 3, "7": 5}
    assert "6 of 14 rows have no temperature" in caplog.text


def test_both_layouts_of_the_archives_and_names_that_recur_in_cameras(tmp_path: Path) -> None:
    rows = _days(4, [162, 3888])
    _write(tmp_path, rows)
    deep = tmp_path / "home/mihail/mypages/rpmihail/skyfinder/images/3888"
    deep.parent.mkdir(parents=True)
    (tmp_path / "images/3888").rename(deep)
    module = _read(tmp_path)
    assert len(_chosen(module)) == 8
    for split in module.splits.values():
        for i, name in enumerate(split.names):
            red = split.inputs[i][4, 4, 0]
            assert red == pytest.approx(int(name.split("/")[0]) % 256, abs=4)


def test_a_camera_without_archive_and_missing_pictures_are_told_not_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [*_days(5, [162, 7]), *_days(5, [162], hour=12)]
    gone = [f"7/{row['Filename']}" for row in rows if row["CamId"] == 7]
    missing = [f"162/{rows[i]['Filename']}" for i in (1, 2)]
    _write(tmp_path, rows, without=[*gone, *missing])
    chosen = _chosen(_read(tmp_path))
    assert len(chosen) == 5  # on two days the picture of noon
    assert {f"162/{rows[i]['Filename']}" for i in (11, 12)} < set(chosen)
    assert "1 of 2 cameras have no pictures: 7 (" in caplog.text
    assert "2 pictures of the other cameras are missing" in caplog.text


def test_pictures_known_to_be_cut_short_are_left_out_before_the_choice(tmp_path: Path) -> None:
    bad = {**_row(162, datetime(2013, 6, 17, 11), 20.0), "Filename": "20130617_101231.jpg"}
    next_best = _row(162, datetime(2013, 6, 17, 11, 30), 21.0)
    _write(tmp_path, [bad, next_best, *_days(3)])
    whole = tmp_path / "images/162" / bad["Filename"]
    whole.write_bytes(whole.read_bytes()[:200])
    assert f"162/{next_best['Filename']}" in _chosen(_read(tmp_path))


def test_without_date_columns_the_local_time_comes_from_the_name_and_the_zone(tmp_path: Path) -> None:
    """10 PM local in zone -5 is 3 AM GMT of the next day."""
    rows = [*_days(4), _row(162, datetime(2013, 3, 4, 22), 9.0), _row(7, datetime(2013, 3, 4, 11, 30), 8.0, zone=9)]
    for row in rows:
        for column in ("Year", "Month", "Day", "Hour", "Min"):
            del row[column]
    _write(tmp_path, rows)
    assert len(_chosen(_read(tmp_path))) == 5
    late = _chosen(_read(tmp_path, tolerance_hours=12))
    assert len(late) == 5
    assert f"162/{rows[4]['Filename']}" not in late  # the 4th has its picture of 11:00
    for row in rows:
        del row["Timezone"]
    _write(tmp_path, rows)
    with pytest.raises(UserError, match=r"neither the columns Year, Month, Day, Hour nor Timezone"):
        _read(tmp_path)


@pytest.mark.parametrize("by", ["sample", "camera", "day"])
def test_splits_keep_apart_what_they_should_and_do_not_depend_on_the_order(tmp_path: Path, by: str) -> None:
    rows = _days(24, range(100, 110))
    split = {"by": by, "val": 0.2, "test": 0.2, "seed": 3}
    _write(tmp_path / "a", rows)
    _write(tmp_path / "b", random.Random(1).sample(rows, len(rows)))
    module = _read(tmp_path / "a", split, block_days=4)
    parts = {part: set(split.names) for part, split in module.splits.items()}
    again = _read(tmp_path / "b", split, block_days=4)
    assert {part: set(split.names) for part, split in again.splits.items()} == parts
    assert again.fingerprint == module.fingerprint
    others = [_read(tmp_path / "a", {**split, "seed": seed}, block_days=4) for seed in (4, 5, 6)]
    assert any(set(other.splits["test"].names) != parts["test"] for other in others)

    cameras = {part: {name.split("/")[0] for name in names} for part, names in parts.items()}
    dates = {part: {name.split("/")[1][:8] for name in names} for part, names in parts.items()}
    shared = {"sample": (True, True), "camera": (False, True), "day": (True, False)}[by]
    for one, two in (("train", "val"), ("train", "test"), ("val", "test")):
        assert (bool(cameras[one] & cameras[two]), bool(dates[one] & dates[two])) == shared
    if by == "day":  # whole blocks of four days: a part's days come in runs of whole blocks, but at the ends
        days = sorted((datetime.strptime(date, "%Y%m%d") - datetime(1970, 1, 1)).days for date in dates["test"])
        blocks = {day // 4 for day in days}
        first, last = (datetime(2013, 3, 1) - datetime(1970, 1, 1)).days, len(rows) // 10
        assert days == [day for day in range(first, first + last) if day // 4 in blocks]


def test_a_split_is_written_and_used_again(tmp_path: Path) -> None:
    _write(tmp_path, _days(12, [1, 2]))
    module = _read(tmp_path)
    module.write_division(tmp_path / "split.csv")
    again = _read(tmp_path, {"seed": 9, "file": str(tmp_path / "split.csv")})
    assert {part: split.names for part, split in again.splits.items()} == {
        part: split.names for part, split in module.splits.items()
    }


def test_the_configuration_gives_the_sizes_of_the_paper(compose_config: Callable[..., DictConfig]) -> None:
    cfg = compose_config("+experiment=skyfinder_rnc")
    parts = Counter(Division(**cfg.data.split).divide([f"{i}" for i in range(35417)]))
    published = SkyFinderDataModule.published.counts
    assert parts == published == {"train": 28373, "val": 3522, "test": 3522}
    module = instantiate(cfg.data, _convert_="all")
    assert (module.tolerance_hours, module.block_days) == (1.0, 7)


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_byte_order_mark_crlf_and_semicolons_do_no_harm(tmp_path: Path, separator: str) -> None:
    _write(tmp_path, [{**row, "Conds": "Clear"} for row in _days(6)])
    table = tmp_path / "complete_table_with_mcr.csv"
    text = table.read_bytes().replace(b"\n", b"\r\n").replace(b",", separator.encode())
    table.write_bytes(b"\xef\xbb\xbf" + text)
    assert len(_chosen(_read(tmp_path))) == 6


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    rows = _days(12)
    good = [row.copy() for row in rows]
    rows[0]["TempM"] = "warm"
    rows[1]["TempM"] = 75.5  # no sentinel, no weather
    rows[2]["Hour"] = 25
    rows[3] |= {"Month": 2, "Day": 30}
    rows[4]["Filename"] = ""
    rows[5]["Filename"] = "../" + rows[5]["Filename"]
    rows.append(rows[6])
    _write(tmp_path, rows)
    broken = tmp_path / "images/162" / rows[7]["Filename"]
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(UserError, match="8 samples cannot be used") as raised:
        _read(tmp_path)
    table = "complete_table_with_mcr.csv, row"
    assert sorted(raised.value.details)[:7] == sorted(
        [
            f"TempM not a number: {table} 2 (warm)",
            f"TempM outside -60 to 60: {table} 3 (75.5)",
            f"no local time: {table} 4 ({rows[2]['Filename']})",
            f"no local time: {table} 5 ({rows[3]['Filename']})",
            f"Filename missing: {table} 6",
            f"Filename that is a path: {table} 7 ({rows[5]['Filename']})",
            f"picture that occurs more than once: {table} 14 (162/{rows[6]['Filename']}, first in row 8)",
        ]
    )
    assert sum(str(broken) in line for line in raised.value.details) == 1
    skipping = _read(tmp_path, on_bad="skip")
    assert sum(skipping.skipped.values()) == 8
    assert set(_chosen(skipping)) == {f"162/{good[i]['Filename']}" for i in (6, 8, 9, 10, 11)}


def test_nothing_there_says_what_to_get(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no .*complete_table_with_mcr\.csv.*zenodo"):
        _read(tmp_path)
    _write(tmp_path, _days(4), without=[f"162/{row['Filename']}" for row in _days(4)])
    with pytest.raises(UserError, match=r"no picture in .*zenodo"):
        _read(tmp_path)
    (tmp_path / "images/0162").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "images/0162" / _days(4)[0]["Filename"])
    with pytest.raises(UserError, match="folders are named by CamId"):
        _read(tmp_path)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [({"tolerance_hours": 0}, "tolerance_hours"), ({"block_days": 0}, "block_days"), ({"split": {"val": 2}}, "split")],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _module(tmp_path, **keywords)
    _write(tmp_path, _days(4))
    with pytest.raises(ValueError, match=r"split\.by must be sample or camera or day, got 'person'"):
        _read(tmp_path, {"by": "person"})


def test_copies_elsewhere_are_told_and_those_below_images_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = _days(8)
    _write(tmp_path, rows)
    _write(tmp_path, rows, images="a_thumbs")
    module = _read(tmp_path)
    assert "8 pictures are in more than one folder named by their camera" in caplog.text
    assert all("a_thumbs" not in str(path) for split in module.splits.values() for path in split.inputs.paths)


def test_links_that_lead_round_in_circles_end(tmp_path: Path) -> None:
    _write(tmp_path, _days(8))
    for i in range(3):
        (tmp_path / f"images/loop{i}").symlink_to(tmp_path, target_is_directory=True)
    assert len(_chosen(_read(tmp_path))) == 8


def test_what_was_wrong_with_the_rows_is_told_where_none_is_left(tmp_path: Path) -> None:
    _write(tmp_path, [{**row, "Min": ""} for row in _days(8)])
    with pytest.raises(UserError, match=r"no picture .*Found before that: 8 samples that cannot be used:") as raised:
        _read(tmp_path)
    assert raised.value.details[0].startswith("no local time: complete_table_with_mcr.csv, row 2")
