"""Puts runs into rows: what may be averaged stands in one row, what differs stands apart and is told."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rnc_lightning.reports.names import END_TO_END, row_label, row_name, row_order
from rnc_lightning.reports.read_runs import Run


@dataclass(frozen=True)
class Row:
    """The runs of one method that differ in nothing but their seed.

    Attributes:
        dataset: What was learnt.
        method: What the representation comes from.
        head: What regresses.
        scheme: How the two meet.
        extras: What was added to the regressor.
        variant: Further overrides.
        setting: Hash of all that shaped the results, None in a row without runs.
        fingerprint: Of the data, None where no run finished.
        marks: What tells this row from others of the same name and variant.
        finished: Seed -> its run.
        others: Seed -> its runs that failed or did not end.
    """

    dataset: str
    method: str
    head: str
    scheme: str
    extras: tuple[str, ...] = ()
    variant: tuple[str, ...] = ()
    setting: str | None = None
    fingerprint: str | None = None
    marks: tuple[str, ...] = ()
    finished: Mapping[int, Run] = field(default_factory=dict)
    others: Mapping[int, Sequence[Run]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name in the files, such as `rnc_l1`."""
        return row_name(self.method, self.head, self.scheme, self.extras)

    @property
    def label(self) -> str:
        """The name for people, such as `RnC(L1)`."""
        return row_label(self.method, self.head, self.scheme, self.extras)

    @property
    def is_head_alone(self) -> bool:
        """Whether nothing but the head was trained on the data: no stage one, and nothing added."""
        return self.scheme == END_TO_END and not self.extras

    @property
    def details(self) -> str:
        """What stands under the label: variant and marks."""
        return ", ".join((*self.variant, *self.marks))

    @property
    def title(self) -> str:
        """Data set, label and details in one line, for notes."""
        return f"{self.dataset}, {self.label}" + (f" ({self.details})" if self.details else "")

    @property
    def identity(self) -> tuple[object, ...]:
        """What no other row of the report shares."""
        return (self.dataset, self.name, self.scheme, self.extras, *self.details_order)

    @property
    def seeds(self) -> set[int]:
        """Every seed that was tried."""
        return {*self.finished, *self.others}

    @property
    def revisions(self) -> dict[str, str]:
        """Code (or, where it was not written, git revision) -> git revision, of the finished runs."""
        runs = [run for run in self.finished.values() if run.code or run.git_revision]
        return {run.code or run.git_revision or "": run.git_revision or "unknown" for run in runs}

    @property
    def order(self) -> tuple[object, ...]:
        """Sorts rows of one data set as the paper does."""
        return (*row_order(self.method, self.head, self.scheme), self.extras, *self.details_order)

    @property
    def details_order(self) -> tuple[object, ...]:
        """Sorts rows of one name."""
        return self.variant, self.setting or "", self.fingerprint or ""


def collect_rows(runs: Iterable[Run]) -> tuple[list[Row], list[str], list[str]]:
    """The rows that the runs make, with warnings and notes on what could mislead."""
    groups: dict[tuple, list[Run]] = defaultdict(list)
    for run in runs:
        name = row_name(run.method, run.head, run.scheme, run.extras)
        groups[run.dataset, name, run.scheme, run.extras, run.variant, run.setting].append(run)
    rows: list[Row] = []
    warnings: list[str] = []
    notes: list[str] = []
    for group in groups.values():
        rows += _rows_of_group(group, warnings, notes)
    rows = _mark(rows, warnings)
    warnings += [
        f"{row.title}: DIFFERENT CODE is averaged in this row: {named_code(row.revisions)}."
        for row in rows
        if len(row.revisions) > 1
    ]
    return sorted(rows, key=lambda row: (row.dataset, *row.order)), warnings, notes


def named_code(revisions: Mapping[str, str]) -> str:
    """Code hashes with their git revisions, as a warning names them.

    >>> named_code({"c0ffee": "1a2b", "3c4d": "3c4d"})
    'code c0ffee (git 1a2b), git 3c4d'
    """
    parts = (f"code {code[:12]} (git {git})" if code != git else f"git {git}" for code, git in revisions.items())
    return _listed(parts)


def _rows_of_group(group: list[Run], warnings: list[str], notes: list[str]) -> list[Row]:
    """One row for each data fingerprint among runs of one name, variant and setting."""
    finished: dict[str | None, dict[int, list[Run]]] = defaultdict(lambda: defaultdict(list))
    others: dict[int, list[Run]] = defaultdict(list)
    for run in group:
        (finished[run.fingerprint] if run.status == "finished" else others)[run.seed].append(run)
    first = group[0]
    common = Row(
        first.dataset, first.method, first.head, first.scheme, first.extras, first.variant, first.setting, others=others
    )
    return [
        replace(
            common,
            fingerprint=fingerprint,
            finished={seed: _one_of(common.title, same, warnings, notes) for seed, same in sorted(seeds.items())},
            others={seed: found for seed, found in sorted(others.items()) if seed not in seeds},
        )
        for fingerprint, seeds in (finished or {None: {}}).items()
    ]


def _one_of(title: str, same: list[Run], warnings: list[str], notes: list[str]) -> Run:
    """The run that counts among those of one row and seed."""
    if len(same) == 1:
        return same[0]
    paths = _listed(run.path for run in same)
    if all(run.test == same[0].test for run in same):
        notes.append(
            f"{title}: seed {same[0].seed} was run {len(same)} times with equal results; one counts ({paths})."
        )
        return same[0]
    newest = max(same, key=lambda run: (run.modified, run.path))
    warnings.append(
        f"{title}: seed {newest.seed} was run {len(same)} times with DIFFERENT results; "
        f"only the newest counts, {newest.path} (of {paths})."
    )
    return newest


def _mark(rows: list[Row], warnings: list[str]) -> list[Row]:
    """Label rows that nothing but a setting or a fingerprint tells apart."""
    settings: dict[tuple, dict[str, str]] = defaultdict(dict)
    data: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        runs = [*row.finished.values(), *(run for found in row.others.values() for run in found)]
        if row.setting is not None:
            settings[_common(row)].setdefault(row.setting, runs[0].experiment)
        if row.finished:
            data[row.dataset].add(row.fingerprint or "unknown")
    for fingerprints in (item for item in sorted(data.items()) if len(item[1]) > 1):
        dataset, found = fingerprints
        warnings.append(
            f"{dataset}: the runs saw DIFFERENT DATA (fingerprints {_listed(sorted(found))}); they stand in separate "
            "rows, and gains are computed within one fingerprint only."
        )
    told = set()
    marked = []
    for row in rows:
        marks = []
        known = settings[_common(row)]
        if row.setting is not None and len(known) > 1:
            marks.append(f"setting {row.setting[:8]}")
            if _common(row) not in told:
                told.add(_common(row))
                named = _listed(f"{setting[:8]} of {experiment}" for setting, experiment in sorted(known.items()))
                warnings.append(f"{row.title}: DIFFERENT SETTINGS under one name stand in separate rows ({named}).")
        if row.finished and len(data[row.dataset]) > 1:
            marks.append(f"data {(row.fingerprint or 'unknown')[:8]}")
        marked.append(replace(row, marks=tuple(marks)))
    return marked


def _common(row: Row) -> tuple:
    return row.dataset, row.name, row.scheme, row.extras, row.variant


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)
