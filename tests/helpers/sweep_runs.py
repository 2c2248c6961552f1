"""Sweeps as a person starts them, in processes that can be told from all others."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

SHORT = ("recipe.pretrain.epochs=2", "recipe.linear_probe.epochs=2", "recipe.end_to_end.epochs=2")


def command(place: Path, *words: str) -> list[str]:
    return [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "rnc_lightning.train",
        "-m",
        *SHORT,
        *words,
        f"paths.output_dir={place}",
    ]


def sweep(place: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(place, *words), capture_output=True, text=True, timeout=600, env={**os.environ, **environment}
    )


def results(place: Path) -> dict[str, dict[str, Any]]:
    """What each run ended with, by its directory's name."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(place.glob("digits_*/*/result.json"))}


def records(place: Path) -> list[dict[str, Any]]:
    """The jobs of the latest sweep."""
    latest = max((place / "sweeps").iterdir())
    return [json.loads(path.read_text()) for path in sorted((latest / "jobs").glob("*.json"))]


def mark() -> dict[str, str]:
    """A variable by which a sweep's processes, and theirs, are known."""
    return {"SWEEP_MARK": uuid.uuid4().hex}


def alive(marked: dict[str, str]) -> list[int]:
    """Processes that have the mark in their environment and are no zombies."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                has = marked["SWEEP_MARK"].encode() in (folder / "environ").read_bytes()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if has and state != "Z":
                found.append(int(folder.name))
    return found
