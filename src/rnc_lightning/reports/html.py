"""The report as one HTML file that needs nothing else."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rnc_lightning.reports.contents import COMPETING, group_of
from rnc_lightning.reports.names import metric_label
from rnc_lightning.reports.table import Cell, MetricTable, Report
from rnc_lightning.reports.text import (  # fmt: skip
    LEGEND,
    Column,
    Line,
    columns,
    decimals,
    figure_text,
    groups,
    lines,
    matrices,
    number,
    report_title,
    status_text,
    table_title,
)


@dataclass(frozen=True)
class View:
    """A table as the page shows it."""

    id: str
    title: str
    columns: list[Column]
    constants: list[Line]
    groups: list[tuple[str, list[Line]]]


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


@dataclass(frozen=True)
class Section:
    """All of a data set."""

    id: str
    dataset: str
    views: list[View]
    galleries: list[Gallery]


def page(report: Report, picture: Path | None = None) -> str:
    """The whole page.

    Args:
        report: What is shown.
        picture: The figure, which is embedded.
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
        matrices=matrices(report),
        picture=data_uri(picture) if picture else None,
        picture_text=figure_text(report),
        legend=LEGEND,
    )
    return text.rstrip() + "\n"


def slugs(names: list[str]) -> Mapping[str, str]:
    """An identifier for each name, of letters, digits and underscores, no two alike.

    >>> slugs(["AgeDB", "age db", "age-db"])
    {'AgeDB': 'agedb', 'age db': 'age_db', 'age-db': 'age_db_2'}
    """
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "data"
        slug, count = plain, 1
        while slug in found.values():
            count += 1
            slug = f"{plain}_{count}"
        found[name] = slug
    return found


def _sections(report: Report) -> list[Section]:
    ids = slugs(list(dict.fromkeys(table.dataset for table in report.tables)))
    return [
        Section(
            slug,
            dataset,
            [_view(table, slug) for table in report.tables if table.dataset == dataset],
            galleries([table for table in report.main_tables if table.dataset == dataset]),
        )
        for dataset, slug in ids.items()
    ]


def _view(table: MetricTable, slug: str) -> View:
    constants, methods = lines(table)
    place = f"{slug}-competing" if table.kind == COMPETING else slug
    return View(f"{place}-{table.metric}", table_title(table), columns(table), constants, groups(methods))


_KINDS = (
    ("Features of the test set, by PCA", "projection_pca.png"),
    ("Predictions against targets", "predictions.png"),
    ("Curves over epochs", "curves_*.png"),
)


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
