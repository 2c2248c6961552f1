"""Writes a small made AgeDB in the official layout, traps included. Shares no code with the reader."""

from pathlib import Path

import numpy as np
from PIL import Image

ROWS = 24


def write(root: Path, size: int = 48) -> list[str]:
    """Write images and agedb.csv; returns the paths as the CSV has them.

    Brightness follows the age. Row 2 has a name in the CSV that was decoded with another code page than the file's;
    row 5's file has a name that only its number connects with the CSV.
    """
    (root / "AgeDB").mkdir(parents=True)
    generator = np.random.default_rng(0)
    lines, paths = ["age,path,split"], []
    for i in range(ROWS):
        age = 5 + 4 * i
        sex = "mf"[i % 2]
        name = f"{i}_MadePerson_{age}_{sex}.jpg"
        on_disk = name
        if i == 2:
            on_disk = f"{i}_Mylène_{age}_{sex}.jpg"
            name = on_disk.encode("cp437").decode("cp866")
        if i == 5:
            on_disk = f"{i}_Montalb#n_{age}_{sex}.jpg"
        pixels = generator.normal(age * 2, 15, (size, size + 8 * (i % 3), 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / "AgeDB" / on_disk, quality=92)
        split = ("train", "train", "val", "train", "test", "train")[i % 6]
        lines.append(f"{age},AgeDB/{name},{split}")
        paths.append(f"AgeDB/{name}")
    (root / "agedb.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths
