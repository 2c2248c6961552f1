"""Synthetic data in the layout of SkyFinder: folders of webcam pictures and the table with weather and attributes."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np

from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.synthetic.checks import check_layout, check_samples, check_size
from rnc_lightning.synthetic.painting import save_jpeg
from rnc_lightning.synthetic.sky import Air, Scene, draw_scene, picture_of

_COLUMNS = (  # noqa: SIM905  (a line for each would fill the screen)
    "Filename CamId Year hoiem_MCR svetlana2010_MCR tcwc_MCR Date Month Day Hour Min Timezone Latitude Longitude "
    "TempM TempI Hum WspdM VisM PressureM Conds Fog Rain Snow dirty daylight night sunrisesunset sunny clouds storm"
).split()

_ZIPPED = "home/mihail/mypages/rpmihail/skyfinder/images"  # as one of the two kinds of archive unpacks
_TRUNCATED = datetime(2013, 6, 17, 10, 12, 31)  # GMT; this file is cut short in the official download
_FIRST_DAY = date(2012, 1, 1)


@dataclass(frozen=True)
class _Camera:
    number: int
    timezone: int
    latitude: float
    longitude: float
    warmth: float  # degrees that its height and its sea add
    scene: Scene


@dataclass(frozen=True)
class _Shot:
    """One picture: where it lies and when it was taken."""

    camera: _Camera
    taken: datetime  # local
    row: bool = True
    picture: bool = True
    sentinel: int | None = None

    @property
    def file(self) -> str:
        return f"{self.taken - timedelta(hours=self.camera.timezone):%Y%m%d_%H%M%S}.jpg"


def write_skyfinder(
    out: Path,
    samples: int = 1500,
    size: int = 96,
    seed: int = 0,
    traps: bool = True,
    layout: Literal["images", "zip"] = "images",
    on_sample: Callable[[], object] = lambda: None,
) -> None:
    """Write `skyfinder/complete_table_with_mcr.csv` and `skyfinder/images/<CamId>/<YYYYMMDD_HHMMSS>.jpg`.

    A sample is a day of a camera with a picture near eleven o'clock; most days have further pictures. File names tell
    the time in Greenwich, the table the local one. With traps there are, on days of their own, rows whose temperature
    is -9999 or -999, rows without a picture, pictures without a row and a picture that is cut short; on the days of
    samples, rows with the hour 24, and two cameras that share file names.

    Args:
        out: Folder to write into.
        samples: Days of cameras with a label.
        size: Height of the pictures in pixels; they are a third wider.
        seed: The same seed gives the same bytes.
        traps: Whether to write what a reader must leave out or put right.
        layout: `images`, or `zip`: the pictures below the long path that one kind of archive unpacks to.
        on_sample: Called after each camera's day.

    Raises:
        UserError: For fewer than 20 samples, a size below 16 or an unknown layout.
    """
    check_samples(samples, 20)
    check_size(size)
    check_layout(layout, ("images", "zip"))
    cameras = _cameras(int(np.clip(samples // 30, 4, 44)), size, seed)
    images = out / "skyfinder" / "images" / (_ZIPPED if layout == "zip" else "")
    rows: list[dict[str, object]] = []
    for i, camera in enumerate(cameras):
        count = samples // len(cameras) + (i < samples % len(cameras))
        for shots in _days(camera, i, count, seed, traps):
            for shot in shots:
                row = _take(shot, images, seed)
                rows.extend([row] if shot.row else [])
            on_sample()
    if traps:
        for shot in _spoilt(cameras):
            row = _take(shot, images, seed)
            rows.extend([row] if shot.row else [])
        cut = images / str(cameras[0].number) / f"{_TRUNCATED:%Y%m%d_%H%M%S}.jpg"
        content = cut.read_bytes()
        cut.write_bytes(content[: int(0.7 * len(content))])
    with (out / "skyfinder" / "complete_table_with_mcr.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _cameras(count: int, size: int, seed: int) -> list[_Camera]:
    """The first two are an hour ahead of Greenwich, the others anywhere between 25 and 60 degrees north."""
    cameras = []
    for i in range(count):
        generator = np.random.default_rng(derive_seed(seed, "skyfinder", "camera", i))
        timezone = 1 if i < 2 else int(generator.choice([-8, -7, -6, -5, 0, 1, 9, 10]))
        cameras.append(
            _Camera(
                number=(65, 162, 3888, 9730)[i] if i < 4 else 10_000 + 17 * i,
                timezone=timezone,
                latitude=float(generator.uniform(25, 60)),
                longitude=float(15 * timezone + generator.uniform(-7, 7)),
                warmth=float(generator.normal(0, 2.5)),
                scene=draw_scene(generator, size, round(size * 4 / 3)),
            )
        )
    return cameras


def _days(camera: _Camera, index: int, count: int, seed: int, traps: bool) -> list[list[_Shot]]:
    """Pictures of each of a camera's days: one within forty minutes of eleven, up to two at other hours."""
    generator = np.random.default_rng(derive_seed(seed, "skyfinder", "days", index))
    spoilt_free = np.arange(20, max(1000, 2 * count))  # the first days are kept for spoilt ones
    spoilt_free = spoilt_free[spoilt_free != (_TRUNCATED.date() - _FIRST_DAY).days]
    days = []
    for k, number in enumerate(np.sort(generator.choice(spoilt_free, count, replace=False))):
        day = _FIRST_DAY + timedelta(days=int(number))
        if traps and index < 2 and k == 0:
            day = _FIRST_DAY + timedelta(days=19)  # the same file name in two folders
            minutes = [660]
        else:
            others = generator.choice([7, 8, 9, 13, 15, 17, 19], int(generator.integers(0, 3)), replace=False)
            minutes = [int(660 + generator.integers(-40, 41)), *(int(60 * h + generator.integers(60)) for h in others)]
        if traps and k % 12 == 5:
            minutes.append(24 * 60 + int(generator.integers(60)))
        midnight = datetime(day.year, day.month, day.day)
        seconds = 0 if minutes == [660] else int(generator.integers(60))
        days.append([_Shot(camera, midnight + timedelta(minutes=m, seconds=seconds)) for m in sorted(minutes)])
    return days


def _spoilt(cameras: list[_Camera]) -> list[_Shot]:
    """On days of their own: sentinels, rows or pictures without the other, a picture that is cut short."""
    shots = [_Shot(cameras[0], _TRUNCATED + timedelta(hours=cameras[0].timezone))]
    for i, camera in enumerate(cameras[:8]):
        noon = [datetime(2012, 1, 2 + k, 11, 3 * i + k, 5) for k in range(4)]
        shots += [_Shot(camera, noon[0], sentinel=-9999), _Shot(camera, noon[1], sentinel=-999)]
        shots += [_Shot(camera, noon[2], picture=False)] if i < 2 else []
        shots += [_Shot(camera, noon[3], row=False)] if i % 2 else []
    return shots


def _take(shot: _Shot, images: Path, seed: int) -> dict[str, object]:
    """Take a picture and return its row of the table."""
    camera, taken = shot.camera, shot.taken
    today = np.random.default_rng(derive_seed(seed, "skyfinder", "weather", camera.number, taken.toordinal()))
    generator = np.random.default_rng(derive_seed(seed, "skyfinder", "shot", camera.number, shot.file))
    air = _air(camera, taken, today)
    if shot.picture:
        save_jpeg(picture_of(camera.scene, air, generator), images / str(camera.number) / shot.file, quality=88)
    measured = shot.sentinel or round(float(np.clip(air.temperature + generator.normal(0, 1), -27, 49)), 1)
    return _row(shot, air, measured, generator)


def _air(camera: _Camera, taken: datetime, today: np.random.Generator) -> Air:
    """The weather at one time; `today` gives the same day the same weather."""
    day = taken.timetuple().tm_yday
    hour = taken.hour + taken.minute / 60
    wave = float(np.cos(2 * np.pi * (day - 200) / 365))
    season = 30 - 0.48 * (camera.latitude - 20) + camera.warmth + (3 + 0.24 * (camera.latitude - 20)) * wave
    cover = float(today.beta(0.7, 0.7))
    weather = float(today.normal(0, 3.5)) - 3 * (cover - 0.5) * wave
    diurnal = (4.5 - 3 * cover) * float(np.cos(2 * np.pi * (hour - 15) / 24))
    tilt = np.radians(23.4) * np.sin(2 * np.pi * (day - 80) / 365)
    latitude, angle = np.radians(camera.latitude), 2 * np.pi * (hour - 12) / 24
    sun = np.sin(latitude) * np.sin(tilt) + np.cos(latitude) * np.cos(tilt) * np.cos(angle)
    temperature = season - 6 + weather + diurnal
    return Air(temperature, season - 6 + 0.5 * weather, float(sun), cover, float(today.beta(1.2, 3)))


def _row(shot: _Shot, air: Air, measured: float, generator: np.random.Generator) -> dict[str, object]:
    taken = shot.taken
    local_day, hour = taken.date(), taken.hour
    if hour == 0:  # the table counts the hour after midnight as the twenty-fourth of the day before
        local_day, hour = local_day - timedelta(days=1), 24
    night = float(air.sun < -0.1)
    known = {
        "Filename": shot.file,
        "CamId": shot.camera.number,
        "Year": local_day.year,
        "Month": local_day.month,
        "Day": local_day.day,
        "Hour": hour,
        "Min": taken.minute,
        "Date": f"{taken.toordinal() + 366 + (taken.hour * 60 + taken.minute) / 1440:.6f}",
        "Timezone": shot.camera.timezone,
        "Latitude": f"{shot.camera.latitude:.3f}",
        "Longitude": f"{shot.camera.longitude:.3f}",
        "TempM": measured,
        "TempI": measured if measured <= -99 else round(32 + 1.8 * measured, 1),
        "Conds": ("Clear", "Partly Cloudy", "Overcast")[min(2, int(3 * air.cover))],
        "Fog": int(air.haze > 0.6),
        "Rain": int(air.cover > 0.85 and measured > 2),
        "Snow": int(air.cover > 0.85 and measured <= 2),
        "daylight": 1 - night,
        "night": night,
        "clouds": f"{air.cover:.3f}",
        "Hum": int(generator.integers(20, 100)),
        "PressureM": int(generator.integers(985, 1035)),
    }
    return {column: known.get(column, f"{generator.uniform():.4f}") for column in _COLUMNS}
