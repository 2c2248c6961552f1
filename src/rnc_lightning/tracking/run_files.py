"""What of a run's files a logger may send."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFiles:
    """The files of a run that a logger may send at its end.

    Attributes:
        predictions: One row a test sample.
        plots: Folder of the plots.
        encoder: The final encoder and its card.
        histories: By stage that another run trained, so that the logger saw nothing of it, tables of its epochs; some
            may not be there.
    """

    predictions: Path
    plots: Path
    encoder: Sequence[Path]
    histories: Mapping[str, Sequence[Path]]
