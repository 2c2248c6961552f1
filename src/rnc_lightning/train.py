"""Train: `python -m rnc_lightning.train +experiment=digits_rnc`.

Composes the configuration, checks it, runs the stages in order, tests the regressor and writes the run directory.
Nothing heavy is imported before the configuration has been looked at.
"""

import json
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
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
    directory = RunDirectory(run_path(config, overrides))
    directory.check(config)
    result = directory.finished()
    if result is None:
        if config["print_config"]:
            _print_config(config, console)
        result = _run_stages(cfg, config, directory, overrides)
    else:
        log.info("%s is finished already: nothing to train", directory.path)
        _tell_sweep(cfg, config, directory, overrides)

    from rnc_lightning.results import print_result

    print_result(result, directory.path, console)
    return returned_metrics(result)


def returned_metrics(result: dict[str, Any]) -> dict[str, float | None]:
    """What a sweep can optimise: `test/...` and the regressor's `val/...`."""
    last = list(result["stages"].values())[-1]
    validation = {name: value for name, value in last["metrics"].items() if name.startswith("val/")}
    return {**{f"test/{name}": value for name, value in result["test"].items()}, **validation}


def execute_here(cfg: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """Do what a run does in this process, alone or as one of several, and return its result without a status."""
    from rnc_lightning import loggers
    from rnc_lightning.execution import execute

    config = plain(cfg)
    _quiet_lightning()
    exit_code = 1
    try:
        directory = RunDirectory(run_path(config, overrides))
        result = execute(Parts(cfg), config, directory, run_name(config, overrides), _identity(config, overrides))
        exit_code = 0
    except Exception:
        raise
    except BaseException as stop:  # a person's Ctrl-C, which Lightning turns into an exit: not a failure
        exit_code = loggers.STOPPED
        raise KeyboardInterrupt from stop
    finally:
        loggers.finish(exit_code)
    return result


def _tell_sweep(cfg: DictConfig, config: dict[str, Any], directory: RunDirectory, overrides: Sequence[str]) -> None:
    """Where an agent of a W&B sweep asked for this run, report it although it is finished: the sweep waits for it."""
    if "WANDB_SWEEP_ID" not in os.environ:
        return
    from rnc_lightning import loggers
    from rnc_lightning.execution import report_again

    report_again(Parts(cfg), config, directory, run_name(config, overrides))
    loggers.finish(0)


def _run_stages(
    cfg: DictConfig, config: dict[str, Any], directory: RunDirectory, overrides: Sequence[str]
) -> dict[str, Any]:
    began = time.perf_counter()
    count = processes(config["trainer"])
    try:
        result = execute_here(cfg, overrides) if count == 1 else _execute_in_processes(cfg, overrides, count, directory)
    except Exception as error:
        if directory.begun():
            reason = f"{type(error).__name__}: {error}"
            known = {**_identity(config, overrides), **(directory.result() or {})}
            directory.write_result({**known, "status": "failed", "reason": reason})
        raise
    result = {**result, "status": "finished", "seconds": time.perf_counter() - began}
    directory.write_result(result)
    return result


def _execute_in_processes(
    cfg: DictConfig, overrides: Sequence[str], count: int, directory: RunDirectory
) -> dict[str, Any]:
    """The same in processes of this run's own: what it returned in the first one, or the error that a user can mend."""
    from rnc_lightning.distributed.launching import ProcessFailedError, python_module, run_processes

    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder)
        (task / "config.yaml").write_text(OmegaConf.to_yaml(cfg), encoding="utf-8")
        (task / "words.json").write_text(json.dumps(list(overrides)), encoding="utf-8")
        try:
            run_processes(python_module("rnc_lightning.rank", folder), count, directory.path / "processes")
        except ProcessFailedError as failure:
            if not (task / "error.json").is_file():
                raise
            error = json.loads((task / "error.json").read_text(encoding="utf-8"))
            raise UserError(error["message"], error["details"]) from failure
        result: dict[str, Any] = json.loads((task / "result.json").read_text(encoding="utf-8"))
        return result


def processes(trainer: Mapping[str, Any]) -> int:
    """How many processes the trainer's configuration asks for.

    >>> processes({"devices": 2, "strategy": "ddp", "accelerator": "cpu"}), processes({"devices": 1})
    (2, 1)

    Raises:
        UserError: For more than one machine.
    """
    if trainer.get("num_nodes", 1) != 1:
        raise UserError("trainer.num_nodes: runs on several machines are not supported yet; set 1")
    devices = trainer.get("devices", 1)
    if isinstance(devices, list):
        return len(devices)
    if isinstance(devices, int) and not isinstance(devices, bool) and devices > 0:
        return devices
    if trainer.get("accelerator") == "cpu" or devices not in (-1, "-1", "auto"):
        return 1
    import torch

    return max(1, torch.cuda.device_count())


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
    warnings.filterwarnings("ignore", message=".*recommended to use .*sync_dist=True.*")  # all are joined before
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
