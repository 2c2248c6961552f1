"""Checks a data set on disk before training: `data verify`."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from rnc_lightning.datasets.reading.data_source import DataSource
from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.splits import PARTS, SplitName
from rnc_lightning.system.files import sha256
from rnc_lightning.system.synthetic_marker import ALL_PARTS, synthetic_note
from rnc_lightning.targets import TargetSpec


@dataclass(frozen=True)
class Copies:
    """Files with identical content.

    Attributes:
        paths: All of them.
        parts: The parts of the split in which they occur.
    """

    paths: tuple[str, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """The result of `inspect`."""

    synthetic_parts: tuple[str, ...]  # `inputs`, `target`, both or none
    counts: Mapping[str, int]
    windows: Mapping[str, int]  # samples in each part if they are grouped, else empty
    labels: Mapping[str, Mapping[str, Mapping[str, float]]]  # part -> dimension -> low, mean, high, distinct (missing)
    outside: Mapping[str, int]  # labels outside the configured range, by dimension
    problems: Problems
    refusal: str | None  # why it cannot be used for training although each sample is fine
    copies: tuple[Copies, ...]
    fingerprint: str
    published: Published | None

    @property
    def synthetic(self) -> bool:
        """Whether inputs and targets are both synthetic."""
        return set(self.synthetic_parts) == set(ALL_PARTS)

    def disagreements(self) -> list[str]:
        """How the data differ from the paper's, one sentence each; empty if they agree as far as is known."""
        if self.published is None:
            return []
        differences = [
            f"{part} has {self.counts[part]:,} samples, the paper's {count:,}"
            for part, count in self.published.counts.items()
            if self.counts[part] != count
        ]
        if "val" not in self.published.counts and self.counts["val"]:
            differences.append(f"val has {self.counts['val']:,} samples, the paper has no validation part")
        columns = [column for part in self.labels.values() for column in part.values()]
        for name, paper, extreme in (("low", self.published.low, min), ("high", self.published.high, max)):
            here = extreme((column[name] for column in columns), default=None)
            if paper is not None and here is not None and abs(here - paper) > 0.5:  # labels are rounded in the paper
                differences.append(f"the {name}est label is {here:g}, the paper's {paper:g}")
        return differences


def inspect(source: DataSource, target: TargetSpec | None = None) -> Inspection:
    """Read a data set, open every file, and look for identical files.

    Args:
        source: The data set; afterwards its splits contain only the usable samples.
        target: Names and ranges of the labels; None names them by number.
    """
    splits, problems = source.inspect()
    source.splits = splits
    names = target.names if target is not None else None
    outside: dict[str, int] = {}
    for split in splits.values():
        for name, count in (target.count_outside(split.labels) if target is not None and len(split) else {}).items():
            outside[name] = outside.get(name, 0) + count
    counts = source.counts
    return Inspection(
        synthetic_parts=source.synthetic_parts,
        counts=counts,
        windows={part: len(split) for part, split in splits.items() if len(split) != counts[part]},
        labels={part: _summary(split.labels, names) for part, split in splits.items() if len(split)},
        outside=outside,
        problems=problems,
        refusal=source.split_problem(splits),
        copies=_copies({part: getattr(split.inputs, "paths", ()) for part, split in splits.items()}),
        fingerprint=source.fingerprint,
        published=source.published,
    )


def as_json(found: Inspection) -> dict[str, Any]:
    """The result as plain values for JSON."""
    return {
        "synthetic_data": found.synthetic,
        "synthetic_parts": list(found.synthetic_parts),
        "counts": dict(found.counts),
        "windows": dict(found.windows),
        "labels": {
            part: {name: {key: _finite_or_none(v) for key, v in column.items()} for name, column in columns.items()}
            for part, columns in found.labels.items()
        },
        "outside": dict(found.outside),
        "problems": found.problems.lines,
        "refusal": found.refusal,
        "copies": [{"paths": list(copy.paths), "parts": list(copy.parts)} for copy in found.copies],
        "fingerprint": found.fingerprint,
        "disagreements_with_the_paper": found.disagreements(),
    }


def print_inspection(dataset: str, found: Inspection, console: Console) -> None:
    """Print the result as a table, followed by every problem."""
    note = synthetic_note(found.synthetic_parts)
    table = Table(title=f"{dataset} ({note})" if note else dataset)
    for heading in ("split", "samples", "paper", "label", "lowest", "mean", "highest", "distinct"):
        table.add_column(heading, justify="left" if heading in ("split", "label") else "right")
    paper: Mapping[SplitName, int] = found.published.counts if found.published is not None else {}
    for part in PARTS:
        first = [part, f"{found.counts[part]:,}", f"{paper[part]:,}" if part in paper else "-"]
        if part in found.windows:
            first[1] += f" ({found.windows[part]:,} windows)"
        for name, column in found.labels.get(part, {}).items():
            digits = _digits(column["low"], column["high"])
            numbers = [f"{column[key]:.{digits}g}" for key in ("low", "mean", "high")]
            missing = f" ({column['missing']:,.0f} missing)" if "missing" in column else ""
            table.add_row(*first, escape(name), *numbers, f"{column['distinct']:,.0f}{missing}")
            first = ["", "", ""]
        if not found.counts[part]:
            table.add_row(*first)
    console.print(table)
    for name, count in found.outside.items():
        console.print(
            f"{count} labels of {escape(name)} are outside the configured range: heads with bins clip them to it"
        )
    _print_copies(found.copies, console)
    if len(found.problems):
        kinds = ", ".join(f"{count} x {kind}" for kind, count in found.problems.counts.items())
        console.print(
            f"[red]{found.problems.samples} cannot be used[/]: {escape(kinds)}", highlight=False, soft_wrap=True
        )
        for problem in found.problems:
            console.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)
        console.print("Fix them, or train without them: data.on_bad=skip")
    elif found.refusal is None:
        console.print("[green]every sample can be used[/]")
    if found.refusal is not None:
        console.print(f"[red]{escape(found.refusal)}[/]", highlight=False, soft_wrap=True)
    console.print(f"fingerprint: {found.fingerprint}", highlight=False, soft_wrap=True)
    _print_agreement(found, console)


def _print_agreement(found: Inspection, console: Console) -> None:
    if found.published is None:
        return
    if found.synthetic:
        console.print("synthetic data, according to the marker file: not comparable with the paper")
        return
    if differences := "; ".join(found.disagreements()):
        console.print(
            f"[yellow]differs from the paper's data[/]: {escape(differences)}", highlight=False, soft_wrap=True
        )
    elif found.published.same_split:
        console.print("[green]agrees with the paper's data[/] in counts and label range")
    else:
        console.print("[green]as many samples as in the paper[/]; its split is not public, so this one differs")
    if found.published.note:
        console.print(found.published.note, highlight=False, soft_wrap=True)


def _print_copies(copies: Iterable[Copies], console: Console) -> None:
    across = [copy for copy in copies if len(copy.parts) > 1]
    within = [copy for copy in copies if len(copy.parts) == 1]
    for what, sets in (("in more than one part of the split", across), ("within one part", within)):
        if sets:
            console.print(f"[yellow]{len(sets)} sets of identical files[/] {what}:", highlight=False, soft_wrap=True)
        for copy in sets[:20]:
            line = f"  {', '.join(copy.paths)} ({', '.join(copy.parts)})"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if len(sets) > 20:
            console.print(f"  and {len(sets) - 20} more (json=FILE lists all)")


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _digits(low: float, high: float) -> int:
    """Significant digits that tell labels of a range apart: 4, and more for a narrow range far from 0, up to 15."""
    if not low < high:
        return 15 if low else 4
    return min(15, max(4, 4 + math.ceil(math.log10(max(abs(low), abs(high)) / (high - low)))))


def _summary(labels: Tensor, names: list[str] | None) -> dict[str, dict[str, float]]:
    columns = labels.double().unbind(dim=1)
    return {
        name: _summary_of(column)
        for name, column in zip(names or [f"y{d}" for d in range(len(columns))], columns, strict=True)
    }


def _summary_of(column: Tensor) -> dict[str, float]:
    known = column[~column.isnan()]
    found = {
        "low": float(known.min()) if len(known) else math.nan,
        "mean": float(known.mean()),
        "high": float(known.max()) if len(known) else math.nan,
        "distinct": float(len(torch.unique(known))),
    }
    return {**found, "missing": float(len(column) - len(known))} if len(known) < len(column) else found


def _copies(files: Mapping[SplitName, Iterable[Path]]) -> tuple[Copies, ...]:
    """Files with identical content; only files of equal size are read."""
    by_size: dict[int, list[tuple[Path, str]]] = {}
    part: str
    for part, paths in files.items():
        for path in dict.fromkeys(paths):
            by_size.setdefault(path.stat().st_size, []).append((path, part))
    by_content: dict[tuple[int, str], list[tuple[Path, str]]] = {}
    for size, group in by_size.items():
        for path, part in group if len({path for path, _ in group}) > 1 else ():
            by_content.setdefault((size, sha256(path)), []).append((path, part))
    return tuple(
        Copies(tuple(str(path) for path, _ in group), tuple(dict.fromkeys(part for _, part in group)))
        for group in by_content.values()
        if len({path for path, _ in group}) > 1
    )
