"""How large are errors on targets that training never saw? The paper's table of held-out label ranges."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnc_lightning.plots.levels import METHOD_COLOURS
from rnc_lightning.plots.style import house_style, new_figure, save_figure
from rnc_lightning.reports.claims import estimated_claim
from rnc_lightning.reports.published import PUBLISHED_METHODS, change_text, find_pair, read_published
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.studies.bench import Bench, StudyRun
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods

TARGETS = ("all", "seen", "unseen")
_PUBLISHED = ("first", "second")  # the authors' two label distributions, as the file names them


class UnseenTargets:
    """Training and validation without some ranges of the target, which the test set contains.

    Args:
        methods: Method -> label, the first one the baseline.
        ranges: Name of a label distribution -> name of a range -> {low, high, dimension}. The first two are compared
            with the authors' two, whose ranges are not published.
        seeds: Number of seeds.
    """

    title = "Unseen targets"
    question = "How large are errors where training had no labels: in gaps between the seen ones, and beyond them?"

    def __init__(
        self, methods: Mapping[str, str], ranges: Mapping[str, Mapping[str, Mapping[str, Any]]], seeds: int = 5
    ) -> None:
        self.methods = Methods(methods)
        self.ranges = ranges
        self.seeds = seeds

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Each distribution, method and seed."""
        runs = []
        for name, ranges in self.ranges.items():
            options = {f"+data.subset.unseen.{key}": dict(bounds) for key, bounds in ranges.items()}
            runs += bench.runs(self.methods.labels, self.seeds, options, ranges=name)
        return [runs]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Errors on all, seen and unseen targets."""
        frame = pd.DataFrame([row for run in runs for row in _rows(run)])
        dataset, unit = runs[0].result["dataset"], runs[0].result["units"][0]
        authors = read_published("unseen_targets")
        tables, claims = [], []
        for name, theirs in zip(self.ranges, [*_PUBLISHED, *[None] * len(self.ranges)], strict=False):
            here = frame[frame.ranges == name]
            if here.empty:
                continue
            lines = []
            for targets in TARGETS:
                errors = self.methods.errors(here, targets=targets)
                published = [""] * 2
                if theirs is not None:
                    pair = find_pair(authors, label_distribution=theirs, targets=targets)
                    published = [f"{mae:.2f}" for mae in pair]
                    if gain := self.methods.reduction(errors):
                        claim = f"RnC helps on {targets} targets: {name}"
                        text = change_text(*pair, f"IMDB-WIKI, {theirs} distribution")
                        claims.append(estimated_claim(claim, text, dataset, "%", gain))
                lines.append([targets, *self.methods.cells(errors), *published])
            unseen = " and ".join(map(_range_text, self.ranges[name].values()))
            share = here[here.targets == "unseen"]["count"].mean() / here[here.targets == "all"]["count"].mean()
            title = f"{name}: {unseen} {unit} unseen, {100 * share:.1f} % of the test set; MAE ({unit})"
            labels = [f"{label}, published ({theirs})" if theirs else "" for label in PUBLISHED_METHODS.values()]
            tables.append(Table(title, ["targets", *self.methods.labels.values(), "gain", *labels], lines))
        note = (
            "The authors' ranges are not published; from their table about 22.5 and 33.3 percent of their test set "
            "were unseen, and the ranges here were chosen for about these shares. Which of their two distributions "
            "had gaps and which lacked ends is not known."
        )
        return Findings(tables, claims, frame, partial(_draw, runs, self.ranges, self.methods, unit), [note])


def _range_text(bounds: Mapping[str, Any]) -> str:
    low, high = bounds.get("low"), bounds.get("high")
    if low is None or high is None:
        return f"{high} and below" if low is None else f"{low} and above"
    return f"{low} to {high}"


def _rows(run: StudyRun) -> list[dict[str, Any]]:
    result = run.result
    parts = {"all": {**result["test"], "count": result["counts"]["test"]}, **result["targets"]}
    common = {"method": run.method, "seed": run.seed, **run.levels}
    return [{**common, "targets": targets, **metrics} for targets, metrics in parts.items()]


def _draw(runs: Sequence[StudyRun], ranges: Mapping[str, Any], methods: Methods, unit: str, path: Path) -> Path:
    """Plot the mean error over the target, with unseen ranges in grey."""
    with house_style():
        figure = new_figure(4.6 * len(ranges), 3.6)
        all_targets = np.concatenate([_targets_and_errors(run)[0] for run in runs])
        edges = np.linspace(all_targets.min(), all_targets.max(), 21)
        for axes, (name, unseen) in zip(np.atleast_1d(figure.subplots(1, len(ranges))), ranges.items(), strict=True):
            for bounds in unseen.values():
                low, high = bounds.get("low"), bounds.get("high")
                span = (edges[0] if low is None else low, edges[-1] if high is None else high)
                axes.axvspan(*span, color="#dddddd", linewidth=0)
            for colour, (method, label) in zip(METHOD_COLOURS, methods.labels.items(), strict=False):
                own_runs = [run for run in runs if run.method == method and run.levels["ranges"] == name]
                if not own_runs:
                    continue
                targets, errors = map(np.concatenate, zip(*map(_targets_and_errors, own_runs), strict=True))
                bins = np.clip(np.digitize(targets, edges) - 1, 0, len(edges) - 2)
                means = [errors[bins == i].mean() if (bins == i).any() else np.nan for i in range(len(edges) - 1)]
                axes.plot((edges[1:] + edges[:-1]) / 2, means, "o-", color=colour, label=label, markersize=3.5)
            axes.set_title(f"{name} (grey: unseen)")
            axes.set_xlabel(f"target ({unit})")
            axes.set_ylabel(f"mean absolute error ({unit})")
            axes.set_ylim(bottom=0)
            if axes.lines:
                axes.legend()
        return save_figure(figure, path)


def _targets_and_errors(run: StudyRun) -> tuple[np.ndarray, np.ndarray]:
    table = RunDirectory(run.path).predictions()
    target = next(column for column in table if column.endswith("_target"))
    prediction = target.removesuffix("_target") + "_prediction"
    return table[target].to_numpy(), (table[target] - table[prediction]).abs().to_numpy()
