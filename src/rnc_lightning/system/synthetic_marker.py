"""The marker file that distinguishes synthetic data from real data."""

from collections.abc import Sequence
from pathlib import Path

from rnc_lightning import __version__
from rnc_lightning.system.files import write_text

MARKER = "SYNTHETIC_DATA.txt"
ALL_PARTS = ("inputs", "target")  # the parts of a sample that can be synthetic

_HEAD = """\
SYNTHETIC DATA
Everything under this folder was made by a program. It shows no real person and no real place, and nothing was measured.
Say so wherever a number from it appears. Keep real data elsewhere.

"""


def synthetic_note(parts: Sequence[str]) -> str:
    """What titles and tables say about data whose `parts` (some of `ALL_PARTS`) are synthetic; empty for real data.

    >>> synthetic_note(["inputs", "target"]), synthetic_note(["target"]), synthetic_note([])
    ('synthetic data', 'synthetic target', '')
    """
    if set(parts) == set(ALL_PARTS):
        return "synthetic data"
    return f"synthetic {' and '.join(parts)}" if parts else ""


def synthetic_data_sets(out: Path) -> dict[str, str]:
    """The data sets listed in a folder's marker file, each with how it was made; empty if there is no marker."""
    path = out / MARKER
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line[2:].split(": ", 1) for line in lines if line.startswith("- ") and ": " in line)


def write_marker(out: Path, name: str, arguments: dict[str, object]) -> None:
    """Add a data set to a folder's marker file, or replace its line."""
    call = ", ".join([repr(name), *(f"{key}={value!r}" for key, value in arguments.items())])
    data_sets = {**synthetic_data_sets(out), name: f"rnc_lightning {__version__}, write_synthetic({call})"}
    write_text(out / MARKER, _HEAD + "".join(f"- {key}: {how}\n" for key, how in data_sets.items()))
