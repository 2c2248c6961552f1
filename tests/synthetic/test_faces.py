import csv
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rnc_lightning.synthetic.agedb import write_agedb
from rnc_lightning.synthetic.faces import draw_face, draw_person
from rnc_lightning.synthetic.imdb_wiki import write_imdb_wiki
from rnc_lightning.system.errors import UserError

SAMPLES = 240


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def agedb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("agedb")
    write_agedb(out, SAMPLES, 40, 3)
    return out


@pytest.fixture(scope="module")
def imdb_wiki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("imdb_wiki")
    write_imdb_wiki(out, SAMPLES, 40, 3)
    return out


def test_agedb_names_have_id_name_age_and_sex(agedb: Path) -> None:
    rows = _rows(agedb / "agedb.csv")
    assert (agedb / "agedb.csv").read_text(encoding="utf-8").startswith("age,path,split\n")
    found = [re.fullmatch(r"AgeDB/(\d+)_(.+)_(\d+)_([mf])\.jpg", row["path"]) for row in rows]
    assert all(found)
    assert len({match[1] for match in found if match}) == SAMPLES == len(list((agedb / "AgeDB").iterdir()))
    assert [match[3] for match in found if match] == [row["age"] for row in rows]
    assert 1 <= min(int(row["age"]) for row in rows) < 12 < 80 < max(int(row["age"]) for row in rows) <= 101


def test_agedb_splits_by_image(agedb: Path) -> None:
    rows = _rows(agedb / "agedb.csv")
    assert Counter(row["split"] for row in rows) == {"train": 178, "val": 31, "test": 31}
    in_split = {
        split: {row["path"].split("_")[1] for row in rows if row["split"] == split}
        for split in ("train", "val", "test")
    }
    assert in_split["train"] & in_split["val"] & in_split["test"]


def test_agedb_names_that_do_not_match(agedb: Path) -> None:
    missing = [row["path"] for row in _rows(agedb / "agedb.csv") if not (agedb / row["path"]).exists()]
    decoded = [path for path in missing if (agedb / path.encode("cp866").decode("cp437")).exists()]
    by_number = [path for path in missing if len(list(agedb.glob(path.split("_")[0] + "_*"))) == 1]
    assert by_number == missing
    assert decoded
    assert len(decoded) < len(missing)


def test_agedb_without_traps(tmp_path: Path) -> None:
    write_agedb(tmp_path, 30, 24, 0, traps=False)
    assert all((tmp_path / row["path"]).exists() for row in _rows(tmp_path / "agedb.csv"))


def test_faces_show_the_age_roughly(
    agedb: Path, ridge_r2: Callable[..., float], thumbnails: Callable[..., np.ndarray]
) -> None:
    rows = _rows(agedb / "agedb.csv")
    paths = [next(agedb.glob(row["path"].split("_")[0] + "_*")) for row in rows]
    assert len({Image.open(path).size for path in paths}) > 20
    assert 0.25 < ridge_r2(thumbnails(paths), [float(row["age"]) for row in rows]) < 0.9


@pytest.mark.parametrize(("height", "width"), [(48, 48), (224, 224), (60, 91)])
def test_a_face_in_any_size(height: int, width: int) -> None:
    generator = np.random.default_rng(0)
    pixels = draw_face(draw_person(generator), 40, generator, height, width)
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 20


def test_imdb_wiki_ages_follow_from_the_names(imdb_wiki: Path) -> None:
    pattern = r"(imdb_crop/\d\d/nm\d+_rm\d+|wiki_crop/\d\d/\d+)_(\d+)-(\d+)-(\d+)_(\d+)\.jpg"
    rows = _rows(imdb_wiki / "imdb_wiki.csv")
    for row in rows:
        match = re.fullmatch(pattern, row["path"])
        assert match
        assert int(row["age"]) == int(match[5]) - int(match[2]) - (int(match[3]) >= 7)
        assert re.search(r"(\d\d)(_rm\d+)?$", match[1])[1] == row["path"].split("/")[1]  # type: ignore[index]
        assert (imdb_wiki / row["path"]).exists()
    assert len({row["path"] for row in rows}) == SAMPLES
    trees = Counter(row["path"].split("/")[0] for row in rows)
    assert trees["imdb_crop"] > 4 * trees["wiki_crop"] > 0
    assert any(re.search(r"_\d+-\d-\d+_", row["path"]) for row in rows if row["path"].startswith("imdb"))  # not padded


def test_imdb_wiki_people_have_one_birthday(imdb_wiki: Path) -> None:
    birthdays: dict[str, set[str]] = {}
    for row in _rows(imdb_wiki / "imdb_wiki.csv"):
        if int(row["age"]) <= 105 and row["path"].startswith("imdb"):
            person, _, birthday, _ = row["path"].split("/")[-1].split("_")
            birthdays.setdefault(person, set()).add(birthday)
    assert {len(found) for found in birthdays.values()} == {1}
    assert len(birthdays) < SAMPLES / 3


def test_imdb_wiki_splits_and_traps(imdb_wiki: Path) -> None:
    rows = _rows(imdb_wiki / "imdb_wiki.csv")
    assert Counter(row["split"] for row in rows) == {"train": 216, "val": 12, "test": 12}
    assert "L" in {Image.open(imdb_wiki / row["path"]).mode for row in rows}
    too_old = [row for row in rows if int(row["age"]) > 105]
    assert [row["split"] for row in too_old] == ["train"]
    assert int(too_old[0]["age"]) <= 186


def test_imdb_wiki_faces_show_the_age(
    imdb_wiki: Path, ridge_r2: Callable[..., float], thumbnails: Callable[..., np.ndarray]
) -> None:
    rows = [row for row in _rows(imdb_wiki / "imdb_wiki.csv") if int(row["age"]) <= 100]
    features = thumbnails([imdb_wiki / row["path"] for row in rows])
    assert 0.15 < ridge_r2(features, [float(row["age"]) for row in rows]) < 0.9


def test_too_few_or_too_small(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 30, got 3"):
        write_agedb(tmp_path, 3)
    with pytest.raises(UserError, match="at least 16 pixels a side, got 8"):
        write_imdb_wiki(tmp_path, 50, 8)
    assert not list(tmp_path.iterdir())
