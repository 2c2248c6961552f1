"""Synthetic data in the layout of SkyFinder: folders of webcam pictures and a table with weather and attributes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.synthetic.checks import check_arguments
from rnc_lightning.synthetic.painting import save_jpeg
from rnc_lightning.synthetic.sky import Air, Scene, draw_landscape, draw_scene

_COLUMNS = (  # noqa: SIM905  (a line for each would fill the screen)
    "Filename CamId Year hoiem_MCR svetlana2010_MCR tcwc_MCR Date Month Day Hour Min Timezone Latitude Longitude "
    "TempM TempI Hum WspdM VisM PressureM Conds Fog Rain Snow dirty daylight night sunrisesunset sunny clouds storm"
).split()

_ZIPPED = "home/mihail/mypages/rpmihail/skyfinder/images"  # the path in one of the two kinds of archive
_TRUNCATED = datetime(2013, 6, 17, 10, 12, 31)  # GMT; this file is truncated in the official download
_FIRST_DAY = date(2012, 1, 1)
_RESERVED_DAYS = 20  # at the start, for faulty pictures and the shared file name


@dataclass(frozen=True)
class _Camera:
    number: int
    timezone: int
    latitude: float
    longitude: float
    warmth: float  # degrees Celsius that its altitude and surroundings add
    scene: Scene


@dataclass(frozen=True)
class _Shot:
    """One picture, or a row or a file without the other."""

    camera: _Camera
    taken: datetime  # local
    row: bool = True  # whether the table has it
    picture: bool = True  # whether there is a file
    sentinel: int | None = None  # in place of the temperature

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

    A sample is a day of a camera with a picture near eleven o'clock; most days have further pictures. File names have
    the time in Greenwich, the table the local time. With traps there are additional days with a temperature of -9999 or
    -999, a row without a picture, a picture without a row, or a truncated picture. The days of samples then also have
    rows with the hour 24, and two cameras have the same file names.

    Args:
        out: Folder to write into.
        samples: Number of days with a label, over all cameras.
        size: Height of the pictures in pixels; the width is 4/3 of it.
        seed: The same seed gives the same bytes.
        traps: Whether to write the irregularities that a reader must skip or correct.
        layout: `images`, or `zip`: the pictures in the long path that one kind of archive has.
        on_sample: Called after each day of a camera.

    Raises:
        UserError: For fewer than 20 samples, a size below 16 or an unknown layout.
    """
    check_arguments(samples, 20, size, layout, ("images", "zip"))
    cameras = _draw_cameras(int(np.clip(samples // 30, 4, 44)), size, seed)
    images = out / "skyfinder" / "images" / (_ZIPPED if layout == "zip" else "")
    rows: list[dict[str, object]] = []
    for i, camera in enumerate(cameras):
        count = samples // len(cameras) + (i < samples % len(cameras))
        for shots in _draw_days(camera, i, count, seed, traps):
            rows += _write_pictures(shots, images, seed)
            on_sample()
    if traps:
        rows += _write_pictures(_faulty_shots(cameras), images, seed)
        truncated = images / str(cameras[0].number) / f"{_TRUNCATED:%Y%m%d_%H%M%S}.jpg"
        content = truncated.read_bytes()
        truncated.write_bytes(content[: int(0.7 * len(content))])
    table = pd.DataFrame(rows, columns=_COLUMNS, dtype=object)
    table.to_csv(out / "skyfinder" / "complete_table_with_mcr.csv", index=False, lineterminator="\n")


def _draw_cameras(count: int, size: int, seed: int) -> list[_Camera]:
    """Cameras between 25 and 60 degrees north; the first two are one hour ahead of Greenwich, the others anywhere."""
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


def _draw_days(camera: _Camera, index: int, count: int, seed: int, traps: bool) -> Iterator[list[_Shot]]:
    """Pictures of each day of a camera: one within forty minutes of eleven o'clock, up to two at other hours."""
    generator = np.random.default_rng(derive_seed(seed, "skyfinder", "days", index))
    numbers = np.arange(_RESERVED_DAYS, max(1000, 2 * count))
    numbers = numbers[numbers != (_TRUNCATED.date() - _FIRST_DAY).days]
    for k, number in enumerate(np.sort(generator.choice(numbers, count, replace=False))):
        day = _FIRST_DAY + timedelta(days=int(number))
        if traps and index < 2 and k == 0:
            day = _FIRST_DAY + timedelta(days=_RESERVED_DAYS - 1)  # the same file name in two folders
            minutes = [660]
        else:
            others = generator.choice([7, 8, 9, 13, 15, 17, 19], int(generator.integers(0, 3)), replace=False)
            minutes = [int(660 + generator.integers(-40, 41)), *(int(60 * h + generator.integers(60)) for h in others)]
        if traps and k % 12 == 5:
            minutes.append(24 * 60 + int(generator.integers(60)))
        midnight = datetime(day.year, day.month, day.day)
        seconds = 0 if minutes == [660] else int(generator.integers(60))
        yield [_Shot(camera, midnight + timedelta(minutes=m, seconds=seconds)) for m in sorted(minutes)]


def _faulty_shots(cameras: list[_Camera]) -> list[_Shot]:
    """Shots on the reserved days: sentinels, a row without a picture or the reverse; and one picture to truncate."""
    shots = [_Shot(cameras[0], _TRUNCATED + timedelta(hours=cameras[0].timezone))]
    for i, camera in enumerate(cameras[:8]):
        noon = [datetime(2012, 1, 2 + k, 11, 3 * i + k, 5) for k in range(4)]
        shots += [_Shot(camera, noon[0], sentinel=-9999), _Shot(camera, noon[1], sentinel=-999)]
        shots += [_Shot(camera, noon[2], picture=False)] if i < 2 else []
        shots += [_Shot(camera, noon[3], row=False)] if i % 2 else []
    return shots


def _write_pictures(shots: list[_Shot], images: Path, seed: int) -> list[dict[str, object]]:
    """Write the pictures and return the rows of the table."""
    rows = []
    for shot in shots:
        camera, taken = shot.camera, shot.taken
        today = np.random.default_rng(derive_seed(seed, "skyfinder", "weather", camera.number, taken.toordinal()))
        generator = np.random.default_rng(derive_seed(seed, "skyfinder", "shot", camera.number, shot.file))
        air = _draw_weather(camera, taken, today)
        if shot.picture:
            pixels = draw_landscape(camera.scene, air, generator)
            save_jpeg(pixels, images / str(camera.number) / shot.file, quality=88)
        if shot.row:
            measured = shot.sentinel or round(float(np.clip(air.temperature + generator.normal(0, 1), -27, 49)), 1)
            rows.append(_row(shot, air, measured, generator))
    return rows


def _draw_weather(camera: _Camera, taken: datetime, today: np.random.Generator) -> Air:
    """The weather at one time; `today` is the same for all pictures of a day."""
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
    if hour == 0:  # in the table the hour after midnight is hour 24 of the day before
        local_day, hour = local_day - timedelta(days=1), 24
    night = float(air.sun < -0.1)
    values = {
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
    return {column: values.get(column, f"{generator.uniform():.4f}") for column in _COLUMNS}
