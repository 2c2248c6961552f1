"""Run one experiment, or go on with it, or read what it ended with."""

import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from rnc_lightning.command_line.compose import check_keys, plain
from rnc_lightning.command_line.identity import run_identity, run_name, run_path, setting_hash
from rnc_lightning.command_line.messages import whole
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.parts import Parts
from rnc_lightning.runs.source_encoder import setting_from, source_of
from rnc_lightning.system.errors import UserError, machine_failures_explained
from rnc_lightning.system.locks import exclusive
from rnc_lightning.system.signals import Terminated, sigterm_raises

if TYPE_CHECKING:
    from rnc_lightning.system.nodes import Node

log = logging.getLogger(__name__)


def run(cfg: DictConfig, overrides: Sequence[str] = (), console: Console | None = None) -> dict[str, float | None]:
    """Run one experiment, or go on with it, or read what it ended with.

    Args:
        cfg: The composed configuration.
        overrides: The command line's words, which name the run directory.
        console: What tables are printed to; None: standard output.

    Returns:
        `test/...` and, for the chosen epoch of the regressor, `val/...`; of several nodes only node 0 has them.

    Raises:
        UserError: For whatever the user can mend.
    """
    config = plain(cfg)
    check_keys(config)
    node = _this_node(config["trainer"])
    console = console or Console()
    directory = RunDirectory(run_path(config, overrides))
    directory.check(config)
    result = directory.finished()
    if result is None:
        if node.rank > 0:
            with sigterm_raises(), machine_failures_explained():
                _execute_in_processes(cfg, overrides, processes(config["trainer"]), directory, node)
            return {}
        if config["print_config"]:
            _print_config(config, console)
        result = _run_stages(cfg, config, directory, overrides, node)
    else:
        log.info("%s is finished already: nothing to train", directory.path)
        if node.rank > 0:
            return {}
        _report_to_sweep(cfg, config, directory, overrides)

    from rnc_lightning.command_line.tables import print_result

    print_result(result, directory.path, console)
    return returned_metrics(result)


def returned_metrics(result: dict[str, Any]) -> dict[str, float | None]:
    """What a sweep can optimise: `test/...` and the regressor's `val/...`."""
    last = list(result["stages"].values())[-1]
    validation = {name: value for name, value in last["metrics"].items() if name.startswith("val/")}
    return {**{f"test/{name}": value for name, value in result["test"].items()}, **validation}


def optimized(cfg: DictConfig, overrides: Sequence[str]) -> float | None:
    """Run one experiment and return what a sweep optimises; None on nodes other than the first."""
    metrics = run(cfg, overrides)
    if not metrics:
        return None
    if cfg.optimized_metric not in metrics:
        raise UserError(f"optimized_metric: {cfg.optimized_metric} is not one of {', '.join(metrics)}")
    return metrics[cfg.optimized_metric]


def execute_here(cfg: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """Do what a run does in this process, alone or as one of several, and return its result without a status.

    Raises:
        UserError: For whatever the user can mend, the machine's troubles among it.
        KeyboardInterrupt: Where a person stopped it.
        Terminated: Where SIGTERM did.
    """
    from rnc_lightning.runs.execute import execute
    from rnc_lightning.runs.fitting.trainers import quiet_lightning
    from rnc_lightning.tracking import loggers

    config = plain(cfg)
    quiet_lightning()
    exit_code = 1
    try:
        directory = RunDirectory(run_path(config, overrides))
        with machine_failures_explained():
            result = execute(Parts(cfg), config, directory, run_name(config, overrides), _identity(config, overrides))
        exit_code = 0
    except Exception:
        raise
    except Terminated:
        exit_code = loggers.STOPPED
        raise
    except BaseException as stop:  # a person's Ctrl-C, which Lightning turns into an exit: not a failure
        exit_code = loggers.STOPPED
        raise KeyboardInterrupt from stop
    finally:
        loggers.finish(exit_code)
    return result


def _report_to_sweep(
    cfg: DictConfig, config: dict[str, Any], directory: RunDirectory, overrides: Sequence[str]
) -> None:
    """Where an agent of a W&B sweep asked for this run, report it although it is finished: the sweep waits for it."""
    if "WANDB_SWEEP_ID" not in os.environ:
        return
    from rnc_lightning.runs.execute import report_again
    from rnc_lightning.tracking import loggers

    report_again(Parts(cfg), config, directory, run_name(config, overrides))
    loggers.finish(0)


def _run_stages(
    cfg: DictConfig, config: dict[str, Any], directory: RunDirectory, overrides: Sequence[str], node: "Node"
) -> dict[str, Any]:
    began = time.perf_counter()
    count = processes(config["trainer"])
    with sigterm_raises(), machine_failures_explained(), exclusive(directory.path):
        try:
            if count * node.count == 1:
                result = execute_here(cfg, overrides)
            else:
                result = _execute_in_processes(cfg, overrides, count, directory, node)
            result = {**result, "status": "finished", "seconds": time.perf_counter() - began}
            directory.write_result(result)
            directory.forget_error()
        except Exception as error:
            _note_failure(directory, _identity(config, overrides), error)
            raise
    return result


def _note_failure(directory: RunDirectory, identity: Mapping[str, Any], error: Exception) -> None:
    if not directory.begun():
        return
    failed = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    try:
        directory.write_result({**identity, **(directory.result() or {}), **failed})
        directory.write_error(whole(error))
    except (OSError, UserError) as trouble:  # the disk is full, say: the failure itself is what the user must hear of
        log.warning("%s: the failure could not be noted (%s)", directory.path, trouble)


def _execute_in_processes(
    cfg: DictConfig, overrides: Sequence[str], count: int, directory: RunDirectory, node: "Node"
) -> dict[str, Any]:
    """The same in processes of this run's own: what it returned in the first one, or the error that a user can mend."""
    from rnc_lightning.system.processes import ProcessFailedError, python_module, run_processes

    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder)
        (task / "config.yaml").write_text(OmegaConf.to_yaml(cfg), encoding="utf-8")
        (task / "words.json").write_text(json.dumps(list(overrides)), encoding="utf-8")
        try:
            run_processes(
                python_module("rnc_lightning.runs.worker", folder), count, directory.path / "processes", node=node
            )
        except ProcessFailedError as failure:
            if not (task / "error.json").is_file():
                if (task / "traceback.txt").is_file():
                    failure.add_note((task / "traceback.txt").read_text(encoding="utf-8"))
                raise
            error = json.loads((task / "error.json").read_text(encoding="utf-8"))
            raise UserError(error["message"], error["details"]) from failure
        if node.rank > 0:
            return {}
        result: dict[str, Any] = json.loads((task / "result.json").read_text(encoding="utf-8"))
        return result


def _this_node(trainer: Mapping[str, Any]) -> "Node":
    """This machine among those of the run; refuses launchers that would start every process themselves."""
    from rnc_lightning.system.nodes import refuse_other_launchers, this_node

    refuse_other_launchers(os.environ)
    return this_node(trainer.get("num_nodes", 1), os.environ)


def processes(trainer: Mapping[str, Any]) -> int:
    """How many processes on each node the trainer's configuration asks for; whatever starts them, Lightning does not.

    >>> processes({"devices": 2, "strategy": "ddp", "accelerator": "cpu"}), processes({"devices": 1})
    (2, 1)

    Raises:
        UserError: For strategies that would start processes by themselves.
    """
    from rnc_lightning.runs.devices import check_strategy, counted

    check_strategy(trainer.get("strategy"))
    return counted(trainer.get("devices", 1), trainer.get("accelerator", "auto"))


def _identity(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    experiment, kept = run_identity(config, overrides)
    keys = {"dataset": "dataset", "method": "method", "scheme": "scheme", "head": "head_name", "seed": "seed"}
    named = {key: config.get(source) for key, source in keys.items()}
    added = [config.get("weighting_name"), config.get("calibration_name"), *config["regularizers"]]
    named["with"] = [name for name in added if name and name != "objective"]  # that one is the scheme's
    source = source_of(config)
    from_ = {} if source is None else {"encoder_from": source}
    setting = setting_from(setting_hash(config), source)
    return {"experiment": experiment, "overrides": kept, **named, "setting": setting, **from_}


def _print_config(config: dict[str, Any], console: Console) -> None:
    from rnc_lightning.command_line.tables import config_tree

    console.print(config_tree(config))
