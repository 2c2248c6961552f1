"""Do features transfer to other data? The paper's transfer table: encoder from one data set, head on another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnc_lightning.plots.levels import METHOD_COLOURS
from rnc_lightning.plots.style import house_style, new_figure, save_figure
from rnc_lightning.reports.claims import estimated_claim
from rnc_lightning.reports.comparison import mean_text
from rnc_lightning.reports.published import change_text, find_pair, read_published
from rnc_lightning.studies.bench import Bench, StudyRun, result_rows
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods

SCHEMES = {"linear_probe": "transfer_probe", "fine_tune": "transfer_fine_tune"}


@dataclass(frozen=True)
class Direction:
    """Source and target data of a transfer.

    Attributes:
        source: Options of the runs that train the encoder.
        target: Options of the runs that use it.
        published: `source` and `dataset` of the authors' rows to compare with; null for none.
    """

    source: Mapping[str, Any]
    target: Mapping[str, Any]
    published: Mapping[str, str] | None = None


class Transfer:
    """Trains an encoder on the source data, and a new head on the target data: alone, or with the encoder.

    Args:
        methods: Method that trains the encoder -> label, the first one the baseline.
        directions: Name -> fields of `Direction`.
        seeds: Number of seeds.
    """

    title = "Transfer"
    question = "Do features learned on one data set serve regression on another, probed and fine-tuned?"

    def __init__(self, methods: Mapping[str, str], directions: Mapping[str, Mapping[str, Any]], seeds: int = 5) -> None:
        self.methods = Methods(methods)
        self.directions = {name: Direction(**fields) for name, fields in directions.items()}
        self.seeds = seeds

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Runs on the sources, then runs of new heads on the targets."""
        sources, targets = [], []
        for name, direction in self.directions.items():
            for method in self.methods.labels:
                for seed in range(self.seeds):
                    source = bench.run(method, seed, direction.source, direction=name, scheme="source")
                    sources.append(source)
                    for scheme, transfer in SCHEMES.items():
                        options = {**direction.target, "scheme": transfer, "encoder_from": source.path}
                        targets.append(bench.run(method, seed, options, direction=name, scheme=scheme))
        return [sources, targets]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Errors on the target by direction and scheme."""
        frame = pd.DataFrame(result_rows(runs))
        unit = runs[0].result["units"][0]
        authors = read_published("transfer")
        lines, claims = [], []
        for name, direction in self.directions.items():
            dataset = _target_dataset(runs, name)
            for scheme in SCHEMES:
                errors = self.methods.errors(frame, direction=name, scheme=scheme)
                published = ""
                if direction.published is not None:
                    pair = find_pair(authors, scheme=scheme, **direction.published)
                    published = change_text(*pair, " to ".join(direction.published[k] for k in ("source", "dataset")))
                case = f"{name}, {scheme.replace('_', ' ')}"
                if gain := self.methods.reduction(errors):
                    claims.append(estimated_claim(f"RnC transfers better: {case}", published, dataset, "%", gain))
                lines.append([case, *self.methods.cells(errors), published])
        for name in self.directions:
            errors = self.methods.errors(frame, direction=name, scheme="source")
            lines.append([f"{name}: on the source itself", *map(mean_text, errors.values()), "", ""])
        headings = ["direction", *self.methods.labels.values(), "gain", "published"]
        note = (
            "The head of the source run is discarded: a new head is trained on the target, on the frozen encoder "
            "(linear probe) or together with it (fine-tune). Nothing else of the source run is used."
        )
        table = Table(f"Test MAE on the target ({unit}), mean ± standard deviation over seeds", headings, lines)
        draw = partial(_draw, frame, self.directions, self.methods, unit)
        return Findings([table], claims, frame, draw, [note])


def _target_dataset(runs: Sequence[StudyRun], direction: str) -> str:
    """Name of the data set that the new heads of a direction were trained and tested on."""
    heads = [run for run in runs if run.levels["direction"] == direction and run.levels["scheme"] in SCHEMES]
    return str(heads[0].result["dataset"]) if heads else ""


def _draw(frame: pd.DataFrame, directions: Mapping[str, Any], methods: Methods, unit: str, path: Path) -> Path:
    cases = [(name, scheme) for name in directions for scheme in SCHEMES]
    with house_style():
        figure = new_figure(6.8, 1.3 + 0.55 * len(cases))
        axes = figure.add_subplot()
        for shift, (colour, (method, label)) in enumerate(zip(METHOD_COLOURS, methods.labels.items(), strict=False)):
            for row, (name, scheme) in enumerate(cases):
                errors = list(methods.errors(frame, direction=name, scheme=scheme)[method].values())
                y = [-row - 0.17 * shift] * len(errors)
                axes.plot(errors, y, "o", color=colour, alpha=0.5, markersize=4.5, label="" if row else label)
                if errors:
                    axes.plot([np.mean(errors)], y[:1], "|", color=colour, markersize=13, markeredgewidth=2)
        labels = [f"{name}, {scheme.replace('_', ' ')}" for name, scheme in cases]
        axes.set_yticks([-row - 0.08 for row in range(len(cases))], labels)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"test MAE on the target ({unit})")
        axes.set_title("dots: seeds, bars: means")
        axes.legend()
        return save_figure(figure, path)
