"""Synthetic AgeDB-like faces, drawn by several processes: `python -m gpu.face_files FOLDER`.

A file of some 224 pixels a side takes a core a tenth of a second: 2,000 of them take 16 cores a quarter of a minute.
"""

import csv
import os
import shutil
import sys
import time
from multiprocessing import Pool
from pathlib import Path

from gpu.machine import has_gpu
from gpu.setting import Setting
from rnc_lightning.synthetic.agedb import write_agedb
from rnc_lightning.system.synthetic_marker import write_marker

FILES, SIDE = 2000, 224
SMALL_FILES, SMALL_SIDE = 60, 40
_FEWEST = 30  # that a part may have


def main() -> None:
    """Entry point."""
    draw(Path(sys.argv[1]), *((FILES, SIDE) if has_gpu() else (SMALL_FILES, SMALL_SIDE)))


def draw(folder: Path, files: int, side: int) -> None:
    """Write the faces and, at last, their table."""
    count = max(1, min(len(os.sched_getaffinity(0)), files // _FEWEST))
    shares = [files // count + (part < files % count) for part in range(count)]
    parts = [folder / f"part{part}" for part in range(count)]
    for part in parts:
        part.mkdir(parents=True)
    with Pool(count) as pool:
        pool.starmap(_write, zip(parts, shares, [side] * count, range(count), strict=True))
    rows: list[dict[str, str]] = []
    faces = folder / "AgeDB"
    faces.mkdir()
    for part in parts:
        with (part / "agedb.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                name = Path(row["path"]).name.partition("_")[2]  # the number that begins a name is unique
                target = faces / f"{len(rows)}_{name}"
                (part / row["path"]).replace(target)
                rows.append({**row, "path": f"AgeDB/{target.name}"})
        shutil.rmtree(part)
    write_marker(folder, "agedb", {"samples": files, "size": side})
    with (folder / "unfinished.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["age", "path", "split"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "unfinished.csv").replace(folder / "agedb.csv")


def _write(folder: Path, samples: int, side: int, seed: int) -> None:
    write_agedb(folder, samples=samples, size=side, seed=seed, traps=False)


def faces_when_drawn(setting: Setting) -> Path:
    """The folder of the faces, as soon as they are there.

    Raises:
        RuntimeError: Where they do not come in time.
    """
    folder = setting.folder / "faces"
    while not (folder / "agedb.csv").is_file():
        if setting.left < 5:
            log = setting.folder / "faces.log"
            raise RuntimeError(f"the faces were not drawn in time: {log.read_text(encoding='utf-8')[-500:]}")
        time.sleep(0.2)
    return folder


if __name__ == "__main__":
    main()
