"""A claim of the paper: what the authors report, what was measured here, and whether the claim holds."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from rnc_lightning.reports.statistics import Gain, paired_gain
from rnc_lightning.system.files import write_text

HOLDS, FAILS, OPEN = "holds", "does not hold", "open"


@dataclass(frozen=True)
class Claim:
    """One row of the page of claims.

    Attributes:
        claim: A sentence.
        published: What the authors report, and on which data set; empty if they give no number.
        dataset: The data set of the measurement; its name shows whether it is synthetic.
        measured: The measured effect with its interval, as text.
        verdict: `holds`, `does not hold` or `open`.
        mean: The effect, positive if it supports the claim; None if it is not a number.
        low: Lower end of its 95 percent interval; None for fewer than two seeds.
        high: Upper end of the interval.
        unit: Unit of `mean`, `low` and `high`.
    """

    claim: str
    published: str
    dataset: str
    measured: str
    verdict: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""


def estimated_claim(claim: str, published: str, dataset: str, unit: str, gain: Gain) -> Claim:
    """Return a claim about a measured effect; see `verdict` for whether it holds.

    >>> result = estimated_claim("RnC helps", "", "digits", "%", Gain(3.04, 1.0, 5.0, 5))
    >>> result.measured, result.verdict
    ('+3.0 % [+1.0, +5.0], 5 seeds', 'holds')
    """
    digits = 1 if unit in ("%", "points") else 3
    interval = "" if gain.low is None else f" [{gain.low:+.{digits}f}, {gain.high:+.{digits}f}]"
    shown = f"{gain.mean:+.{digits}f}{' ' + unit if unit else ''}{interval}"
    seeds = f"{gain.pairs} seed{'' if gain.pairs == 1 else 's'}"
    judged = verdict(gain.low, gain.high)
    return Claim(claim, published, dataset, f"{shown}, {seeds}", judged, gain.mean, gain.low, gain.high, unit)


def verdict(low: float | None, high: float | None) -> str:
    """Whether an effect is positive: `holds` or `does not hold` if 0 is outside its interval, else `open`.

    >>> verdict(1.0, 5.0), verdict(-5.0, -1.0), verdict(-1.0, 5.0), verdict(None, None)
    ('holds', 'does not hold', 'open', 'open')
    """
    if low is None or high is None:
        return OPEN
    return HOLDS if low > 0 else FAILS if high < 0 else OPEN


def checked_claim(claim: str, published: str, dataset: str, measured: str, holds: bool | None) -> Claim:
    """Return a claim that was checked directly, without an interval; `holds` is None if it could not be checked."""
    return Claim(claim, published, dataset, measured, OPEN if holds is None else HOLDS if holds else FAILS)


def reduction(before: Mapping[int, float], after: Mapping[int, float]) -> Gain | None:
    """By how many percent an error is reduced, paired by seed; None without a common seed.

    >>> reduction({0: 10.0, 1: 10.0}, {0: 9.0, 1: 8.0}).mean
    15.0
    """
    common = set(before) & set(after)
    return paired_gain(
        dict.fromkeys(common, 0.0),
        {seed: -100 * (before[seed] - after[seed]) / before[seed] for seed in common},
        higher_is_better=False,
    )


def write_claims(path: Path, claims: Sequence[Claim]) -> None:
    """Write one row per claim, one column per field of `Claim`."""
    table = pd.DataFrame(map(asdict, claims), columns=[field.name for field in fields(Claim)])
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read_claims(path: Path) -> list[Claim]:
    """Read a file written by `write_claims`."""
    claims = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            numbers: dict[str, Any] = {key: float(row[key]) if row[key] else None for key in ("mean", "low", "high")}
            claims.append(Claim(**{**row, **numbers}))
    return claims


def claims_table(claims: Iterable[Claim]) -> list[tuple[str, str, str, str]]:
    """Return the table cells of each claim: claim, published, measured, verdict."""
    return [(claim.claim, claim.published, f"{claim.dataset}: {claim.measured}", claim.verdict) for claim in claims]
