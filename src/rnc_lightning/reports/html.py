"""The report as one self-contained HTML file."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rnc_lightning.reports.comparison import number
from rnc_lightning.reports.contents import COMPETING, group_of
from rnc_lightning.reports.names import metric_label
from rnc_lightning.reports.table import Cell, MetricTable, Report
from rnc_lightning.reports.text import (
    LEGEND,
    comparison_tables,
    decimals,
    figure_text,
    metric_table,
    report_title,
    status_text,
)


@dataclass(frozen=True)
class Picture:
    """A plot of a run.

    Attributes:
        caption: Method, seed and error.
        uri: The plot as a data URI, or None if there is none.
        missing: Why there is none.
    """

    caption: str
    uri: str | None
    missing: str = ""


def page(report: Report, picture: Path | None = None) -> str:
    """Return the whole page.

    Args:
        report: The report.
        picture: The figure to embed.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["raw"] = lambda value: "" if value is None else repr(float(value))
    text = environment.get_template("page.html").render(
        report=report,
        title=report_title(report),
        sections=_sections(report),
        comparisons=comparison_tables(report),
        picture=data_uri(picture) if picture else None,
        picture_text=figure_text(report),
        legend=LEGEND,
    )
    return text.rstrip() + "\n"


def slugs(names: list[str]) -> Mapping[str, str]:
    """Return a unique identifier for each name, of lower-case letters, digits and underscores.

    >>> slugs(["AgeDB", "age db", "age-db"])
    {'AgeDB': 'agedb', 'age db': 'age_db', 'age-db': 'age_db_2'}
    """
    result: dict[str, str] = {}
    for name in names:
        base = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "data"
        candidates = (base if number == 1 else f"{base}_{number}" for number in count(1))
        result[name] = next(slug for slug in candidates if slug not in result.values())
    return result


def _sections(report: Report) -> list[dict[str, Any]]:
    """Return what the template shows of each data set."""
    ids = slugs(list(dict.fromkeys(table.dataset for table in report.tables)))
    return [
        {
            "id": slug,
            "dataset": dataset,
            "tables": [metric_table(table) for table in report.tables if table.dataset == dataset],
            "galleries": _galleries([table for table in report.main_tables if table.dataset == dataset]),
        }
        for dataset, slug in ids.items()
    ]


_KINDS = (
    ("Features of the test set, by PCA", "projection_pca.png"),
    ("Predictions against targets", "predictions.png"),
    ("Curves over epochs", "curves_*.png"),
)


def _galleries(tables: Sequence[MetricTable]) -> list[dict[str, Any]]:
    """Return one gallery per kind of plot, with the lowest finished seed of each row.

    Args:
        tables: Tables of the data set's main error; a row that is in several is shown once.
    """
    shown: set[tuple[object, ...]] = set()
    groups: list[tuple[MetricTable, list[Cell]]] = []
    for table in tables:
        cells = [cell for cell in table.cells if cell.row.identity not in shown]
        shown |= {cell.row.identity for cell in cells}
        by_name: dict[str, list[Cell]] = {}
        for cell in cells:
            name = group_of(cell.row) if table.kind == COMPETING else cell.row.head
            by_name.setdefault(name, []).append(cell)
        groups += [(table, group) for group in by_name.values()]
    ran = [(table, cells) for table, cells in groups if any(cell.row.seeds for cell in cells)]
    return [
        {
            "title": title,
            "groups": [[picture for cell in cells for picture in _pictures(cell, table, glob)] for table, cells in ran],
        }
        for title, glob in _KINDS
    ]


def data_uri(path: Path) -> str:
    """Return a PNG file as a data URI.

    Raises:
        ValueError: If it is not a PNG file.
        OSError: If it cannot be read.
    """
    content = path.read_bytes()
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError(f"{path.name} is not a PNG file")
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
