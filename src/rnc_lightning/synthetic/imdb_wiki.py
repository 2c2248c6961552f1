"""Synthetic data in the layout of IMDB-WIKI: two trees of faces and imdb_wiki.csv."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.synthetic.checks import check_arguments
from rnc_lightning.synthetic.faces import draw_face, draw_person
from rnc_lightning.synthetic.painting import save_jpeg

_FILMS = 6  # number of images out of seven that are in imdb_crop
_TOO_OLD = 110  # years by which a wrong year of birth is too early


def write_imdb_wiki(
    out: Path,
    samples: int = 3000,
    size: int = 96,
    seed: int = 0,
    traps: bool = True,
    on_sample: Callable[[], object] = lambda: None,
) -> None:
    """Write `imdb_wiki.csv`, `imdb_crop/NN/...` and `wiki_crop/NN/...`.

    Nine tenths of the images are for training. The age is the year of the picture minus the year of birth, and minus
    one more for people born in the second half of the year. With traps, some images have only one channel, and some
    training rows have an age that nobody reaches, from a wrong year of birth.

    Args:
        out: Folder to write into.
        samples: Number of images.
        size: Typical side in pixels; it varies between images.
        seed: The same seed gives the same bytes.
        traps: Whether to write grey images and impossible ages.
        on_sample: Called after each image.

    Raises:
        UserError: For fewer than 40 samples or a size below 16.
    """
    check_arguments(samples, 40, size)
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
        person_draw = np.random.default_rng(derive_seed(seed, "imdb-wiki", "person", number))
        person = draw_person(person_draw)
        birthday = date(1900, 1, 1) + timedelta(days=int(person_draw.integers(60 * 365)))
        draw = np.random.default_rng(derive_seed(seed, "imdb-wiki", "image", i))
        age = int(np.rint(1 + 98 * draw.beta(2.6, 4.0)))
        age = min(age, 60) if i in wrong else age
        year = birthday.year + age + (birthday.month >= 7)
        label = age
        if i in wrong:
            label += _TOO_OLD
            birthday = birthday.replace(year=birthday.year - _TOO_OLD, day=min(birthday.day, 28))
        path = _film_path(number, i, birthday, year) if film else _wiki_path(number, birthday, year)
        height = max(16, round(size * draw.uniform(0.7, 1.4)))
        pixels = draw_face(person, age, draw, height, height)
        pixels = pixels.mean(axis=2).round().astype(np.uint8) if i in grey else pixels
        save_jpeg(pixels, out / path, quality=int(draw.integers(70, 96)))
        rows.append((label, path, splits.get(i, "train")))
        on_sample()
    pd.DataFrame(rows, columns=["age", "path", "split"]).to_csv(out / "imdb_wiki.csv", index=False, lineterminator="\n")


def _film_path(number: int, index: int, birthday: date, year: int) -> str:
    """The path of an image in `imdb_crop`, whose dates have no leading zeros."""
    born = f"{birthday.year}-{birthday.month}-{birthday.day}"
    return f"imdb_crop/{number % 100:02d}/nm{number}_rm{100_000_000 + index}_{born}_{year}.jpg"


def _wiki_path(number: int, birthday: date, year: int) -> str:
    return f"wiki_crop/{number % 100:02d}/{number}_{birthday.isoformat()}_{year}.jpg"
