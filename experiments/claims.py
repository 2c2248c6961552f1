"""Table of all claims of the paper: what is published, what was measured here, and whether each claim holds.

    python experiments/claims.py

Reads the results of the studies in this folder and writes README.md and claims.png next to this file.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from rnc_lightning.plots.style import BLUE, GREY, house_style, new_figure, save_figure
from rnc_lightning.reports.claims import FAILS, HOLDS, OPEN, Claim, claims_table, estimated_claim, read_claims
from rnc_lightning.reports.markdown import markdown_table
from rnc_lightning.reports.published import change_text, published_value
from rnc_lightning.reports.statistics import Gain
from rnc_lightning.system.files import write_text

HERE = Path(__file__).parent
# Folder -> title, in the paper's order.
STUDIES = {
    "regression_losses": "Heads alone and on RnC (table 2)",
    "competing_methods": "Other representations and regression methods (table 3)",
    "ordinality": "Ordered features (table 1)",
    "representations": "Maps of the features (figure 1)",
    "robustness": "Corrupted images (figure 4)",
    "reduced_data": "Less training data (figure 5)",
    "transfer": "Transfer (table 4)",
    "unseen_targets": "Unseen targets (table 5)",
    "ablations": "Ablations (table 6)",
    "spurious_targets": "Spurious targets (figure 6)",
    "theory": "Theory (theorems 1 to 3)",
}
INTRODUCTION = """# Experiments

Each folder is a study: a question, the command that answers it, what the paper reports, what was measured. This page
lists **every claim of the paper, the published effect, the effect measured here, and whether the claim holds here.**
`make claims` writes it from the results in the folders; `make studies` trains and measures all of it (187 runs, two to
three hours on two cores; tables 2 and 3 have `make study-losses` and `make study-methods`), `python -m
rnc_lightning.study NAME data=agedb` the same on the paper's data.

Measured on **rotated digits**: real handwritten digits (scikit-learn's) with a synthetic target, the angle by which
they were rotated; 867 training images of 16 pixels, a small network, minutes of training, a 2-core AMD EPYC without a
GPU (table 2: 32 pixels, a 2-core Intel Xeon). Budget and learning rates, from a seed that no study reports, are those
of [competing_methods](competing_methods/README.md); [digits](digits/README.md) explains how the data were chosen, after
trials of both methods. The paper has faces, gaze, outdoor scenes and EEG, a ResNet-18 and 400 epochs. So a claim that
holds here is confirmed under other conditions; one that does not hold here is not refuted for the authors' conditions.

Effects on errors are in percent of the error, positive if they support the claim, paired by seed (table 3: not paired,
Welch's intervals), with a 95 percent t interval over seeds (data and split are the same for all seeds, so it covers the
randomness of training and, with less data, of the subset). **holds**: the interval is above 0; **does not hold**:
below; **open**: it includes 0. There is no correction for the number of claims: of those without any effect, one in
twenty would not be `open`.
"""

OTHERS = """
## Other folders

- [digits](digits/README.md): RnC against L1 at 32 pixels, each at its best learning rate; the front page's maps.
- [synthetic](synthetic/README.md): synthetic files of the paper's five data sets in their official layouts.
- [sweeps](sweeps/README.md): sweeps for W&B agents.
"""


def main() -> None:
    """Read, draw, write."""
    claims = gather_claims()
    _draw(claims, HERE / "claims.png")
    write_text(HERE / "README.md", page(claims))
    print(summary(claims).replace("*", ""))
    print(f"written: {HERE / 'README.md'}")


def gather_claims() -> dict[str, Sequence[Claim]]:
    """Return the claims of each study that has results."""
    return {folder: claims for folder in STUDIES if (claims := _claims(folder))}


def page(found: Mapping[str, Sequence[Claim]]) -> str:
    """Return the text of README.md."""
    picture = "![Measured effects of all claims in percent, with their intervals](claims.png)"
    parts = [INTRODUCTION.strip(), summary(found), picture]
    headings = ("claim", "published", "measured here", "verdict")
    for folder, claims in found.items():
        rows = [(c, p, m, v if v == OPEN else f"**{v}**") for c, p, m, v in claims_table(claims)]
        parts += [f"## [{STUDIES[folder]}]({folder}/README.md)", markdown_table(headings, rows)]
    return "\n\n".join([*parts, OTHERS.strip()]) + "\n"


def summary(found: Mapping[str, Sequence[Claim]]) -> str:
    """Count the claims that hold, are open and do not hold."""
    counts = Counter(claim.verdict for claims in found.values() for claim in claims)
    return (
        f"**{counts.total()} claims: {counts[HOLDS]} hold, {counts[OPEN]} are open, {counts[FAILS]} "
        f"{'does' if counts[FAILS] == 1 else 'do'} not hold.**"
    )


def _claims(folder: str) -> list[Claim]:
    if folder == "regression_losses":
        return list(_heads(pd.read_csv(HERE / folder / "results" / "report.csv")))
    if folder == "competing_methods":
        return list(_competing(pd.read_csv(HERE / folder / "results" / "report.csv")))
    file = HERE / folder / "results" / "claims.csv"
    return read_claims(file) if file.is_file() else []


def _heads(report: pd.DataFrame) -> Iterator[Claim]:
    """RnC against each head alone: gains are paired by seed, in percent of the head's mean error."""
    errors = report[report.metric == "mae"]
    for row in errors[errors.row.fillna("").str.startswith("rnc_")].itertuples():
        head = str(row.row).removeprefix("rnc_")
        (alone,) = errors[errors.row == head].itertuples()
        values: list[Any] = [published_value("agedb", head, "end_to_end", "mae")]
        values.append(published_value("agedb", f"rnc_{head}", "linear_probe", "mae"))
        scale = 100 / float(alone.mean)  # type: ignore[arg-type]
        gain = Gain(row.gain * scale, row.gain_low * scale, row.gain_high * scale, int(row.pairs))  # type: ignore[operator,arg-type]
        yield estimated_claim(f"RnC helps {alone.label}", change_text(*values, "AgeDB"), "digits, 32 pixels", "%", gain)


def _competing(report: pd.DataFrame) -> Iterator[Claim]:
    """RnC(L1) against every other method of the table; seeds are not paired here, so the intervals are Welch's."""
    errors = report[(report.metric == "mae") & report["mean"].notna() & (report.row != "constant")]
    errors = errors[~errors.variant.fillna("").str.contains("second_pass")]
    (rnc,) = errors[(errors.row == "rnc_l1") & (errors.scheme == "linear_probe")].to_dict("records")
    for row in errors.to_dict("records"):
        if row["row"] == "rnc_l1" or math.isnan(row["published_agedb"]):
            continue  # RnC's schemes are among the ablations
        text = change_text(row["published_agedb"], rnc["published_agedb"], "AgeDB")
        probed = " probed" if row["scheme"] == "linear_probe" else ""
        yield estimated_claim(f"RnC(L1) does better than {row['label']}{probed}", text, "digits", "%", _welch(row, rnc))


def _welch(other: dict[str, Any], rnc: dict[str, Any]) -> Gain:
    parts = [run["sd"] ** 2 / run["n"] for run in (other, rnc)]
    freedom = sum(parts) ** 2 / sum(part**2 / (run["n"] - 1) for part, run in zip(parts, (other, rnc), strict=True))
    half = float(stdtrit(freedom, 0.975)) * math.sqrt(sum(parts))
    scale, difference = 100 / other["mean"], other["mean"] - rnc["mean"]
    return Gain(
        scale * difference, scale * (difference - half), scale * (difference + half), int(min(other["n"], rnc["n"]))
    )


def _draw(found: Mapping[str, Sequence[Claim]], path: Path) -> None:
    shown = [
        (STUDIES[folder], c) for folder, claims in found.items() for c in claims if c.unit == "%" and c.low is not None
    ]
    colours = {HOLDS: BLUE, OPEN: GREY, FAILS: "#b5651d"}
    with house_style():
        figure = new_figure(10.5, 1.0 + 0.23 * (len(shown) + len(found)))
        axes = figure.add_subplot()
        axes.axvline(0, color="#555555", linewidth=0.8)
        y, ticks, last = 0.0, [], ""
        for study, claim in shown:
            if study != last:
                ticks.append((y, study))
                y, last = y - 1, study
            assert claim.mean is not None
            axes.plot([claim.low, claim.high], [y, y], color=colours[claim.verdict], linewidth=2, solid_capstyle="butt")
            axes.plot(claim.mean, y, "o", color=colours[claim.verdict], markersize=5)
            ticks.append((y, claim.claim))
            y -= 1
        axes.set_yticks([position for position, _ in ticks], [text for _, text in ticks], fontsize=8)
        for label, (_, text) in zip(axes.get_yticklabels(), ticks, strict=True):
            label.set_fontweight("bold" if text in STUDIES.values() else "normal")
        axes.set_ylim(y + 0.3, 0.7)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#eeeeee")
        axes.set_axisbelow(True)
        axes.set_xlabel("lower error with what is claimed to be better (%), 95 percent interval over seeds")
        axes.set_title("blue: holds, grey: open, brown: does not hold")
        save_figure(figure, path)


if __name__ == "__main__":
    main()
