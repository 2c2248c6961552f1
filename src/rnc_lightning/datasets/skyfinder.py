"""SkyFinder: pictures from fixed outdoor cameras and the air temperature in degrees Celsius, one picture per day.

    <root>/complete_table_with_mcr.csv
    <root>/images/<CamId>/<Filename>      or at any depth: <root>/**/<CamId>/<Filename>

A file name is the time of the picture in GMT and occurs in several cameras' folders, so a picture is identified by
camera and name. Times of day are the local ones from the table; its hour 24 is hour 0 of the next day.

As in the paper, the picture closest to 11:00 is used for each camera and local date, the earlier of two equally close.
The paper publishes neither its lists nor how close the picture had to be.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from rnc_lightning.datasets.images.datamodule import ImagesDataModule
from rnc_lightning.datasets.images.files import ImageFiles
from rnc_lightning.datasets.reading.numbers import MISSING_VALUES
from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.random_split import Division
from rnc_lightning.datasets.reading.tables import Table, find_duplicates, read_table
from rnc_lightning.datasets.splits import PARTS, Split, SplitName
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.system.errors import UserError

log = logging.getLogger(__name__)

_HOW_TO_GET = (
    "SkyFinder: get complete_table_with_mcr.csv and the cameras' archives from "
    "https://cs.valdosta.edu/~rpmihail/skyfinder (all of the archives: https://zenodo.org/records/5884485), "
    "put the table in {root} and unpack the archives in {root}/images. "
    "Elsewhere: set data.root=..., paths.data_dir=... or the environment variable RNC_DATA."
)

_TRUNCATED = ("20130617_101231.jpg", "20131225_171222.jpg")  # truncated in the archives themselves
_SUFFIXES = (".jpg", ".jpeg", ".png")
_ELEVEN = 11 * 60  # minutes
_LOCAL = ("Year", "Month", "Day", "Hour")
_NO_LABEL = (-99.0, 100.0)  # the table's codes for a missing temperature, -999 and -9999, are outside
_PLAUSIBLE = (-60.0, 60.0)


class SkyFinderDataModule(ImagesDataModule):
    """Outdoor pictures and temperatures.

    Args:
        root: Folder with the table and the pictures.
        csv: Name of the table within `root`.
        tolerance_hours: Largest distance of a picture from 11:00 local time.
        split: Arguments of `Division`. `by: sample` is the paper's kind of split: cameras and days occur in all
            parts, so that much of the temperature can be predicted without the picture. `by: camera` tests on unseen
            cameras; `by: day` keeps blocks of calendar days, the same for all cameras, in one part.
        block_days: Days per block, for `by: day`.
        **loading: Arguments of `RegressionDataModule`.

    Raises:
        ValueError: For a tolerance outside (0, 12], or a block of less than one day.
    """

    terms: ClassVar[str] = (
        "SkyFinder: https://cs.valdosta.edu/~rpmihail/skyfinder and https://zenodo.org/records/5884485, whose pages "
        "have the terms."
    )

    published: ClassVar[Published] = Published(
        counts={"train": 28373, "val": 3522, "test": 3522},
        low=-20,
        high=49,
        note="The sizes of the parts and the range are unconfirmed; the total of 35,417 pictures is confirmed. In a "
        "split by sample, predicting from camera and date alone reaches an error of 4.5 degrees; the mean has 10.2.",
    )

    def __init__(
        self,
        *,
        root: str,
        csv: str = "complete_table_with_mcr.csv",
        tolerance_hours: float = 1.0,
        split: Mapping[str, Any],
        block_days: int = 7,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        if not 0 < tolerance_hours <= 12:
            raise ValueError(f"tolerance_hours must be above 0 and at most 12, got {tolerance_hours}")
        check_whole_number("block_days", block_days, 1)
        self.root = Path(root)
        self.csv = csv
        self.tolerance_hours = tolerance_hours
        self.division = Division(**split)
        self.block_days = block_days

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the table, find the pictures, choose one per camera and day, and split them.

        Raises:
            UserError: If there is no table, no picture, or no matching row.
        """
        assert self.root is not None
        assert self.division is not None
        how_to_get = _HOW_TO_GET.format(root=self.root)
        rows = read_rows(self.root / self.csv, problems, how_to_get)
        close_rows = rows[minutes_from_eleven(rows["moment"]) <= self.tolerance_hours * 60]
        pictures = find_pictures(self.root)
        if pictures.empty:
            raise UserError(f"there is no picture in {self.root}. {how_to_get}")
        chosen = closest_to_eleven(with_pictures(close_rows, pictures))
        if chosen.empty:
            raise UserError(
                f"no picture in {self.root} belongs to a row of {self.csv} with a temperature and a local time within "
                f"{self.tolerance_hours:g} hours of 11:00: check that the folders are named by CamId, or increase "
                "data.tolerance_hours"
            )
        blocks = chosen["moment"].to_numpy().astype("M8[D]").astype(np.int64) // self.block_days
        groupings = {"camera": chosen["camera"].tolist(), "day": blocks.tolist()}
        parts = np.array(self.division.divide(chosen["key"].tolist(), groupings))
        return {part: _split(chosen[parts == part]) for part in PARTS}


def read_rows(path: Path, problems: Problems, how_to_get: str = "") -> pd.DataFrame:
    """The table's rows with a temperature: columns `camera`, `key`, `temperature` and `moment` (local time).

    Rows marked as having no temperature are counted in a log line; other unusable rows become problems.

    Raises:
        UserError: If there is no table, or it lacks a column.
    """
    table = read_table(path, ["Filename", "CamId", "TempM"], [*_LOCAL, "Min", "Timezone"], missing=how_to_get)
    if not (set(_LOCAL) <= set(table.frame.columns) or "Timezone" in table.frame.columns):
        raise UserError(f"{path} has neither the columns {', '.join(_LOCAL)} nor Timezone: the local time is unknown")
    table = _with_temperature(table, problems)
    for column in ("Filename", "CamId"):
        texts = _texts(table, column)
        table = _without(table, (texts == "").to_numpy(), f"{column} missing", column, problems)
        slashes = _texts(table, column).str.contains(r"[/\\]|^\.\.$").to_numpy(dtype=bool)
        table = _without(table, slashes, f"{column} that is a path", column, problems)
    table = table.select(~find_duplicates(_keys(table).tolist(), table, "picture", problems))
    table = _without(table, np.isnat(local_moments(table)), "no local time", "Filename", problems)
    return pd.DataFrame(
        {
            "camera": _texts(table, "CamId"),
            "key": _keys(table),
            "temperature": table.numbers("TempM"),
            "moment": local_moments(table).astype("M8[s]"),
        }
    )


def local_moments(table: Table) -> np.ndarray:
    """Local time (N,) of each row as datetime64[m], not-a-time if unknown.

    From the columns Year, Month, Day, Hour and, if present, Min; otherwise from the file name, which is in GMT, and
    the column Timezone (hours to add).
    """
    if not set(_LOCAL) <= set(table.frame.columns):
        names = _texts(table, "Filename").str.extract(r"^(\d{8}_\d{6})", expand=False)
        moments = pd.to_datetime(names, format="%Y%m%d_%H%M%S", errors="coerce")
        offset = pd.to_timedelta(table.numbers("Timezone") * 60, unit="m")
        return (moments + offset).to_numpy().astype("M8[m]")
    year, month, day, hour = (table.numbers(column) for column in _LOCAL)
    minute = table.numbers("Min") if "Min" in table.frame.columns else np.zeros(len(table))
    good = (year >= 1970) & (year < 2100) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    good &= (hour >= 0) & (hour <= 24) & (minute >= 0) & (minute < 60)  # false for NaN
    year, month, day, hour, minute = (
        np.where(good, part, 1).astype(np.int64) for part in (year, month, day, hour, minute)
    )
    months = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    days = months.astype("M8[D]") + (day - 1)
    good &= days.astype("M8[M]") == months  # excludes 30 February
    moments = days.astype("M8[m]") + (hour * 60 + minute)  # hour 24 becomes the next day
    return np.where(good, moments, np.datetime64("NaT", "m"))


def find_pictures(root: Path) -> pd.Series:
    """Every picture below a folder: paths by key `<CamId>/<Filename>`. Of copies the one in `images/` is used."""
    pictures: dict[str, Path] = {}
    copies = 0
    for folder, names in sorted(_folders(root), key=lambda pair: (not pair[0].startswith(f"{root / 'images'}"), pair)):
        for name in names:
            if name.lower().endswith(_SUFFIXES):
                key = f"{os.path.basename(folder)}/{name}"  # noqa: PTH119
                copies += pictures.setdefault(key, path := Path(folder, name)) != path
    if copies:
        log.warning(
            "SkyFinder: %d pictures are in more than one folder named by their camera; those in %s/images are used",
            *(copies, root),
        )
    return pd.Series(pictures, dtype=object)


def _folders(root: Path) -> Iterator[tuple[str, list[str]]]:
    """`root` and each folder below it with its file names; a folder reached again through links is skipped."""
    seen: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        status = os.stat(folder)  # noqa: PTH116
        if (identity := (status.st_dev, status.st_ino)) in seen:
            subfolders.clear()
            continue
        seen.add(identity)
        yield folder, names


def with_pictures(rows: pd.DataFrame, pictures: pd.Series) -> pd.DataFrame:
    """The rows with a usable picture, its path in the column `path`; missing pictures are logged.

    Args:
        rows: Columns `key` and `camera`.
        pictures: Paths by key.
    """
    truncated = rows["key"].str.rsplit("/", n=1).str[1].isin(_TRUNCATED)
    if truncated.any():
        log.info("SkyFinder: %d pictures that are truncated in the archives are skipped", truncated.sum())
    rows = rows[~truncated]
    rows = rows.assign(path=rows["key"].map(pictures))
    exists = rows["path"].notna()
    cameras = set(rows["camera"])
    absent = sorted(cameras - {key.rsplit("/", 1)[0] for key in pictures.index})
    if absent:
        log.warning(
            "SkyFinder: %d of %d cameras have no pictures: %s (six archives are gone from the project's page; "
            "https://zenodo.org/records/5884485 has all)",
            *(len(absent), len(cameras), ", ".join(absent)),
        )
    if missing := (~exists & ~rows["camera"].isin(absent)).sum():
        log.warning("SkyFinder: %d pictures of the other cameras are missing; the existing ones are used", missing)
    return rows[exists]


def minutes_from_eleven(moments: pd.Series) -> pd.Series:
    """Distance of local times from 11:00 of the same day, in minutes.

    >>> minutes_from_eleven(pd.Series(pd.to_datetime(["2013-01-15 10:48", "2013-01-15 23:00"]))).tolist()
    [12.0, 720.0]
    """
    return ((moments - moments.dt.normalize()).dt.total_seconds() / 60 - _ELEVEN).abs()


def closest_to_eleven(rows: pd.DataFrame) -> pd.DataFrame:
    """The row closest to 11:00 for each camera and local date, the earlier of two; sorted by camera and time.

    Args:
        rows: Columns `camera`, `moment` and `key`, in any order.
    """
    rows = rows.assign(day=rows["moment"].dt.normalize(), distance=minutes_from_eleven(rows["moment"]))
    rows = rows.sort_values(["camera", "day", "distance", "moment", "key"])
    return rows.drop_duplicates(["camera", "day"])


def _with_temperature(table: Table, problems: Problems) -> Table:
    """The rows with a plausible temperature."""
    values = table.numbers("TempM")
    unknown = _texts(table, "TempM").str.lower().isin(MISSING_VALUES).to_numpy()
    unknown = unknown | (values <= _NO_LABEL[0]) | (values >= _NO_LABEL[1])
    log.info("SkyFinder: %d of %d rows have no temperature", unknown.sum(), len(table))
    table = table.select(~unknown)
    table = _without(table, np.isnan(table.numbers("TempM")), "TempM not a number", "TempM", problems)
    values = table.numbers("TempM")
    outside = (values < _PLAUSIBLE[0]) | (values > _PLAUSIBLE[1])
    return _without(table, outside, f"TempM outside {_PLAUSIBLE[0]:g} to {_PLAUSIBLE[1]:g}", "TempM", problems)


def _without(table: Table, bad: np.ndarray, kind: str, column: str, problems: Problems) -> Table:
    """The table without the bad rows (mask (N,)), which become problems."""
    texts = _texts(table, column)
    for i in np.flatnonzero(bad).tolist():
        problems.add(kind, table.where(i), texts.iloc[i])
    return table.select(~bad)


def _texts(table: Table, column: str) -> pd.Series:
    """A column as text, with empty strings for empty cells and whole numbers without decimal places."""
    texts = table.frame[column].astype("string").str.strip().fillna("")
    return texts.str.replace(r"^(\d+)\.0+$", r"\1", regex=True)


def _keys(table: Table) -> pd.Series:
    return _texts(table, "CamId") + "/" + _texts(table, "Filename")


def _split(rows: pd.DataFrame) -> Split:
    labels = torch.tensor(rows["temperature"].to_numpy(), dtype=torch.float32)[:, None]
    return Split(ImageFiles(rows["path"].tolist()), labels, rows["key"].tolist())
