"""The tables that commands print: a configuration, the result of a run, an evaluation.

Paths, columns and values of the user are passed as `Text`, which rich prints unchanged. In plain strings it would
interpret brackets as markup.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from rnc_lightning.numerics.number_text import format_number
from rnc_lightning.system.synthetic_marker import synthetic_note

_IN_UNITS = ("mae", "rmse", "gmean")
_ERRORS = ("angular", "mae")  # corruptions are compared by the first of these that was measured


def config_tree(config: Mapping[str, Any], title: str = "configuration") -> Tree:
    """A configuration as a tree with a branch for each group and a leaf for each value."""
    tree = Tree(Text(title), guide_style="dim")
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            tree.add(config_tree(value, str(key)))
        else:
            tree.add(Text.assemble(f"{key}: ", (str(value), "bold")))
    return tree


def print_evaluation(table: pd.DataFrame, about: Mapping[str, Any], console: Console) -> None:
    """Print the metrics on clean inputs and, if there are corrupted conditions, the error under each.

    Args:
        table: The table of `evaluate_run`.
        about: The `result.json` of one of the conditions.
        console: Console to print to.
    """
    title = f"{about['method']} ({about['scheme']}), seed {about['seed']}, on {about['evaluated_on']}{_note(about)}"
    metrics = [name for name in table.columns if name not in ("corruption", "severity", "samples", "count")]
    clean = table[table["severity"] == 0]
    labels = {name: metric_label(name, about["units"], about.get("names", ())) for name in metrics}
    console.print(_metrics_table(clean, labels, f"{title}: {about['key']['part']} set"))
    corrupted = table[(table["severity"] > 0) & (table["samples"] == "all")]
    if len(corrupted):
        error = next(name for name in _ERRORS if name in metrics)
        reference = float(clean.loc[clean["samples"] == "all", error].iloc[0])
        title = f"{title}: {metric_label(error, about['units'])}"
        console.print(_corruption_table(corrupted, error, reference, title))


def _metrics_table(clean: pd.DataFrame, labels: Mapping[str, str], title: str) -> Table:
    table = Table(title=_title(title), title_justify="left", min_width=min(len(title), 78))
    table.add_column("metric")
    for samples in clean["samples"]:
        table.add_column("" if len(clean) == 1 else Text(samples), justify="right")
    table.add_row("samples", *(str(count) for count in clean["count"]))
    for name, label in labels.items():
        table.add_row(Text(label), *map(format_number, clean[name]))
    return table


def _corruption_table(corrupted: pd.DataFrame, metric: str, clean: float, title: str) -> Table:
    """One row per corruption, one column per severity, then the mean and its ratio to the clean error."""
    values = corrupted.pivot(index="corruption", columns="severity", values=metric)
    values = values.loc[list(dict.fromkeys(corrupted["corruption"]))]
    table = Table(title=_title(title), caption=f"clean: {format_number(clean)}")
    table.add_column("corruption", no_wrap=True, min_width=max(map(len, values.index)))
    for severity in values.columns:
        table.add_column(str(severity), justify="right")
    for heading in ("mean", "/ clean"):
        table.add_column(heading, justify="right")
    for name, row in values.iterrows():
        table.add_row(str(name), *map(format_number, row), format_number(row.mean()), _ratio(row.mean(), clean))
    if len(values) > 1:
        table.add_section()
        overall = values.to_numpy().mean()
        table.add_row("all", *map(format_number, values.mean()), format_number(overall), _ratio(overall, clean))
    return table


def metric_label(metric: str, units: Sequence[str], names: Sequence[str] = ()) -> str:
    """The name of a metric, with the units of the target if it is measured in them.

    >>> metric_label("mae", ["degrees", "degrees"]), metric_label("r2", ["years"]), metric_label("mae", [""])
    ('mae (degrees)', 'r2', 'mae')
    >>> metric_label("mae/weight", ["cm", "kg"], ["height", "weight"])
    'mae/weight (kg)'

    Args:
        metric: Key of `result.json`: a metric, or metric/name for one dimension of the target.
        units: Unit of each dimension.
        names: Name of each dimension.
    """
    kind, _, name = metric.partition("/")
    own = [units[names.index(name)]] if name in names else units
    unit = ", ".join(dict.fromkeys(filter(None, own)))
    return f"{metric} ({unit})" if unit and kind in _IN_UNITS else metric


def _ratio(value: float, clean: float) -> str:
    return "-" if pd.isna(value) or pd.isna(clean) or clean == 0 else f"{value / clean:.0%}"


def print_result(result: Mapping[str, Any], directory: Path, console: Console) -> None:
    """Print the test metrics next to those of the constant predictor, the stages and the directory of the run."""
    title = (
        f"{result['dataset']}{_note(result)}, {result['method']} ({result['scheme']}), seed {result['seed']}: test set"
    )
    table = Table(title=_title(title))
    table.add_column("metric")
    table.add_column("this run", justify="right")
    table.add_column("constant predictor", justify="right")
    parts = result.get("targets", {})
    for part, metrics in parts.items():
        table.add_column(f"{part} targets ({metrics['count']})", justify="right")
    for name, value in result["test"].items():
        constant = result["constant"].get(name)
        numbers = (value, constant, *(metrics.get(name) for metrics in parts.values()))
        table.add_row(
            Text(metric_label(name, result["units"], list(result["target"]))),
            *map(format_number, numbers),
        )
    console.print(table)
    for name, stage in result["stages"].items():
        epochs = f"{stage['epochs']} epoch{'' if stage['epochs'] == 1 else 's'}"
        console.print(f"{name}: {epochs}, {stage['seconds']:.1f} s, weights of epoch {stage['chosen_epoch']}")
    for kind, count in result["skipped"].items():
        console.print(Text(f"skipped: {count} x {kind}"))
    if any((directory / "plots").glob("*.png")):
        console.print(Text(f"plots: {directory / 'plots'}"), soft_wrap=True)
    console.print(Text(f"run directory: {directory}"), soft_wrap=True)
    for line in explain_worse(result):
        console.print(Text(line, style="bold yellow"), soft_wrap=True)


def explain_worse(result: Mapping[str, Any]) -> list[str]:
    """In which metrics a run is worse than the constant predictor, as sentences for a person; empty if in none."""
    test, constant, sentences = result["test"], result["constant"], []
    of_median, of_mean = [], []
    for name in result.get("worse_than_constant", ()):
        label = metric_label(name, result["units"], list(result["target"]))
        if name.partition("/")[0] == "r2":  # is 0 for the mean of the test labels
            of_mean.append(f"{label} {format_number(test[name])}")
        else:
            of_median.append(f"{label} {format_number(test[name])} against {format_number(constant[name])}")
    if of_median:
        sentences.append(f"WORSE than always predicting the median training label: {'; '.join(of_median)}")
    if of_mean:
        sentences.append(f"In squared error WORSE than always predicting the mean test label: {'; '.join(of_mean)}")
    return sentences


def _note(about: Mapping[str, Any]) -> str:
    note = synthetic_note(about["synthetic_parts"])
    return f" ({note})" if note else ""


def _title(text: str) -> Text:
    return Text(text, style="italic")
