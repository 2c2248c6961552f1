"""The plots of one run a row, embedded into the page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnc_lightning.report.competing import group_of
from rnc_lightning.report.contents import COMPETING
from rnc_lightning.report.layout import decimals, number, status_text
from rnc_lightning.report.names import metric_label
from rnc_lightning.report.table import Cell, MetricTable

_KINDS = (
    ("Features of the test set, by PCA", "projection_pca.png"),
    ("Predictions against targets", "predictions.png"),
    ("Curves over epochs", "curves_*.png"),
)


@dataclass(frozen=True)
class Picture:
    """A plot of a run.

    Attributes:
        caption: Method, seed and error.
        uri: The picture as a data URI, or None where there is none.
        missing: Why there is none.
    """

    caption: str
    uri: str | None
    missing: str = ""


@dataclass(frozen=True)
class Gallery:
    """The plots of one kind.

    Attributes:
        title: What they show.
        groups: The pictures of each head, alone and on RnC, then those of each group of competing methods.
    """

    title: str
    groups: list[list[Picture]]


def galleries(tables: Sequence[MetricTable]) -> list[Gallery]:
    """One gallery for each kind of plot, with the lowest finished seed of each row.

    Args:
        tables: Of the data set's main error; a row that stands in several is shown once.
    """
    shown: set[tuple[object, ...]] = set()
    groups: list[tuple[MetricTable, list[Cell]]] = []
    for table in tables:
        cells = [cell for cell in table.cells if cell.row.identity not in shown]
        shown |= {cell.row.identity for cell in cells}
        names = dict.fromkeys(_group(cell, table) for cell in cells)
        groups += [(table, [cell for cell in cells if _group(cell, table) == name]) for name in names]
    ran = [(table, cells) for table, cells in groups if any(cell.row.seeds for cell in cells)]
    return [
        Gallery(
            title,
            [[picture for cell in cells for picture in _pictures(cell, table, pattern)] for table, cells in ran],
        )
        for title, pattern in _KINDS
    ]


def _group(cell: Cell, table: MetricTable) -> str:
    return group_of(cell.row) if table.kind == COMPETING else cell.row.head


def data_uri(path: Path) -> str:
    """A PNG file as a URI that needs no network.

    Raises:
        ValueError: Where it is no PNG.
        OSError: Where it cannot be read.
    """
    content = path.read_bytes()
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError(f"{path.name} is no PNG file")
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def _pictures(cell: Cell, table: MetricTable, pattern: str) -> Sequence[Picture]:
    name = cell.row.label + (f" ({cell.row.details})" if cell.row.details else "")
    if not cell.row.finished:
        return [Picture(name, None, status_text(cell))]
    seed, run = min(cell.row.finished.items())
    value = cell.values.get(seed)
    unit = f" {table.unit}" if table.unit else ""
    measured = "none" if value is None else f"{number(value, decimals(table))}{unit}"
    caption = f"{name}, seed {seed}, {metric_label(cell.metric, '')} {measured}"
    paths = sorted((run.directory / "plots").glob(pattern))
    return [_picture(caption, path) for path in paths] or [Picture(caption, None, f"this run has no plots/{pattern}")]


def _picture(caption: str, path: Path) -> Picture:
    stage = path.stem.partition("_")[2] if path.stem.startswith("curves_") else ""
    caption = f"{caption}, stage {stage}" if stage else caption
    try:
        return Picture(caption, data_uri(path))
    except (OSError, ValueError) as error:
        return Picture(caption, None, f"plots/{path.name} cannot be shown: {error}")
