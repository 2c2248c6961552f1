"""The files of a run that a logger may send."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFiles:
    """The files of a run that a logger may send at its end.

    Attributes:
        predictions: One row per test sample.
        plots: Folder of the plots.
        encoder: The final encoder and its JSON.
        histories: For each stage that another run trained, which the logger has not seen, tables of its epochs; some of
            these files may not exist.
    """

    predictions: Path
    plots: Path
    encoder: Sequence[Path]
    histories: Mapping[str, Sequence[Path]]
