from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnc_lightning.datasets.reading.random_split import Division, read_division, row_contents, write_division
from rnc_lightning.datasets.reading.tables import Table, read_table
from rnc_lightning.system.errors import UserError

NAMES = [f"image-{i:03d}" for i in range(200)]
CAMERAS = [i * i % 17 for i in range(200)]


def test_shares_and_determinism() -> None:
    parts = Division(val=0.1, test=0.2).divide(NAMES)
    assert Counter(parts) == {"train": 140, "val": 20, "test": 40}
    assert Division(val=0.1, test=0.2).divide(NAMES) == parts
    assert Division(val=0.1, test=0.2, seed=1).divide(NAMES) != parts


def test_the_order_of_the_samples_does_not_matter() -> None:
    """Folders are listed in another order on every machine."""
    parts = dict(zip(NAMES, Division().divide(NAMES), strict=True))
    order = np.random.default_rng(0).permutation(len(NAMES))
    shuffled = [NAMES[i] for i in order]
    assert dict(zip(shuffled, Division().divide(shuffled), strict=True)) == parts


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_never_torn_apart(seed: int) -> None:
    parts = Division(by="camera", val=0.15, test=0.2, seed=seed).divide(NAMES, {"camera": CAMERAS})
    homes: dict[int, set[str]] = {}
    for camera, part in zip(CAMERAS, parts, strict=True):
        homes.setdefault(camera, set()).add(part)
    assert all(len(home) == 1 for home in homes.values())
    counts, largest = Counter(parts), max(Counter(CAMERAS).values())
    assert abs(counts["test"] - 40) <= largest
    assert abs(counts["val"] - 30) <= largest
    assert min(counts.values()) > 0


def test_huge_groups_still_fill_each_part() -> None:
    groups = ["a"] * 90 + ["b"] * 5 + ["c"] * 5
    parts = Division(by="group").divide([str(i) for i in range(100)], {"group": groups})
    assert set(parts) == {"train", "val", "test"}


def test_a_file_of_an_earlier_run_is_used_again(tmp_path: Path) -> None:
    parts = Division(seed=3).divide(NAMES)
    named = {part: [n for n, p in zip(NAMES, parts, strict=True) if p == part] for part in ("train", "val", "test")}
    write_division(tmp_path / "split.csv", named)  # type: ignore[arg-type]
    again = Division(seed=9, file=str(tmp_path / "split.csv"))
    assert again.divide(NAMES) == parts
    assert again.divide(NAMES[:50]) == parts[:50]
    with pytest.raises(UserError, match="does not contain 1 of the 201 samples, for example other"):
        again.divide([*NAMES, "other"])
    (tmp_path / "split.csv").write_text("name,split\nimage-000,trane\n")
    with pytest.raises(UserError, match=r"split other than train, val, test: 'trane', split\.csv, row 2"):
        read_division(tmp_path / "split.csv", NAMES)


@pytest.mark.parametrize(("val", "test"), [(0.0, 0.1), (0.1, 0.0), (0.5, 0.5), (-0.1, 0.5)])
def test_shares_that_leave_nothing_are_refused(val: float, test: float) -> None:
    with pytest.raises(ValueError, match="must be positive and sum to less than 1"):
        Division(val=val, test=test)


def test_unknown_groupings_and_too_few_groups() -> None:
    with pytest.raises(ValueError, match=r"split\.by must be sample or camera, got 'cam'"):
        Division(by="cam").divide(NAMES, {"camera": CAMERAS})
    with pytest.raises(UserError, match="2 of them cannot be divided"):
        Division(by="camera").divide(NAMES, {"camera": [0, 1] * 100})


def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("name,split\na,train\nb,val\na,test\n")
    with pytest.raises(UserError, match=r"split\.csv assigns a to train and, in split\.csv, row 4, to test"):
        read_division(tmp_path / "split.csv", ["a"])


def _table(path: Path, rows: list[str]) -> Table:
    path.write_text("\n".join(["a,b,y", *rows]) + "\n")
    return read_table(path, ["a", "b", "y"])


def test_rows_without_a_name_are_found_by_their_content(tmp_path: Path) -> None:
    rows = [f"{i},{i * i % 7},{i}.5" for i in range(30)]
    contents = row_contents(_table(tmp_path / "t.csv", rows), ["a", "b", "y"])
    names = [f"row {i + 2}" for i in range(30)]
    parts = Division().divide(names)
    named = {part: [n for n, p in zip(names, parts, strict=True) if p == part] for part in ("train", "val", "test")}
    file = tmp_path / "split.csv"
    write_division(file, named, dict(zip(names, contents, strict=True)))  # type: ignore[arg-type]
    assert read_division(file, names, contents) == parts
    order = np.random.default_rng(0).permutation(30)
    resorted = row_contents(_table(tmp_path / "t.csv", [rows[i] for i in order]), ["y", "b", "a"])
    assert read_division(file, names, resorted) == [parts[i] for i in order]
    assert read_division(file, names[:20], contents[:20]) == parts[:20]  # some rows were removed
    rows[3] = "3,2,4.5"
    changed = row_contents(_table(tmp_path / "t.csv", rows), ["a", "b", "y"])
    with pytest.raises(UserError, match=r"does not contain 1 of the 30 rows, for example row 5: .*\(data\.id=COLUMN\)"):
        read_division(file, names, changed)


def test_equal_rows_get_what_equal_rows_had(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("name,split,content\nrow 2,train,x\nrow 3,test,x\nrow 4,val,y\n")
    names = ["row 2", "row 3", "row 4"]
    assert read_division(tmp_path / "split.csv", names, ["y", "x", "x"]) == ["val", "train", "test"]
    with pytest.raises(UserError, match="does not contain 1 of the 3 rows, for example row 4"):
        read_division(tmp_path / "split.csv", names, ["x", "x", "x"])


def test_bare_row_numbers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("name,split\nrow 2,train\nrow 3,test\n")
    with pytest.raises(UserError, match=r"nothing shows that these are the same rows: name a column .*data\.id=COLUMN"):
        read_division(tmp_path / "split.csv", ["row 2", "row 3"], ["x", "y"])


def test_the_same_numbers_in_another_format_are_the_same_content(tmp_path: Path) -> None:
    table = _table(tmp_path / "t.csv", ["1,NA,0.50", "2.0,x,1e-5"])
    frame = pd.DataFrame({"y": [0.5, 1e-5], "a": [1, 2], "b": ["NA", "x"]})
    frame.to_parquet(tmp_path / "t.parquet")
    other = read_table(tmp_path / "t.parquet", ["a", "b", "y"])
    assert row_contents(table, ["a", "b", "y"]) == row_contents(other, ["a", "b", "y"])
    long = _table(tmp_path / "t.csv", ["12345678901234567,1,1", "12345678901234568,1,1"])
    assert len(set(row_contents(long, ["a", "b", "y"]))) == 2
