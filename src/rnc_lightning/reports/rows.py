"""Group runs into rows: a row contains runs that may be averaged; differences are marked and reported."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rnc_lightning.reports.names import END_TO_END, row_label, row_name, row_order
from rnc_lightning.reports.read_runs import Run


@dataclass(frozen=True)
class Row:
    """The runs of one method that differ only in their seed.

    Attributes:
        dataset: Name of the data set.
        method: Method that the representation was learned with.
        head: Name of the regression head.
        scheme: How head and encoder were trained together.
        extras: What was added to the regressor.
        variant: Further overrides.
        setting: Hash of everything that affects the results; None for a row without runs.
        fingerprint: Fingerprint of the data; None if no run finished.
        marks: What distinguishes this row from others of the same name and variant.
        finished: Seed -> its run.
        others: Seed -> its runs that failed or did not finish.
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
        """The name used in files, such as `rnc_l1`."""
        return row_name(self.method, self.head, self.scheme, self.extras)

    @property
    def label(self) -> str:
        """The name as displayed, such as `RnC(L1)`."""
        return row_label(self.method, self.head, self.scheme, self.extras)

    @property
    def is_head_alone(self) -> bool:
        """Whether the head was trained end to end: no stage one, and nothing added."""
        return self.scheme == END_TO_END and not self.extras

    @property
    def details(self) -> str:
        """Variant and marks, shown below the label."""
        return ", ".join((*self.variant, *self.marks))

    @property
    def title(self) -> str:
        """Data set, label and details, for notes and warnings."""
        return f"{self.dataset}, {self.label}" + (f" ({self.details})" if self.details else "")

    @property
    def identity(self) -> tuple[object, ...]:
        """Unique among the rows of a report."""
        return (self.dataset, self.name, self.scheme, self.extras, *self.details_order)

    @property
    def seeds(self) -> set[int]:
        """All seeds that were run, finished or not."""
        return {*self.finished, *self.others}

    @property
    def revisions(self) -> dict[str, str]:
        """Code hash (or git revision if there is none) -> git revision, of the finished runs."""
        runs = [run for run in self.finished.values() if run.code or run.git_revision]
        return {run.code or run.git_revision or "": run.git_revision or "unknown" for run in runs}

    @property
    def order(self) -> tuple[object, ...]:
        """Sort key of the rows of one data set, in the paper's order."""
        return (*row_order(self.method, self.head, self.scheme), self.extras, *self.details_order)

    @property
    def details_order(self) -> tuple[object, ...]:
        """Sort key of rows of the same name."""
        return self.variant, self.setting or "", self.fingerprint or ""


def collect_rows(runs: Iterable[Run]) -> tuple[list[Row], list[str], list[str]]:
    """Group runs into rows; return the rows, warnings, and notes about anything that could mislead."""
    groups: dict[tuple, list[Run]] = defaultdict(list)
    for run in runs:
        name = row_name(run.method, run.head, run.scheme, run.extras)
        groups[run.dataset, name, run.scheme, run.extras, run.variant, run.setting].append(run)
    rows: list[Row] = []
    warnings: list[str] = []
    notes: list[str] = []
    for group in groups.values():
        rows += _rows_of_group(group, warnings, notes)
    rows = _mark_ambiguous_rows(rows, warnings)
    warnings += [
        f"{row.title}: DIFFERENT CODE is averaged in this row: {code_text(row.revisions)}."
        for row in rows
        if len(row.revisions) > 1
    ]
    return sorted(rows, key=lambda row: (row.dataset, *row.order)), warnings, notes


def code_text(revisions: Mapping[str, str]) -> str:
    """Format code hashes with their git revisions, for a warning.

    >>> code_text({"c0ffee": "1a2b", "3c4d": "3c4d"})
    'code c0ffee (git 1a2b), git 3c4d'
    """
    parts = (f"code {code[:12]} (git {git})" if code != git else f"git {git}" for code, git in revisions.items())
    return ", ".join(parts)


def _rows_of_group(group: list[Run], warnings: list[str], notes: list[str]) -> list[Row]:
    """Make one row for each data fingerprint among runs of the same name, variant and setting."""
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
            finished={seed: _choose_run(common.title, same, warnings, notes) for seed, same in sorted(seeds.items())},
            others={seed: runs for seed, runs in sorted(others.items()) if seed not in seeds},
        )
        for fingerprint, seeds in (finished or {None: {}}).items()
    ]


def _choose_run(title: str, same: list[Run], warnings: list[str], notes: list[str]) -> Run:
    """Choose the run that is used if one seed of a row was run several times."""
    if len(same) == 1:
        return same[0]
    paths = ", ".join(run.path for run in same)
    if all(run.test == same[0].test for run in same):
        notes.append(
            f"{title}: seed {same[0].seed} was run {len(same)} times with equal results; one is used ({paths})."
        )
        return same[0]
    newest = max(same, key=lambda run: (run.modified, run.path))
    warnings.append(
        f"{title}: seed {newest.seed} was run {len(same)} times with DIFFERENT results; "
        f"only the newest is used, {newest.path} (of {paths})."
    )
    return newest


def _mark_ambiguous_rows(rows: list[Row], warnings: list[str]) -> list[Row]:
    """Add marks to rows that differ only in their setting or their data, and warn about them."""
    settings: dict[tuple, dict[str, str]] = defaultdict(dict)
    data: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        runs = [*row.finished.values(), *(run for runs in row.others.values() for run in runs)]
        if row.setting is not None:
            settings[_ambiguous_name(row)].setdefault(row.setting, runs[0].experiment)
        if row.finished:
            data[row.dataset].add(row.fingerprint or "unknown")
    warnings += [
        f"{dataset}: the runs used DIFFERENT DATA (fingerprints {', '.join(sorted(fingerprints))}); they are in "
        "separate rows, and gains are computed only between runs with the same fingerprint."
        for dataset, fingerprints in sorted(data.items())
        if len(fingerprints) > 1
    ]
    warned = set()
    marked = []
    for row in rows:
        marks = []
        name = _ambiguous_name(row)
        if row.setting is not None and len(settings[name]) > 1:
            marks.append(f"setting {row.setting[:8]}")
            if name not in warned:
                warned.add(name)
                listed = ", ".join(f"{setting[:8]} of {run}" for setting, run in sorted(settings[name].items()))
                warnings.append(f"{row.title}: DIFFERENT SETTINGS under the same name are in separate rows ({listed}).")
        if row.finished and len(data[row.dataset]) > 1:
            marks.append(f"data {(row.fingerprint or 'unknown')[:8]}")
        marked.append(replace(row, marks=tuple(marks)))
    return marked


def _ambiguous_name(row: Row) -> tuple:
    return row.dataset, row.name, row.scheme, row.extras, row.variant
