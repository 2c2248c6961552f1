"""What commands print: a configuration, a run's result, an evaluation.

All that the user named (paths, columns, values) goes in as `Text`, which rich prints as it is: in plain strings it
takes brackets for markup and leaves them out.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from rnc_lightning.system.synthetic_marker import synthetic_note

_IN_UNITS = ("mae", "rmse", "gmean")
_FIRST = ("angular", "mae")  # what corruptions are compared by: the first that there is


def config_tree(config: Mapping[str, Any], title: str = "configuration") -> Tree:
    """A tree with a branch for each group and a leaf for each value."""
    tree = Tree(Text(title), guide_style="dim")
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            tree.add(config_tree(value, str(key)))
        else:
            tree.add(Text.assemble(f"{key}: ", (str(value), "bold")))
    return tree


def print_evaluation(table: pd.DataFrame, about: Mapping[str, Any], console: Console) -> None:
    """The clean metrics and, where there are corrupted conditions, the error under each.

    Args:
        table: From `evaluate_run`.
        about: The `result.json` of one of the conditions.
        console: Where to.
    """
    note = _note(about)
    title = f"{about['method']} ({about['scheme']}), seed {about['seed']}, on {about['evaluated_on']}{note}"
    units = ", ".join(dict.fromkeys(unit for unit in about["units"] if unit))
    metrics = [name for name in table.columns if name not in ("corruption", "severity", "samples", "count")]
    clean = table[table["severity"] == 0]
    console.print(_metrics_table(clean, metrics, f"{title}: {about['key']['part']} set", units))
    corrupted = table[(table["severity"] > 0) & (table["samples"] == "all")]
    if len(corrupted):
        first = next(name for name in _FIRST if name in metrics)
        reference = float(clean.loc[clean["samples"] == "all", first].iloc[0])
        console.print(_corruption_table(corrupted, first, reference, f"{title}: {_labelled(first, units)}"))


def _metrics_table(clean: pd.DataFrame, metrics: list[str], title: str, units: str) -> Table:
    shown = Table(title=_title(title), title_justify="left", min_width=min(len(title), 78))
    shown.add_column("metric")
    for samples in clean["samples"]:
        shown.add_column("" if len(clean) == 1 else Text(samples), justify="right")
    shown.add_row("samples", *(str(count) for count in clean["count"]))
    for name in metrics:
        shown.add_row(Text(_labelled(name, units)), *(_number(value) for value in clean[name]))
    return shown


def _corruption_table(corrupted: pd.DataFrame, metric: str, clean: float, title: str) -> Table:
    """Rows are corruptions, columns severities; the last column is the mean and what it is more than clean."""
    values = corrupted.pivot(index="corruption", columns="severity", values=metric)
    values = values.loc[list(dict.fromkeys(corrupted["corruption"]))]
    shown = Table(title=_title(title), caption=f"clean: {_number(clean)}")
    shown.add_column("corruption", no_wrap=True, min_width=max(map(len, values.index)))
    for severity in values.columns:
        shown.add_column(str(severity), justify="right")
    for heading in ("mean", "/ clean"):
        shown.add_column(heading, justify="right")
    for name, row in values.iterrows():
        shown.add_row(str(name), *map(_number, row), _number(row.mean()), _ratio(row.mean(), clean))
    if len(values) > 1:
        shown.add_section()
        overall = values.to_numpy().mean()
        shown.add_row("all", *map(_number, values.mean()), _number(overall), _ratio(overall, clean))
    return shown


def _labelled(metric: str, units: str) -> str:
    return f"{metric} ({units})" if units and metric in _IN_UNITS else metric


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


def _ratio(value: float, clean: float) -> str:
    return "-" if pd.isna(value) or pd.isna(clean) or clean == 0 else f"{value / clean:.0%}"


def print_result(result: Mapping[str, Any], directory: Path, console: Console) -> None:
    """The test metrics beside the constant predictor's, and where everything lies."""
    note = _note(result)
    title = f"{result['dataset']}{note}, {result['method']} ({result['scheme']}), seed {result['seed']}: test set"
    table = Table(title=_title(title))
    table.add_column("metric")
    table.add_column("this run", justify="right")
    table.add_column("constant predictor", justify="right")
    parts = result.get("targets", {})
    for part, metrics in parts.items():
        table.add_column(f"{part} targets ({metrics['count']})", justify="right")
    unit = ", ".join(unit for unit in result["units"] if unit)
    for name, value in result["test"].items():
        constant = result["constant"].get(name)
        label = f"{name} ({unit})" if unit and name in _IN_UNITS else name
        numbers = (value, constant, *(metrics.get(name) for metrics in parts.values()))
        table.add_row(Text(label), *("-" if number is None else f"{number:.3f}" for number in numbers))
    console.print(table)
    for name, stage in result["stages"].items():
        epochs = f"{stage['epochs']} epoch{'' if stage['epochs'] == 1 else 's'}"
        console.print(f"{name}: {epochs}, {stage['seconds']:.1f} s, weights of epoch {stage['chosen_epoch']}")
    for kind, count in result["skipped"].items():
        console.print(Text(f"left out: {count} x {kind}"))
    console.print(Text(f"plots: {directory / 'plots'}"), soft_wrap=True)
    console.print(Text(f"run directory: {directory}"), soft_wrap=True)


def _note(about: Mapping[str, Any]) -> str:
    note = synthetic_note(about["synthetic_parts"])
    return f" ({note})" if note else ""


def _title(text: str) -> Text:
    return Text(text, style="italic")
