"""Run one experiment, or go on with it, or read what it ended with.

Nothing heavy is imported before the configuration has been looked at.
"""

import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig
from rich.console import Console

from rnc_lightning.command_line.messages import format_error
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.handover import Handover
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.system.errors import UserError, explain_machine_failures
from rnc_lightning.system.locks import lock_folder
from rnc_lightning.system.signals import Terminated, raise_on_sigterm

if TYPE_CHECKING:
    from rnc_lightning.system.nodes import Node

log = logging.getLogger(__name__)


def run(cfg: DictConfig, options: Sequence[str] = (), console: Console | None = None) -> dict[str, float | None]:
    """Run one experiment, or go on with it, or read what it ended with.

    Args:
        cfg: The composed configuration.
        options: The command line's options, which name the run directory.
        console: What summary and tables are printed to; None: standard output.

    Returns:
        `test/...` and, for the chosen epoch of the regressor, `val/...`; of several nodes only node 0 has them.

    Raises:
        UserError: For whatever the user can fix.
    """
    return run_request(RunRequest.read(cfg, options), console)


def run_request(request: RunRequest, console: Console | None = None) -> dict[str, float | None]:
    """The same for a request; see `run`."""
    node = _this_node(request.trainer)
    console = console or Console()
    directory = RunDirectory(request.path)
    directory.check(request.config)
    result = directory.finished()
    if result is None:
        if node.rank > 0:
            with raise_on_sigterm(), explain_machine_failures():
                _execute_in_processes(request, count_processes(request.trainer), directory, node)
            return {}
        result = _run_stages(request, directory, node, console)
    else:
        log.info("%s is finished already: nothing to train", directory.path)
        if node.rank > 0:
            return {}
        _report_to_sweep(request, directory)

    from rnc_lightning.command_line.tables import print_result

    print_result(result, directory.path, console)
    return returned_metrics(result)


def returned_metrics(result: Mapping[str, Any]) -> dict[str, float | None]:
    """What a sweep can optimise: `test/...` and the regressor's `val/...`."""
    last = list(result["stages"].values())[-1]
    validation = {name: value for name, value in last["metrics"].items() if name.startswith("val/")}
    return {**{f"test/{name}": value for name, value in result["test"].items()}, **validation}


def run_and_return_metric(request: RunRequest) -> float | None:
    """Run one experiment and return what a sweep optimises; None on nodes other than the first."""
    metrics = run_request(request)
    if not metrics:
        return None
    metric = request.config["optimized_metric"]
    if metric not in metrics:
        raise UserError(f"optimized_metric: {metric} is not one of {', '.join(metrics)}")
    return metrics[metric]


def execute_here(request: RunRequest, console: Console | None = None) -> dict[str, Any]:
    """Do what a run does in this process, alone or as one of several, and return its result without a status.

    Raises:
        UserError: For whatever the user can fix, failures of the machine among it.
        KeyboardInterrupt: Where a person stopped it.
        Terminated: Where SIGTERM did.
    """
    from rnc_lightning.runs.execute import execute
    from rnc_lightning.runs.fitting.trainers import quiet_lightning
    from rnc_lightning.runs.parts import Parts
    from rnc_lightning.tracking import loggers

    quiet_lightning()
    exit_code = 1
    try:
        with explain_machine_failures():
            result = execute(request, Parts(request.config), RunDirectory(request.path), console or Console())
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


def _report_to_sweep(request: RunRequest, directory: RunDirectory) -> None:
    """Where an agent of a W&B sweep asked for this run, report it although it is finished: the sweep waits for it."""
    if "WANDB_SWEEP_ID" not in os.environ:
        return
    from rnc_lightning.runs.execute import report_again
    from rnc_lightning.runs.parts import Parts
    from rnc_lightning.tracking import loggers

    report_again(request, Parts(request.config), directory)
    loggers.finish(0)


def _run_stages(request: RunRequest, directory: RunDirectory, node: "Node", console: Console) -> dict[str, Any]:
    began = time.perf_counter()
    count = count_processes(request.trainer)
    with raise_on_sigterm(), explain_machine_failures(), lock_folder(directory.path):
        try:
            if count * node.count == 1:
                result = execute_here(request, console)
            else:
                result = _execute_in_processes(request, count, directory, node)
            result = {**result, "status": "finished", "seconds": time.perf_counter() - began}
            directory.write_result(result)
            directory.remove_error()
        except Exception as error:
            _note_failure(directory, request, error)
            raise
    return result


def _note_failure(directory: RunDirectory, request: RunRequest, error: Exception) -> None:
    if not directory.begun():
        return
    failed = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    try:
        directory.write_result({**request.identity, **(directory.result() or {}), **failed})
        directory.write_error(format_error(error))
    except (OSError, UserError) as trouble:  # the disk is full, say: the failure itself is what the user must hear of
        log.warning("%s: the failure could not be noted (%s)", directory.path, trouble)


def _execute_in_processes(request: RunRequest, count: int, directory: RunDirectory, node: "Node") -> dict[str, Any]:
    """The same in processes of this run's own: what it returned in the first one, or the error that a user can fix."""
    from rnc_lightning.system.processes import ProcessFailedError, python_module, run_processes

    with tempfile.TemporaryDirectory() as folder:
        handover = Handover(Path(folder))
        handover.write_request(request)
        command = python_module("rnc_lightning.runs.worker", folder)
        try:
            run_processes(command, count, directory.process_logs, node=node)
        except ProcessFailedError as error:
            outcome = handover.outcome()
            if outcome is None or outcome.failure is None:
                raise
            if outcome.can_be_fixed:
                raise outcome.failure from error
            error.add_note(outcome.traceback)
            raise
        if node.rank > 0:
            return {}
        finished = handover.outcome()
        assert finished is not None
        result: dict[str, Any] = finished.value
        return result


def _this_node(trainer: Mapping[str, Any]) -> "Node":
    """This machine among those of the run; refuses launchers that would start every process themselves."""
    from rnc_lightning.system.nodes import refuse_other_launchers, this_node

    refuse_other_launchers(os.environ)
    return this_node(trainer.get("num_nodes", 1), os.environ)


def count_processes(trainer: Mapping[str, Any]) -> int:
    """How many processes on each node the trainer's configuration asks for; whatever starts them, Lightning does not.

    >>> count_processes({"devices": 2, "strategy": "ddp", "accelerator": "cpu"}), count_processes({"devices": 1})
    (2, 1)

    Raises:
        UserError: For strategies that would start processes by themselves.
    """
    from rnc_lightning.runs.devices import check_strategy, count_devices

    check_strategy(trainer.get("strategy"))
    return count_devices(trainer.get("devices", 1), trainer.get("accelerator", "auto"))
