"""Do the heads overfit? Mean error of finished runs on the training images, without augmentation, and on the test set.

    python experiments/regression_losses/training_error.py runs/regression_losses

Loads the chosen weights of the runs of `make study-losses`; writes nothing.
"""

import argparse
from pathlib import Path
from statistics import mean

import torch
from hydra import compose, initialize_config_dir

from rnc_lightning.command_line.compose import config_directory, resolve_config
from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.splits import SplitName
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.fitting.fit import StageSummary, load_weights
from rnc_lightning.runs.parts import Parts
from rnc_lightning.stages import Regress

HEADS = ("l1", "mse", "huber", "dex", "dldl_v2", "or", "corn")
SCHEMES = ("end_to_end", "linear_probe")


def errors(options: list[str], run: RunDirectory) -> list[float]:
    """Return the mean absolute error of a finished run on the training and on the test images."""
    parts = Parts(resolve_config(compose("train", options)))
    data = parts.data()
    module = parts.stage("regress", parts.target(data.splits["train"].targets))
    assert isinstance(module, Regress)
    stage = run.stage("regress")
    summary = StageSummary.read(stage)
    if summary is None:
        raise SystemExit(f"error: {run.path} is not finished; run `make study-losses`")
    load_weights(module, stage / summary.checkpoint)
    return [_error(module.eval(), data, split) for split in ("train", "test")]


@torch.no_grad()
def _error(module: Regress, data: RegressionDataModule, split: SplitName) -> float:
    return float(torch.cat([(module(batch["x"]) - batch["y"]).abs() for batch in data.plain_loader(split)]).mean())


def main() -> None:
    """Print a row for each head and scheme."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="the output directory of `make study-losses`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    print("| head | scheme | training error | test error |\n|---|---|---|---|")
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        for head in HEADS:
            for scheme in SCHEMES:
                rows = []
                for seed in arguments.seeds:
                    choice = [f"head={head}", f"scheme={scheme}", f"seed={seed}"]
                    run = RunDirectory(arguments.runs / "digits_rnc" / ",".join(choice))
                    rows.append(errors(["+experiment=digits_rnc", *choice], run))
                train, test = (mean(column) for column in zip(*rows, strict=True))
                print(f"| {head} | {scheme} | {train:.2f} | {test:.2f} |", flush=True)


if __name__ == "__main__":
    main()
