"""The report as one HTML file that needs nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rnc_lightning.report.contents import COMPETING
from rnc_lightning.report.layout import (
    LEGEND,
    Column,
    Line,
    columns,
    figure_text,
    groups,
    lines,
    report_title,
    table_title,
)  # fmt: skip
from rnc_lightning.report.matrix import matrices
from rnc_lightning.report.pictures import Gallery, data_uri, galleries
from rnc_lightning.report.table import MetricTable, Report


@dataclass(frozen=True)
class View:
    """A table as the page shows it."""

    id: str
    title: str
    columns: list[Column]
    constants: list[Line]
    groups: list[tuple[str, list[Line]]]


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
