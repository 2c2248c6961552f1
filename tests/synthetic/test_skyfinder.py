import csv
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rnc_lightning.synthetic.skyfinder import write_skyfinder

SAMPLES = 180


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sky")
    write_skyfinder(out, SAMPLES, 32, 5)
    return out / "skyfinder"


def _rows(root: Path) -> list[dict[str, str]]:
    with (root / "complete_table_with_mcr.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _picture(root: Path, row: dict[str, str]) -> Path:
    return root / "images" / row["CamId"] / row["Filename"]


def _chosen(root: Path) -> list[dict[str, str]]:
    """Of each camera's day the row nearest to eleven with a temperature and a picture."""
    best: dict[tuple[str, ...], tuple[int, dict[str, str]]] = {}
    for row in _rows(root):
        if float(row["TempM"]) < -99 or not _picture(root, row).exists():
            continue
        away = abs(60 * int(row["Hour"]) + int(row["Min"]) - 660)
        key = row["CamId"], row["Year"], row["Month"], row["Day"]
        if key not in best or away < best[key][0]:
            best[key] = away, row
    return [row for away, row in best.values() if away <= 60]


def test_counts_the_days_of_cameras(root: Path) -> None:
    chosen = _chosen(root)
    assert len(chosen) == SAMPLES + 1  # and the day of the picture that is cut short
    assert len({row["CamId"] for row in chosen}) == 6
    assert len(_rows(root)) > 1.3 * SAMPLES
    temperatures = [float(row["TempM"]) for row in chosen]
    assert -27.2 <= min(temperatures) < 0
    assert 25 < max(temperatures) <= 50


def test_file_names_have_greenwich_time_and_rows_local_time(root: Path) -> None:
    dates_differ = 0
    for row in _rows(root):
        taken = datetime.strptime(row["Filename"], "%Y%m%d_%H%M%S.jpg")
        local = taken + timedelta(hours=int(row["Timezone"]))
        day = datetime(int(row["Year"]), int(row["Month"]), int(row["Day"]))
        in_table = day + timedelta(hours=int(row["Hour"]), minutes=int(row["Min"]))
        assert abs(local - in_table) < timedelta(minutes=1)
        dates_differ += taken.date() != day.date()
        # MATLAB counts days from the year 0, Unix from 1970; the difference is 719529
        assert abs(float(row["Date"]) - 719529 - (in_table - datetime(1970, 1, 1)) / timedelta(days=1)) < 1 / 1000
    assert dates_differ


def test_traps_of_skyfinder(root: Path) -> None:
    rows = _rows(root)
    assert {"-9999", "-999"} <= {row["TempM"] for row in rows}
    assert any(row["Hour"] == "24" for row in rows)
    assert max(Counter(row["Filename"] for row in rows).values()) > 1
    assert len({(row["CamId"], row["Filename"]) for row in rows}) == len(rows)
    assert [row for row in rows if not _picture(root, row).exists()]
    assert set(root.rglob("*.jpg")) - {_picture(root, row) for row in rows}
    assert len(rows[0]) > 25
    (cut,) = root.rglob("20130617_101231.jpg")
    with pytest.raises(OSError, match="truncated"):
        Image.open(cut).load()
    assert cut.name in {row["Filename"] for row in _chosen(root)}


def test_zip_layout_and_no_traps(tmp_path: Path) -> None:
    write_skyfinder(tmp_path, 20, 24, 0, traps=False, layout="zip")
    root = tmp_path / "skyfinder"
    inner = root / "images" / "home" / "mihail" / "mypages" / "rpmihail" / "skyfinder" / "images"
    rows = _rows(root)
    assert {path.relative_to(inner).as_posix() for path in root.rglob("*.jpg")} == {
        f"{row['CamId']}/{row['Filename']}" for row in rows
    }
    assert all(-28 < float(row["TempM"]) < 50 and int(row["Hour"]) < 24 for row in rows)


def test_skies_show_the_temperature_roughly(
    root: Path, ridge_r2: Callable[..., float], thumbnails: Callable[..., np.ndarray]
) -> None:
    rows = [row for row in _chosen(root) if row["Filename"] != "20130617_101231.jpg"]
    temperatures = [float(row["TempM"]) for row in rows]
    assert 0.3 < ridge_r2(thumbnails([_picture(root, row) for row in rows]), temperatures) < 0.92
