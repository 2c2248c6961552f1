"""Does the theory hold numerically? The paper's theorems on the loss and its floor L*."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from rnc_lightning.reports.claims import Claim, checked_claim
from rnc_lightning.studies.bench import Bench, StudyRun
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.loss_floor import ordered_excess, random_batch_excess, training_history
from rnc_lightning.studies.theory_figure import save_theory_figure


class Theory:
    """Random batches, features in the order of their labels, and one training run.

    Args:
        epochs: Epochs of stage one.
        seeds: Number of training runs; the figure shows the one with the lowest seed. Random batches have seed 0.
    """

    title = "The theory"
    question = "Is the loss never below L*, does it come near it with ordered features, and does training go that way?"

    def __init__(self, epochs: int = 30, seeds: int = 1) -> None:
        self.epochs = epochs
        self.seeds = seeds

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """RnC, with its features measured after every epoch."""
        options = {"recipe.pretrain.epochs": self.epochs, "callbacks.diagnostics.every_n_epochs": 1}
        return [bench.runs(["rnc"], self.seeds, options)]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Results for random batches, ordered features and training, with a panel for each."""
        batches, ordered = random_batch_excess(seed=0), ordered_excess()
        histories = {run.seed: training_history(run.path) for run in runs}
        first = histories[min(histories)]
        dataset = runs[0].result["dataset"]
        lines = _batch_lines(batches, ordered)
        for seed, history in histories.items():
            lines += _training_lines(seed, history)
        parts = [batches.assign(part="random"), ordered.assign(part="ordered")]
        parts += [history.assign(part="training", seed=seed) for seed, history in histories.items()]
        draw = partial(save_theory_figure, batches, ordered, first)
        table = Table("Measured", ["what", "value"], lines)
        return Findings([table], _claims(batches, ordered, histories, dataset), pd.concat(parts), draw, _NOTES)


_NOTES = (
    "Random batches: 8 to 128 samples in one or two views, whole or continuous labels; features are noise, or the "
    "labels along a direction plus noise, which is closer to L*. Seed 0.",
    "Ordered features: the labels on a line, scaled up; the bound is derived in "
    "`rnc_lightning.studies.loss_floor.excess_bound`.",
    "Training: loss - L* of the training batches, Spearman's correlation on up to 256 validation samples.",
)


def _batch_lines(batches: pd.DataFrame, ordered: pd.DataFrame) -> list[list[str]]:
    nearest = ordered.loc[ordered.excess.idxmin()]
    return [
        ["random batches", f"{len(batches)}"],
        ["of them below L*", f"{int((batches.excess < 0).sum())}"],
        ["least loss - L* among them", f"{batches.excess.min():.2g}"],
        ["settings of ordered features", f"{len(ordered)}"],
        ["of them above the bound", f"{int((ordered.excess > ordered.bound).sum())}"],
        [f"least loss - L* among them, at 1/delta = {nearest.inverse_delta:.0f}", f"{nearest.excess:.2g}"],
    ]


def _training_lines(seed: int, history: pd.DataFrame) -> list[list[str]]:
    ends = f"{history.excess.iloc[0]:.2f}, {history.excess.iloc[-1]:.2f}"
    order = history.spearman.dropna()
    return [
        [f"training, seed {seed}: loss - L* in the first and the last epoch", ends],
        [f"training, seed {seed}: ordinality at first and at last", f"{order.iloc[0]:.3f}, {order.iloc[-1]:.3f}"],
        [f"training, seed {seed}: rank correlation of the two over epochs", f"{_correlation(history):.3f}"],
    ]


def _claims(
    batches: pd.DataFrame, ordered: pd.DataFrame, histories: Mapping[int, pd.DataFrame], dataset: str
) -> list[Claim]:
    correlations = [_correlation(history) for history in histories.values()]
    shown = ", ".join(f"{value:.2f}" for value in correlations)
    by_kind = [kind.sort_values("inverse_delta") for _, kind in ordered.groupby("labels")]
    falls = all((kind.excess.diff().dropna() < 0).all() for kind in by_kind)
    return [
        checked_claim(
            "The loss is never below L* (theorem 1)",
            "proved",
            f"{len(batches)} random batches",
            f"{int((batches.excess < 0).sum())} below, least loss - L* {batches.excess.min():.2g}",
            bool((batches.excess >= 0).all()),
        ),
        checked_claim(
            "The loss of delta-ordered features approaches L* (theorem 2)",
            "proved",
            f"{len(ordered)} settings",
            f"loss - L* falls to {ordered.excess.min():.2g} at 1/delta = {ordered.inverse_delta.max():.0f}, "
            "under its bound throughout",
            falls and bool((ordered.excess <= ordered.bound).all()),
        ),
        checked_claim(
            "In training the features get ordered as loss - L* falls (theorem 3)",
            "proved for losses near L*",
            dataset,
            f"rank correlation of the two over epochs {shown}",
            None if any(map(math.isnan, correlations)) else max(correlations) < 0,  # NaN for a single epoch
        ),
    ]


def _correlation(history: pd.DataFrame) -> float:
    measured = history.dropna(subset=["excess", "spearman"])
    return float(measured["excess"].corr(measured["spearman"], method="spearman"))
