"""How much does less training data hurt? The paper's figure of IMDB-WIKI subsamples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rnc_lightning.plots.levels import Panel, save_level_figure
from rnc_lightning.reports.claims import Claim, claim_from, reduction
from rnc_lightning.reports.comparison import by_seed, gain_text, mean_text
from rnc_lightning.reports.published import change, names, published, value
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.studies.bench import Bench, StudyRun, rows
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods


class ReducedData:
    """Methods over numbers of training samples.

    Args:
        methods: Method -> label, the first one the baseline.
        sizes: Number of training samples -> the words that make it so; or numbers alone, which are drawn.
        seeds: Number of seeds; of the training and of the draw.
    """

    title = "Less training data"
    question = "How do errors grow as training data get fewer, and does RnC help more there?"

    def __init__(
        self,
        methods: Mapping[str, str],
        sizes: Mapping[Any, Mapping[str, Any] | None] | Sequence[int],
        seeds: int = 3,
    ) -> None:
        self.methods = Methods(methods)
        if not isinstance(sizes, Mapping):
            sizes = {size: {"data.subset.size": size} for size in sizes}
        self.sizes = {int(size): words or {} for size, words in sizes.items()}
        self.seeds = seeds

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Each size, method and seed."""
        return [
            [
                bench.run(method, seed, self._words(words, seed), train_size=size)
                for size, words in sorted(self.sizes.items(), reverse=True)
                for method in self.methods.labels
                for seed in range(self.seeds)
            ]
        ]

    def _words(self, words: Mapping[str, Any], seed: int) -> dict[str, Any]:
        return {**words, **({"data.subset.seed": seed} if "data.subset.size" in words else {})}

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Errors by size, here and published."""
        frame = pd.DataFrame(rows(runs))
        dataset, unit = runs[0].result["dataset"], runs[0].result["units"][0]
        old, new = self.methods.baseline, self.methods.challenger
        sizes = sorted(self.sizes, reverse=True)
        errors = {
            (method, size): by_seed(frame, "mae", method=method, train_size=size)
            for method in self.methods.labels
            for size in sizes
        }
        lines = [
            [
                f"{size:,}",
                *(mean_text(errors[method, size]) for method in self.methods.labels),
                gain_text(paired_gain(errors[old, size], errors[new, size], higher_is_better=False)),
            ]
            for size in sizes
        ]
        headings = ["training samples", *self.methods.labels.values(), "gain"]
        authors = published("reduced_data")
        theirs_by_size = sorted(authors.train_size.unique(), reverse=True)
        theirs = [
            [f"{size:,}", *(f"{value(authors, method=method, train_size=size):.2f}" for method in ("l1", "rnc_l1"))]
            for size in theirs_by_size
        ]
        tables = [
            Table(f"{dataset}, test MAE ({unit}), mean ± standard deviation over seeds", headings, lines),
            Table("Published (IMDB-WIKI, MAE in years)", ["training samples", *names(["l1", "rnc_l1"])], theirs),
        ]

        def draw(path: Path) -> Path:
            return save_level_figure([self._measured(errors, dataset, unit), _authors_panel(authors)], path)

        return Findings(tables, list(self._claims(errors, dataset, authors)), frame, draw)

    def _claims(
        self, errors: Mapping[tuple[str, int], dict[int, float]], dataset: str, authors: pd.DataFrame
    ) -> list[Claim]:
        old, new = self.methods.baseline, self.methods.challenger
        sizes = sorted(self.sizes, reverse=True)
        theirs = sorted(authors.train_size.unique(), reverse=True)

        def reported(size: int) -> tuple[float, float]:
            before, after = (value(authors, method=method, train_size=size) for method in ("l1", "rnc_l1"))
            return before, after

        found = []
        for size, their_size in ((sizes[0], theirs[0]), (sizes[-1], theirs[-1])):
            if gain := reduction(errors[old, size], errors[new, size]):
                text = change(*reported(their_size), f"IMDB-WIKI, {their_size:,} samples")
                found.append(claim_from(f"RnC helps with {size:,} training samples", text, dataset, "%", gain))
        most, least = sizes[0], sizes[-1]
        common = set.intersection(*(set(errors[key, size]) for key in (old, new) for size in (most, least)))

        def relative(size: int) -> dict[int, float]:
            return {seed: 100 * (1 - errors[new, size][seed] / errors[old, size][seed]) for seed in common}

        more = paired_gain(relative(most), relative(least), higher_is_better=True)
        if more is not None and most != least:
            gains = [
                100 * (1 - after / before) for before, after in (reported(size) for size in (theirs[0], theirs[-1]))
            ]
            text = f"IMDB-WIKI: the gain goes from {gains[0]:.1f} to {gains[1]:.1f} % of the error"
            claim = f"The gain grows from {most:,} to {least:,} samples (in percent of the error)"
            found.append(claim_from(claim, text, dataset, "%", more))
        return found

    def _measured(self, errors: Mapping[tuple[str, int], dict[int, float]], dataset: str, unit: str) -> Panel:
        lines = {
            label: {float(size): list(errors[method, size].values()) for size in self.sizes if errors[method, size]}
            for method, label in self.methods.labels.items()
        }
        return Panel(f"{dataset}: measured", "training samples", f"test MAE ({unit})", lines, logarithmic=True)


def _authors_panel(authors: pd.DataFrame) -> Panel:
    lines = {
        label: {size: [value(authors, method=method, train_size=size)] for size in authors.train_size.unique().tolist()}
        for method, label in zip(("l1", "rnc_l1"), names(["l1", "rnc_l1"]), strict=True)
    }
    return Panel("IMDB-WIKI: published", "training samples", "test MAE (years)", lines, logarithmic=True)
