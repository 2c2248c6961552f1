"""The report as values: the rows and cells of each data set and metric. The writers only format them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnc_lightning.reports.contents import COMPETING, listed_heads, rows_by_table
from rnc_lightning.reports.names import is_r2, synthetic_remark
from rnc_lightning.reports.pairing import find_head_alone
from rnc_lightning.reports.provenance import facts
from rnc_lightning.reports.published import published_rows, published_value, regression_losses
from rnc_lightning.reports.read_runs import Problem, Run
from rnc_lightning.reports.rows import Row, code_text, collect_rows
from rnc_lightning.reports.statistics import Gain, paired_gain, spread


@dataclass(frozen=True)
class Cell:
    """One metric of one row.

    Attributes:
        row: The row.
        metric: mae, angular or r2.
        values: Seed -> value, of the finished runs that have one.
        expected: Number of seeds that the rows of the data set have together.
        gain: Gain over the head alone; None without a common seed.
        published: The authors' value.
        published_agedb: The authors' value on AgeDB, for competing methods on data that the authors did not use.
        status: finished, failed, unfinished or `no run`.
        reason: Why there is no value, or why seeds are missing.
    """

    row: Row
    metric: str
    values: dict[int, float]
    expected: int
    gain: Gain | None
    published: float | None
    published_agedb: float | None
    status: str
    reason: str

    @property
    def mean(self) -> float | None:
        """Mean over seeds; None without values."""
        return spread(list(self.values.values()))[0] if self.values else None

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds (ddof 1); None for fewer than two."""
        return spread(list(self.values.values()))[1] if self.values else None

    @property
    def difference(self) -> float | None:
        """Ours minus the published value."""
        mean = self.mean
        return None if mean is None or self.published is None else mean - self.published


@dataclass(frozen=True)
class MetricTable:
    """One table: a data set, a metric and a kind of methods.

    Attributes:
        kind: Regression methods or competing methods.
        is_named: Whether the title includes the kind, as it does if the data set has a table of competing methods.
        dataset: Name of the data set.
        metric: mae, angular or r2; mae/name or r2/name for one dimension of the target.
        unit: Unit of the metric, or empty.
        constants: Label -> the constant predictor's value, one per fingerprint of the data.
        cells: One per row.
        dimension: Position of the dimension of the target; None if the metric is of all of them.
    """

    kind: str
    is_named: bool
    dataset: str
    metric: str
    unit: str
    constants: dict[str, float | None]
    cells: list[Cell]
    dimension: int | None = None

    @property
    def is_main(self) -> bool:
        """Whether it is the table of the data set's main error."""
        return self.dimension is None and self.metric != "r2"

    @property
    def shared(self) -> list[str]:
        """Overrides that all rows with runs share; they are shown once, above the table."""
        ran = [cell.row.variant for cell in self.cells if cell.row.seeds]
        return [option for option in ran[0] if all(option in variant for variant in ran)] if len(ran) > 1 else []

    @property
    def has_published(self) -> bool:
        """Whether the authors report a value for any of the rows."""
        return any(cell.published is not None for cell in self.cells)

    @property
    def has_published_agedb(self) -> bool:
        """Whether the authors' values on AgeDB are shown next to the rows."""
        return any(cell.published_agedb is not None for cell in self.cells)


@dataclass(frozen=True)
class Report:
    """The whole report.

    Attributes:
        tables: Two for each data set and kind: the main error, then R2; for targets with several dimensions that are
            not in the paper, then the same two for each dimension.
        warnings: Anything that could mislead, shown at the top.
        notes: Further remarks, shown below the tables.
        problems: Files that could not be used.
        facts: Title -> text: counts, fingerprints, revisions, machines, encoders.
    """

    tables: list[MetricTable]
    warnings: list[str]
    notes: list[str]
    problems: list[Problem]
    facts: dict[str, str]

    @property
    def main_tables(self) -> list[MetricTable]:
        """The tables of each data set's main error."""
        return [table for table in self.tables if table.is_main]

    @property
    def has_competing(self) -> bool:
        """Whether any data set has a table of competing methods."""
        return any(table.kind == COMPETING for table in self.tables)


def build_report(runs: Sequence[Run], problems: Sequence[Problem]) -> Report:
    """Build all tables, with reasons for missing values."""
    rows, warnings, notes = collect_rows(runs)
    heads = listed_heads(rows)
    tables: list[MetricTable] = []
    for dataset in sorted({row.dataset for row in rows}):
        own = [row for row in rows if row.dataset == dataset]
        kinds = rows_by_table(dataset, own, heads)
        new = [
            _metric_table(kind, COMPETING in kinds, metric, listed, own, warnings, notes)
            for kind, listed in kinds.items()
            for metric in (_main_metric(dataset, own), "r2", *_dimension_metrics(dataset, own))
        ]
        warnings += _worse_than_constant(own)
        tables += new
        notes += [f"{cell.row.title}: {cell.reason}." for table in new for cell in table.cells if cell.reason]
        if remark := synthetic_remark(dataset):
            notes.append(remark)
        if not any(table.has_published for table in new):
            notes.append(f"{dataset}: no published values.")
        if any(table.has_published_agedb for table in new):
            notes.append(
                f"{dataset}: the values published for AgeDB, which is other data, only show how methods rank there."
            )
    warnings, notes = (list(dict.fromkeys(lines)) for lines in (warnings, notes))
    return Report(tables, warnings, notes, list(problems), facts(runs, problems))


def _main_metric(dataset: str, rows: Sequence[Row]) -> str:
    measured = {metric for row in rows for run in row.finished.values() for metric in run.test}
    reported = {metric for data, _, _, metric in regression_losses() if data == dataset}
    return "angular" if "angular" in (measured or reported) else "mae"


def _dimension_metrics(dataset: str, rows: Sequence[Row]) -> list[str]:
    """Return the metrics of each dimension; none for one dimension, or if the paper's tables show the data set."""
    names = _names(rows)
    if len(names) < 2 or published_rows(dataset):
        return []
    return [f"{kind}/{name}" for name in names for kind in ("mae", "r2")]


def _names(rows: Sequence[Row]) -> tuple[str, ...]:
    return next((run.names for row in rows for run in row.finished.values() if run.names), ())


def _worse_than_constant(rows: Sequence[Row]) -> list[str]:
    """Return a warning for each row with runs that are worse than the constant predictor."""
    warnings = []
    for row in rows:
        worse = {seed: run.worse for seed, run in row.finished.items() if run.worse}
        if worse:
            metrics = ", ".join(dict.fromkeys(metric for each in worse.values() for metric in each))
            warnings.append(f"{row.title}: WORSE than the constant predictor, {_seeds(list(worse))} ({metrics}).")
    return warnings


def _metric_table(
    kind: str,
    is_named: bool,
    metric: str,
    listed: Sequence[Row],
    rows: Sequence[Row],
    warnings: list[str],
    notes: list[str],
) -> MetricTable:
    """Build the table of the rows in `listed`; `rows` are all rows of the data set."""
    dataset = rows[0].dataset
    finished = [run for row in rows for run in row.finished.values()]
    units = next((run.units for run in finished if run.units), ())
    target_units = ", ".join(dict.fromkeys(unit for unit in units if unit))
    names = _names(rows)
    kind_of_metric, _, name = metric.partition("/")
    dimension = names.index(name) if name in names else None
    if dimension is not None:
        target_units = units[dimension] if dimension < len(units) else ""
    unit = {"r2": "", "angular": "degrees"}.get(kind_of_metric, target_units)
    seeds = set().union(*(row.seeds for row in rows))
    cells = [_cell(row, rows, metric, seeds, warnings, notes) for row in listed]
    if kind == COMPETING and metric in ("mae", "angular") and not published_rows(dataset):
        values = [published_value("agedb", cell.row.name, cell.row.scheme, "mae") for cell in cells]
        cells = [replace(cell, published_agedb=value) for cell, value in zip(cells, values, strict=True)]
    constants = _constants(dataset, metric, finished, warnings)
    return MetricTable(kind, is_named, dataset, metric, unit, constants, cells, dimension)


def _cell(row: Row, rows: Sequence[Row], metric: str, seeds: set[int], warnings: list[str], notes: list[str]) -> Cell:
    gain = None
    if not row.is_head_alone and row.finished:
        alone, problem = find_head_alone(row, rows)
        if problem:
            notes.append(f"{row.title}: no gain, {problem}.")
        if alone is not None:
            gain = paired_gain(_values(alone, metric), _values(row, metric), higher_is_better=is_r2(metric))
            codes = {**alone.revisions, **row.revisions}
            if gain is not None and len(codes) > max(len(alone.revisions), len(row.revisions)):
                warnings.append(f"{row.title}: its gain compares DIFFERENT CODE ({code_text(codes)}).")
    value = published_value(row.dataset, row.name, row.scheme, metric)
    status, reason = _status(row, metric, seeds)
    return Cell(row, metric, _values(row, metric), len(seeds), gain, value, None, status, reason)


def _values(row: Row, metric: str) -> dict[int, float]:
    values = {seed: run.test.get(metric) for seed, run in row.finished.items()}
    return {seed: value for seed, value in values.items() if value is not None}


def _status(row: Row, metric: str, seeds: set[int]) -> tuple[str, str]:
    """Return a row's status, and what happened to each seed without a value."""
    if not row.seeds:
        return "no run", ""
    missing: dict[str, list[int]] = {}  # what happened -> seeds
    for seed in sorted(seeds - set(_values(row, metric))):
        if seed in row.finished:
            missing.setdefault(f"finished without a finite {metric}", []).append(seed)
        elif seed in row.others:
            for run in row.others[seed]:
                missing.setdefault(_outcome(run), []).append(seed)
        elif row.finished:
            missing.setdefault("not run", []).append(seed)
    statuses = {run.status for runs in row.others.values() for run in runs}
    status = "finished" if row.finished else "failed" if "failed" in statuses else "unfinished"
    return status, "; ".join(f"{_seeds(without)} {outcome}" for outcome, without in missing.items())


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"


def _outcome(run: Run) -> str:
    reason = " ".join(run.reason.split()).rstrip(".")
    return f"{run.status}: {reason}" if reason else run.status


def _constants(dataset: str, metric: str, finished: Sequence[Run], warnings: list[str]) -> dict[str, float | None]:
    """Return label -> value of the constant predictor, one per fingerprint of the data."""
    by_data: dict[str, list[float]] = {}
    for run in finished:
        value = run.constant.get(metric)
        by_data.setdefault(run.fingerprint or "unknown", []).extend([] if value is None else [value])
    constants = {}
    for fingerprint, values in sorted(by_data.items()):
        label = f"data {fingerprint[:8]}" if len(by_data) > 1 else ""
        constants[label] = values[0] if values else None
        if values and not np.allclose(values, values[0], rtol=1e-5, atol=0):
            warnings.append(
                f"{dataset}: runs on data {fingerprint} disagree on the constant predictor's {metric} "
                f"({min(values):.6g} to {max(values):.6g}); the first is shown."
            )
    return constants or {"": None}
