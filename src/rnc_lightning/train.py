"""Train: `python -m rnc_lightning.train +experiment=digits_rnc`.

Composes the configuration, checks it, runs the stages in order, tests the regressor and writes the run directory.
Nothing heavy is imported before the configuration has been looked at.
"""

import sys
from functools import partial

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.command_line.messages import run_cli, task
from rnc_lightning.command_line.quoting import path_quoted
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.runs.run import run_and_return_metric
from rnc_lightning.sweeps.callback import run_and_show_sweep


@hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="train")
@task
def _main(cfg: DictConfig) -> float | None:
    return run_and_return_metric(RunRequest.read(cfg, HydraConfig.get().overrides.task))


def main() -> None:
    """Entry point."""
    sys.argv[1:] = [path_quoted(word) for word in sys.argv[1:]]
    run_cli(partial(run_and_show_sweep, _main))


if __name__ == "__main__":
    main()
