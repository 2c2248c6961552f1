"""Train: `python -m rnc_lightning.train +experiment=digits_rnc`.

Composes the configuration, checks it, runs the stages in order, tests the regressor and writes the run directory.
Nothing heavy is imported before the configuration has been looked at.
"""

import logging
import time
import warnings
from collections.abc import Sequence
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from rnc_lightning.cli import run_cli, task
from rnc_lightning.composition import Parts, check_keys, config_directory, plain, run_identity, run_name, run_path
from rnc_lightning.errors import UserError
from rnc_lightning.run_directory import RunDirectory, setting_hash

log = logging.getLogger(__name__)


def run(cfg: DictConfig, overrides: Sequence[str] = ()) -> dict[str, float | None]:
    """Run one experiment, or go on with it, or read what it ended with.

    Args:
        cfg: The composed configuration.
        overrides: The command line's words, which name the run directory.

    Returns:
        `test/...` and, for the chosen epoch of the regressor, `val/...`.

    Raises:
        UserError: For whatever the user can mend.
    """
    config = plain(cfg)
    check_keys(config)
    console = Console()
    name = run_name(config, overrides)
    directory = RunDirectory(run_path(config, overrides))
    directory.check(config)
    result = directory.finished()
    if result is None:
        if config["print_config"]:
            _print_config(config, console)
        result = _run_stages(cfg, config, directory, name, _identity(config, overrides))
    else:
        log.info("%s is finished already: nothing to train", directory.path)

    from rnc_lightning.results import print_result

    print_result(result, directory.path, console)
    return returned_metrics(result)


def returned_metrics(result: dict[str, Any]) -> dict[str, float | None]:
    """What a sweep can optimise: `test/...` and the regressor's `val/...`."""
    last = list(result["stages"].values())[-1]
    validation = {name: value for name, value in last["metrics"].items() if name.startswith("val/")}
    return {**{f"test/{name}": value for name, value in result["test"].items()}, **validation}


def _run_stages(
    cfg: DictConfig, config: dict[str, Any], directory: RunDirectory, name: str, identity: dict[str, Any]
) -> dict[str, Any]:
    from rnc_lightning import loggers
    from rnc_lightning.execution import execute

    parts = Parts(cfg)
    began = time.perf_counter()
    _quiet_lightning()
    try:
        result = execute(parts, config, directory, name, identity)
    except Exception as error:
        loggers.finish(exit_code=1)
        if directory.begun():
            reason = f"{type(error).__name__}: {error}"
            directory.write_result({**identity, **(directory.result() or {}), "status": "failed", "reason": reason})
        raise
    except BaseException as stop:  # a person's Ctrl-C, which Lightning turns into an exit: not a failure
        loggers.finish(exit_code=130)
        raise KeyboardInterrupt from stop
    result = {
        **result,
        "status": "finished",
        "seconds": time.perf_counter() - began,
    }
    directory.write_result(result)
    loggers.finish(exit_code=0)
    return result


def _identity(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    experiment, kept = run_identity(config, overrides)
    keys = {"dataset": "dataset", "method": "method", "scheme": "scheme", "head": "head_name", "seed": "seed"}
    named = {key: config.get(source) for key, source in keys.items()}
    return {"experiment": experiment, "overrides": kept, **named, "setting": setting_hash(config)}


def _print_config(config: dict[str, Any], console: Console) -> None:
    from rnc_lightning.config_tree import config_tree

    console.print(config_tree(config))


def _quiet_lightning() -> None:
    """Leave out Lightning's notes on hardware, its advertisements and its deprecation warnings about itself."""
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # a frozen encoder
    warnings.filterwarnings("ignore", message=".*number of training batches.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")  # on resuming
    warnings.filterwarnings("ignore", message=".*but have no `validation_step`.*")  # stage one has none
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)


@hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="train")
@task
def _main(cfg: DictConfig) -> float | None:
    metrics = run(cfg, HydraConfig.get().overrides.task)
    if cfg.optimized_metric not in metrics:
        raise UserError(f"optimized_metric: {cfg.optimized_metric} is not one of {', '.join(metrics)}")
    return metrics[cfg.optimized_metric]


def main() -> None:
    """Entry point."""
    run_cli(_main)


if __name__ == "__main__":
    main()
