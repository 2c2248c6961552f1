"""Synthetic data in the layout of IMDB-WIKI: two trees of faces and imdb_wiki.csv."""

import csv
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.synthetic.checks import check_samples, check_size
from rnc_lightning.synthetic.faces import draw_person, picture_of
from rnc_lightning.synthetic.painting import save_jpeg

_FILMS = 6  # of seven images, how many come from the film tree
_TOO_OLD = 110  # years by which a year of birth is wrong


def write_imdb_wiki(
    out: Path,
    samples: int = 3000,
    size: int = 96,
    seed: int = 0,
    traps: bool = True,
    on_sample: Callable[[], object] = lambda: None,
) -> None:
    """Write `imdb_wiki.csv`, `imdb_crop/NN/...` and `wiki_crop/NN/...`.

    Nine tenths of the images are for training. The age is the year of the picture less the year of birth, less one for
    the second half of a year. With traps, some images have one channel only, and some training rows an age that no
    person reaches (a wrong year of birth).

    Args:
        out: Folder to write into.
        samples: Images.
        size: Typical side in pixels; each image has its own.
        seed: The same seed gives the same bytes.
        traps: Whether to write grey images and impossible ages.
        on_sample: Called after each image.

    Raises:
        UserError: For fewer than 40 samples or a size below 16.
    """
    check_samples(samples, 40)
    check_size(size)
    generator = np.random.default_rng(derive_seed(seed, "imdb-wiki", "table"))
    held_out = max(2, round(0.05 * samples))
    order = generator.permutation(samples)
    splits = {int(i): "val" if k < held_out else "test" for k, i in enumerate(order[: 2 * held_out])}
    wrong = {int(i) for i in order[2 * held_out :][: max(1, samples // 400)]} if traps else set()
    grey = {int(i) for i in generator.choice(samples, max(3, samples // 50), replace=False)} if traps else set()
    rows = []
    for i in range(samples):
        film = i % (_FILMS + 1) < _FILMS
        number = 9_000_000 + i // 4 if film else 90_000_000 + 7 * i
        someone = np.random.default_rng(derive_seed(seed, "imdb-wiki", "person", number))
        person = draw_person(someone)
        birthday = date(1900, 1, 1) + timedelta(days=int(someone.integers(60 * 365)))
        draw = np.random.default_rng(derive_seed(seed, "imdb-wiki", "image", i))
        age = int(np.rint(1 + 98 * draw.beta(2.6, 4.0)))
        age = min(age, 60) if i in wrong else age
        year = birthday.year + age + (birthday.month >= 7)
        years = age + (_TOO_OLD if i in wrong else 0)
        if i in wrong:
            birthday = birthday.replace(year=birthday.year - _TOO_OLD, day=min(birthday.day, 28))
        path = _film_path(number, i, birthday, year) if film else _wiki_path(number, birthday, year)
        height = max(16, round(size * draw.uniform(0.7, 1.4)))
        pixels = picture_of(person, age, draw, height, height)
        one_channel = pixels.mean(axis=2).round().astype(np.uint8)
        save_jpeg(one_channel if i in grey else pixels, out / path, quality=int(draw.integers(70, 96)))
        rows.append((years, path, splits.get(i, "train")))
        on_sample()
    with (out / "imdb_wiki.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("age", "path", "split"), *rows])


def _film_path(number: int, index: int, birthday: date, year: int) -> str:
    """These dates have no leading zeros."""
    born = f"{birthday.year}-{birthday.month}-{birthday.day}"
    return f"imdb_crop/{number % 100:02d}/nm{number}_rm{100_000_000 + index}_{born}_{year}.jpg"


def _wiki_path(number: int, birthday: date, year: int) -> str:
    return f"wiki_crop/{number % 100:02d}/{number}_{birthday.isoformat()}_{year}.jpg"
