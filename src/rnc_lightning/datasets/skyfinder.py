"""SkyFinder: pictures of fixed outdoor cameras and the air temperature in degrees Celsius, one picture a day.

    <root>/complete_table_with_mcr.csv
    <root>/images/<CamId>/<Filename>      or at any depth: <root>/**/<CamId>/<Filename>

A file name is the time of the picture in GMT and occurs in several cameras' folders, so a picture is known by camera
and name. Times of day are the table's local ones; its hour 24 is hour 0 of the next day.

As in the paper, of each camera and local date the picture nearest to 11:00 is used, the earlier of two equally near.
The paper's lists are not published, nor how near it had to be.
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
from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.random_split import Division
from rnc_lightning.datasets.reading.tables import MISSING_VALUES, Table, find_duplicates, read_table
from rnc_lightning.datasets.splits import PARTS, Split, SplitName
from rnc_lightning.system.errors import UserError

log = logging.getLogger(__name__)

_HOW_TO_GET = (
    "SkyFinder: get complete_table_with_mcr.csv and the cameras' archives from "
    "https://cs.valdosta.edu/~rpmihail/skyfinder (all of the archives: https://zenodo.org/records/5884485), "
    "put the table in {root} and unpack the archives in {root}/images. "
    "Elsewhere: set data.root=..., paths.data_dir=... or the environment variable RNC_DATA."
)

_TRUNCATED = ("20130617_101231.jpg", "20131225_171222.jpg")  # cut short in the archives themselves
_SUFFIXES = (".jpg", ".jpeg", ".png")
_ELEVEN = 11 * 60  # minutes
_LOCAL = ("Year", "Month", "Day", "Hour")
_NO_LABEL = (-99.0, 100.0)  # the table's words for a missing temperature, -999 and -9999, lie beyond these
_PLAUSIBLE = (-60.0, 60.0)


class SkyFinderDataModule(ImagesDataModule):
    """Outdoor pictures and temperatures.

    Args:
        root: Folder with the table and the pictures.
        csv: Name of the table within `root`.
        tolerance_hours: How far from 11:00 local time a picture may be.
        split: Arguments of `Division`. `by: sample` is the paper's kind of split; cameras and days are then in all
            parts, so that much of the temperature can be looked up without a picture. `by: camera` tests on cameras
            never seen; `by: day` keeps blocks of calendar days, the same for all cameras, in one part.
        block_days: Days of a block, for `by: day`.
        **loading: Arguments of `RegressionDataModule`.

    Raises:
        ValueError: For a tolerance that is not above 0 and at most 12, or a block of less than one day.
    """

    terms: ClassVar[str] = (
        "SkyFinder: https://cs.valdosta.edu/~rpmihail/skyfinder and https://zenodo.org/records/5884485, whose pages "
        "have the terms."
    )

    published: ClassVar[Published] = Published(
        counts={"train": 28373, "val": 3522, "test": 3522},
        low=-20,
        high=49,
        note="The sizes of the parts and the range are unconfirmed; 35,417 pictures in all are confirmed. In a split "
        "by sample, guessing by camera and calendar alone reaches an error of 4.5 degrees where the mean has 10.2.",
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
        if block_days < 1:
            raise ValueError(f"block_days must be a whole number from 1 up, got {block_days}")
        self.root = Path(root)
        self.csv = csv
        self.tolerance_hours = tolerance_hours
        self.division = Division(**split)
        self.block_days = block_days

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the table, find the pictures, choose one a day and divide them.

        Raises:
            UserError: If there is no table, no picture, or no row that fits.
        """
        assert self.root is not None
        assert self.division is not None
        how_to_get = _HOW_TO_GET.format(root=self.root)
        rows = read_rows(self.root / self.csv, problems, how_to_get)
        near = rows[minutes_from_eleven(rows["moment"]) <= self.tolerance_hours * 60]
        pictures = find_pictures(self.root)
        if pictures.empty:
            raise UserError(f"there is no picture in {self.root}. {how_to_get}")
        chosen = nearest_to_eleven(with_pictures(near, pictures))
        if chosen.empty:
            raise UserError(
                f"no picture in {self.root} belongs to a row of {self.csv} with a temperature and a local time within "
                f"{self.tolerance_hours:g} hours of 11:00: check that folders are named by CamId, or raise "
                "data.tolerance_hours"
            )
        blocks = chosen["moment"].to_numpy().astype("M8[D]").astype(np.int64) // self.block_days
        groupings = {"camera": chosen["camera"].tolist(), "day": blocks.tolist()}
        parts = np.array(self.division.divide(chosen["key"].tolist(), groupings))
        return {part: _split(chosen[parts == part]) for part in PARTS}


def read_rows(path: Path, problems: Problems, how_to_get: str = "") -> pd.DataFrame:
    """The table's rows with a temperature: columns `camera`, `key`, `temperature` and `moment` (local time).

    Rows whose temperature is known to be missing are counted in a log line; others that cannot be used are problems.

    Raises:
        UserError: If there is no table, or it lacks a column.
    """
    table = read_table(path, ["Filename", "CamId", "TempM"], [*_LOCAL, "Min", "Timezone"], missing=how_to_get)
    if not (set(_LOCAL) <= set(table.frame.columns) or "Timezone" in table.frame.columns):
        raise UserError(f"{path} has neither the columns {', '.join(_LOCAL)} nor Timezone: no local time can be told")
    table = _labelled(table, problems)
    for column in ("Filename", "CamId"):
        texts = _texts(table, column)
        table = _without(table, (texts == "").to_numpy(), f"{column} missing", column, problems)
        slashes = _texts(table, column).str.contains(r"[/\\]|^\.\.$").to_numpy(dtype=bool)
        table = _without(table, slashes, f"{column} that is a path", column, problems)
    keys = _keys(table)
    again = keys.duplicated(keep=False).to_numpy()
    repeated = np.zeros(len(table), dtype=bool)
    repeated[again] = find_duplicates(keys[again].tolist(), table.select(again), "picture", problems)
    table = table.select(~repeated)
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
    """Local time (N,) of each row as datetime64[m], not-a-time where it cannot be told.

    From the columns Year, Month, Day, Hour and, where there is one, Min; else from the file name, which is GMT, and
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
    good &= days.astype("M8[M]") == months  # else a 30th of February
    moments = days.astype("M8[m]") + (hour * 60 + minute)  # hour 24 becomes the next day
    return np.where(good, moments, np.datetime64("NaT", "m"))


def find_pictures(root: Path) -> pd.Series:
    """Every picture under a folder: paths by key `<CamId>/<Filename>`. Of copies that below `images/` is taken."""
    found: dict[str, Path] = {}
    copies = 0
    for folder, names in sorted(_folders(root), key=lambda pair: (not pair[0].startswith(f"{root / 'images'}"), pair)):
        for name in names:
            if name.lower().endswith(_SUFFIXES):
                key = f"{os.path.basename(folder)}/{name}"  # noqa: PTH119
                copies += found.setdefault(key, path := Path(folder, name)) != path
    if copies:
        log.warning(
            "SkyFinder: %d pictures lie in more than one folder named by their camera; those in %s/images are taken",
            *(copies, root),
        )
    return pd.Series(found, dtype=object)


def _folders(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Each folder below one, itself included, with its files; where links lead to it again, once."""
    seen: set[tuple[int, int]] = set()
    for folder, inner, names in os.walk(root, followlinks=True):
        status = os.stat(folder)  # noqa: PTH116
        if (known := (status.st_dev, status.st_ino)) in seen:
            inner.clear()
            continue
        seen.add(known)
        yield folder, names


def with_pictures(rows: pd.DataFrame, pictures: pd.Series) -> pd.DataFrame:
    """The rows that have a usable picture, with its path in the column `path`; a log line says what is not there.

    Args:
        rows: Columns `key` and `camera`.
        pictures: Paths by key.
    """
    cut_short = rows["key"].str.rsplit("/", n=1).str[1].isin(_TRUNCATED)
    if cut_short.any():
        log.info("SkyFinder: %d pictures known to be cut short in the archives are left out", cut_short.sum())
    rows = rows[~cut_short]
    rows = rows.assign(path=rows["key"].map(pictures))
    there = rows["path"].notna()
    cameras = set(rows["camera"])
    without = sorted(cameras - {key.rsplit("/", 1)[0] for key in pictures.index})
    if without:
        log.warning(
            "SkyFinder: %d of %d cameras have no pictures: %s (six archives are gone from the project's page; "
            "https://zenodo.org/records/5884485 has all)",
            *(len(without), len(cameras), ", ".join(without)),
        )
    if lacking := (~there & ~rows["camera"].isin(without)).sum():
        log.warning(
            "SkyFinder: %d pictures of the other cameras are missing; the choice is made among those there", lacking
        )
    return rows[there]


def minutes_from_eleven(moments: pd.Series) -> pd.Series:
    """How far local times are from 11:00 of their day, in minutes.

    >>> minutes_from_eleven(pd.Series(pd.to_datetime(["2013-01-15 10:48", "2013-01-15 23:00"]))).tolist()
    [12.0, 720.0]
    """
    return ((moments - moments.dt.normalize()).dt.total_seconds() / 60 - _ELEVEN).abs()


def nearest_to_eleven(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each camera and local date the row nearest to 11:00, the earlier of two; sorted by camera and time.

    Args:
        rows: Columns `camera`, `moment` and `key`, in any order.
    """
    rows = rows.assign(day=rows["moment"].dt.normalize(), distance=minutes_from_eleven(rows["moment"]))
    rows = rows.sort_values(["camera", "day", "distance", "moment", "key"])
    return rows.drop_duplicates(["camera", "day"])


def _labelled(table: Table, problems: Problems) -> Table:
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
    """The table without the rows that are bad (N,), which become problems."""
    texts = _texts(table, column)
    for i in np.flatnonzero(bad).tolist():
        problems.add(kind, table.where(i), texts.iloc[i])
    return table.select(~bad)


def _texts(table: Table, column: str) -> pd.Series:
    """A column as text, empty where a cell is; a whole number has no decimal places, whatever type it was read as."""
    texts = table.frame[column].astype("string").str.strip().fillna("")
    return texts.str.replace(r"^(\d+)\.0+$", r"\1", regex=True)


def _keys(table: Table) -> pd.Series:
    return _texts(table, "CamId") + "/" + _texts(table, "Filename")


def _split(rows: pd.DataFrame) -> Split:
    labels = torch.tensor(rows["temperature"].to_numpy(), dtype=torch.float32)[:, None]
    return Split(ImageFiles(rows["path"].tolist()), labels, rows["key"].tolist())
