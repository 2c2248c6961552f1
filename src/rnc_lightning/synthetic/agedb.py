"""Synthetic data in the layout of AgeDB: one flat folder of faces and agedb.csv, some of whose file names are wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.synthetic.checks import check_arguments
from rnc_lightning.synthetic.faces import draw_face, draw_person
from rnc_lightning.synthetic.painting import save_jpeg

_SYLLABLES = ("Bra", "Dol", "Fen", "Gor", "Hul", "Jas", "Kem", "Lor", "Mav", "Nil", "Pon", "Rud", "Sel", "Tam", "Vik")
_ENDINGS = ("ba", "dun", "fra", "gel", "lin", "mor", "nak", "rill", "sko", "vey")
_ACCENTED = ("Fenél", "Lorbàn", "Mavène", "Selbén")  # code pages 437 and 866 decode these letters differently


def write_agedb(
    out: Path,
    samples: int = 2000,
    size: int = 96,
    seed: int = 0,
    traps: bool = True,
    on_sample: Callable[[], object] = lambda: None,
) -> None:
    """Write `agedb.csv` and `AgeDB/<id>_<Name>_<age>_<m|f>.jpg`.

    About 74 percent of the images are for training, 13 percent for validation and 13 percent for the test. The split
    is by image, so the same people occur in all three. With traps, some names in the table were decoded with another
    code page than the names of the files, and some files match the table only by the number at the start of the name.

    Args:
        out: Folder to write into.
        samples: Number of images.
        size: Typical side in pixels; it varies between images.
        seed: The same seed gives the same bytes.
        traps: Whether to write file names that do not match the table.
        on_sample: Called after each image.

    Raises:
        UserError: For fewer than 30 samples or a size below 16.
    """
    check_arguments(samples, 30, size)
    generator = np.random.default_rng(derive_seed(seed, "agedb", "table"))
    people = [
        draw_person(np.random.default_rng(derive_seed(seed, "agedb", "person", i)))
        for i in range(max(5, samples // 14))
    ]
    names = _draw_names(len(people), generator)
    person_of = generator.integers(len(people), size=samples)
    ages = np.rint(1 + 100 * generator.beta(2.2, 2.8, samples)).astype(int)
    held_out = round(0.13 * samples)
    splits = generator.permutation(["val"] * held_out + ["test"] * held_out + ["train"] * (samples - 2 * held_out))
    rows = []
    for i in range(samples):
        person, age = people[person_of[i]], int(ages[i])
        trap = _trap(i, samples) if traps else None
        name = str(generator.choice(_ACCENTED)) + names[person_of[i]][-4:] if trap else names[person_of[i]]
        in_table = name.encode("cp437").decode("cp866") if trap else name
        on_disk = name.encode("ascii", "replace").decode().replace("?", "#") if trap == "lost" else name
        tail = f"_{age}_{'m' if person.male else 'f'}.jpg"
        draw = np.random.default_rng(derive_seed(seed, "agedb", "image", i))
        height = max(16, round(size * draw.uniform(0.75, 1.3)))
        width = max(16, round(height * draw.uniform(0.8, 1.05)))
        pixels = draw_face(person, age, draw, height, width)
        save_jpeg(pixels, out / "AgeDB" / f"{i}_{on_disk}{tail}", quality=int(draw.integers(70, 96)))
        rows.append((age, f"AgeDB/{i}_{in_table}{tail}", splits[i]))
        on_sample()
    pd.DataFrame(rows, columns=["age", "path", "split"]).to_csv(out / "agedb.csv", index=False, lineterminator="\n")


def _trap(index: int, samples: int) -> str | None:
    """The irregularity of a row's file name, for about 8 in 1000 rows and at least two.

    `decoded`: the table has the name in another code page. `lost`: only the number at the start matches.
    """
    every = min(125, samples // 3)
    return ("decoded", "lost")[index // every % 2] if index % every == every // 2 else None


def _draw_names(count: int, generator: np.random.Generator) -> list[str]:
    """Invented names, all different."""
    names: dict[str, None] = {}
    while len(names) < count:
        parts = [generator.choice(_SYLLABLES) + generator.choice(_ENDINGS) for _ in range(2)]
        names["".join(str(part) for part in parts)] = None
    return list(names)
