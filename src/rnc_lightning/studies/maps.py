"""What do features look like, and do they encode a nuisance? The paper's maps of the feature space."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from rnc_lightning.plots.maps import save_projection_comparison
from rnc_lightning.reports.claims import Claim, estimated_claim, reduction
from rnc_lightning.reports.comparison import by_seed, mean_text
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.studies.bench import Bench, StudyRun, result_rows
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods
from rnc_lightning.system.errors import UserError

NEIGHBOURS = 10


class Maps:
    """Maps of the test features coloured by target and by a nuisance, and how similar neighbours are in both.

    Args:
        methods: Method -> label; the first one is the baseline, the last one is claimed to be better.
        title: Title of the results.
        question: The question of the study.
        claims: Measure (`neighbours_difference` or `excess`) -> what the paper's figures claim about the last method
            compared with each `{other}` one.
        nuisance: An attribute that is irrelevant to the target: {name, pattern}, a regular expression whose first
            group is its value in a sample's name; null if there is none.
        seeds: Number of seeds; the maps are those of the first one.
        words: Method -> options of its runs, in addition to the common ones.
    """

    def __init__(
        self,
        methods: Mapping[str, str],
        title: str,
        question: str,
        claims: Mapping[str, str],
        nuisance: Mapping[str, str] | None = None,
        seeds: int = 3,
        words: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.methods = Methods(methods)
        self.title, self.question = title, question
        self.nuisance = nuisance
        self.seeds = seeds
        self.claims = claims
        self.options = words or {}

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Each method with each seed."""
        runs = []
        for method in self.methods.labels:
            runs += bench.runs([method], self.seeds, self.options.get(method))
        return [runs]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Maps, and measures of what they show."""
        measured = [{**row, **self._measure(run)} for row, run in zip(result_rows(runs), runs, strict=True)]
        frame = pd.DataFrame(measured)
        unit, dataset = runs[0].result["units"][0], runs[0].result["dataset"]
        columns = {
            "mae": f"test MAE ({unit})",
            "spearman": "Spearman",
            "neighbours_difference": f"neighbours' target ({unit})",
        }
        if self.nuisance is not None:
            columns |= {
                "same": f"neighbours of the same {self.nuisance['name']} (%)",
                "excess": "more than by chance (%)",
            }
        lines = [
            [label, *(mean_text(by_seed(frame, c, method=method), 3 if c == "spearman" else 2) for c in columns)]
            for method, label in self.methods.labels.items()
        ]
        title = f"Test set of {dataset}, mean ± standard deviation over {self.seeds} seeds"
        table = Table(title, ["method", *columns.values()], lines)
        first_runs = {run.method: run for run in sorted(runs, key=lambda run: -run.seed)}  # of the lowest seed
        draw = partial(self._draw, first_runs, f"target ({unit})")
        return Findings([table], list(self._claims(frame, dataset)), frame, draw, self._notes())

    def _claims(self, frame: pd.DataFrame, dataset: str) -> Iterator[Claim]:
        """Each claim, for each of the other methods."""
        new = self.methods.challenger
        for measure, claim in self.claims.items():
            if measure not in frame:
                continue
            for old in [method for method in self.methods.labels if method != new]:
                before, after = by_seed(frame, measure, method=old), by_seed(frame, measure, method=new)
                if measure == "excess":
                    gain, unit = paired_gain(before, after, higher_is_better=False), "points"
                else:
                    gain, unit = reduction(before, after), "%"
                if gain is not None:
                    text = claim.format(other=self.methods.labels[old])
                    yield estimated_claim(text, "a figure only", dataset, unit, gain)

    def _notes(self) -> list[str]:
        notes = [
            "Neighbours' target: the mean difference between a test sample's target and those of its "
            f"{NEIGHBOURS} nearest others in the feature space (Euclidean). Maps: principal components of the test "
            "features of the first seed."
        ]
        if self.nuisance is not None:
            notes.append(
                f"By chance: the share of the same {self.nuisance['name']} among the {NEIGHBOURS} others nearest in "
                "target, which features of the target alone would have."
            )
        return notes

    def _measure(self, run: StudyRun) -> dict[str, float]:
        features, targets, nuisance = self._load_test_set(run)
        neighbours = _nearest(features)
        difference = np.abs(targets[neighbours] - targets[:, None]).sum(-1).mean()
        measures = {"neighbours_difference": float(difference)}
        if nuisance is not None:
            same = 100 * float((nuisance[neighbours] == nuisance[:, None]).mean())
            chance = 100 * float((nuisance[_nearest(targets)] == nuisance[:, None]).mean())
            measures |= {"same": same, "chance": chance, "excess": same - chance}
        return measures

    def _load_test_set(self, run: StudyRun) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Load features (n, F), targets (n, D) and, if there is a nuisance, its values (n,)."""
        directory = RunDirectory(run.path)
        features, targets = directory.features()
        if self.nuisance is None:
            return features, targets, None
        pattern = re.compile(self.nuisance["pattern"])
        values = []
        for name in directory.predictions()["name"]:
            match = pattern.search(name)
            if match is None:
                raise UserError(f"study.nuisance.pattern={self.nuisance['pattern']} finds nothing in {name!r}")
            values.append(match.group(1))
        return features, targets, np.array(values)

    def _draw(self, runs: Mapping[str, StudyRun], target: str, path: Path) -> Path:
        loaded = {
            label: self._load_test_set(runs[method]) for method, label in self.methods.labels.items() if method in runs
        }
        panels = {label: (features, targets[:, 0]) for label, (features, targets, _) in loaded.items()}
        groups = None
        if self.nuisance is not None:
            groups = (self.nuisance["name"], {label: np.asarray(values) for label, (*_, values) in loaded.items()})
        return save_projection_comparison(panels, path, target, groups=groups)


def _nearest(points: np.ndarray) -> np.ndarray:
    """Indices (n, k) of each point's nearest neighbours, without itself."""
    count = min(NEIGHBOURS, len(points) - 1)
    return NearestNeighbors(n_neighbors=count).fit(points).kneighbors(return_distance=False)
