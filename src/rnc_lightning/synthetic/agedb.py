"""Synthetic data in the layout of AgeDB: one flat folder of faces and agedb.csv, with the names that do not match."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.synthetic.checks import check_samples, check_size
from rnc_lightning.synthetic.faces import Person, draw_person, picture_of
from rnc_lightning.synthetic.painting import save_jpeg

_SYLLABLES = ("Bra", "Dol", "Fen", "Gor", "Hul", "Jas", "Kem", "Lor", "Mav", "Nil", "Pon", "Rud", "Sel", "Tam", "Vik")
_ENDINGS = ("ba", "dun", "fra", "gel", "lin", "mor", "nak", "rill", "sko", "vey")
_ACCENTED = ("Fenél", "Lorbàn", "Mavène", "Selbén")  # letters that code pages 437 and 866 read differently


def write_agedb(
    out: Path,
    samples: int = 2000,
    size: int = 96,
    seed: int = 0,
    traps: bool = True,
    on_sample: Callable[[], object] = lambda: None,
) -> None:
    """Write `agedb.csv` and `AgeDB/<id>_<Name>_<age>_<m|f>.jpg`.

    About 74 in 100 images are for training, 13 for validation and 13 for the test; the split is per image, so people
    recur in all three. With traps, some names in the table were decoded with another code page than the files' names,
    and some files have a name that only the number in front connects with the table.

    Args:
        out: Folder to write into.
        samples: Images.
        size: Typical side in pixels; each image has its own.
        seed: The same seed gives the same bytes.
        traps: Whether to write the names that do not match.
        on_sample: Called after each image.

    Raises:
        UserError: For fewer than 30 samples or a size below 16.
    """
    check_samples(samples, 30)
    check_size(size)
    generator = np.random.default_rng(derive_seed(seed, "agedb", "table"))
    people = [
        draw_person(np.random.default_rng(derive_seed(seed, "agedb", "person", i)))
        for i in range(max(5, samples // 14))
    ]
    names = _names(len(people), generator)
    whose = generator.integers(len(people), size=samples)
    ages = np.rint(1 + 100 * generator.beta(2.2, 2.8, samples)).astype(int)
    splits = _splits(samples, generator)
    rows = []
    for i in range(samples):
        person, age = people[whose[i]], int(ages[i])
        trap = _trap(i, samples) if traps else None
        name = str(generator.choice(_ACCENTED)) + names[whose[i]][-4:] if trap else names[whose[i]]
        tail = f"_{age}_{'m' if person.male else 'f'}.jpg"
        in_table = f"{i}_{name.encode('cp437').decode('cp866') if trap else name}{tail}"
        on_disk = f"{i}_{name.encode('ascii', 'replace').decode().replace('?', '#') if trap == 'lost' else name}{tail}"
        _photograph(person, age, derive_seed(seed, "agedb", "image", i), size, out / "AgeDB" / on_disk)
        rows.append((age, f"AgeDB/{in_table}", splits[i]))
        on_sample()
    with (out / "agedb.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("age", "path", "split"), *rows])


def _photograph(person: Person, age: int, seed: int, size: int, path: Path) -> None:
    """Write one image with a height, width and quality of its own."""
    generator = np.random.default_rng(seed)
    height = max(16, round(size * generator.uniform(0.75, 1.3)))
    width = max(16, round(height * generator.uniform(0.8, 1.05)))
    save_jpeg(picture_of(person, age, generator, height, width), path, quality=int(generator.integers(70, 96)))


def _trap(index: int, samples: int) -> str | None:
    """About eight rows in a thousand, two at least: 'decoded' wrongly, or 'lost' but for the number in front."""
    every = min(125, samples // 3)
    return ("decoded", "lost")[index // every % 2] if index % every == every // 2 else None


def _splits(samples: int, generator: np.random.Generator) -> list[str]:
    held_out = round(0.13 * samples)
    words = ["val"] * held_out + ["test"] * held_out + ["train"] * (samples - 2 * held_out)
    return [words[i] for i in generator.permutation(samples)]


def _names(count: int, generator: np.random.Generator) -> list[str]:
    """Names of nobody, all different."""
    names: dict[str, None] = {}
    while len(names) < count:
        parts = [generator.choice(_SYLLABLES) + generator.choice(_ENDINGS) for _ in range(2)]
        names["".join(str(part) for part in parts)] = None
    return list(names)
