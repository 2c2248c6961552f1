"""Run one experiment, continue it, or read its result.

Nothing slow to import is imported before the configuration has been checked.
"""

import errno
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
from rnc_lightning.runs.comparison import check_finished, finished_result
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.handover import Handover
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.system.errors import UserError, explain_machine_failures
from rnc_lightning.system.files import delete_temporary_files, write_text
from rnc_lightning.system.locks import lock_folder
from rnc_lightning.system.signals import Terminated, raise_on_sigterm

if TYPE_CHECKING:
    from rnc_lightning.system.nodes import Node

log = logging.getLogger(__name__)


def run(cfg: DictConfig, options: Sequence[str] = (), console: Console | None = None) -> dict[str, float | None]:
    """Run one experiment, continue it, or read its result if it is finished.

    Args:
        cfg: The composed configuration.
        options: The options of the command line; they name the run directory.
        console: Console for the summary and the tables; None: standard output.

    Returns:
        `test/...` metrics and, for the chosen epoch of the regressor, `val/...`; empty on nodes other than node 0.

    Raises:
        UserError: For anything that the user can fix.
    """
    return run_request(RunRequest.read(cfg, options), console)


def run_request(request: RunRequest, console: Console | None = None) -> dict[str, float | None]:
    """Like `run`, for a request that has already been read."""
    from rnc_lightning.system.nodes import refuse_other_launchers, this_node

    refuse_other_launchers()
    node = this_node(request.trainer.get("num_nodes", 1))
    console = console or Console()
    directory = RunDirectory(request.path)
    with explain_machine_failures():
        result = finished_result(request, directory)
        if result is None:
            if node.rank > 0:
                with raise_on_sigterm():
                    _execute_in_processes(request, count_processes(request.trainer), directory, node)
                return {}
            result = _run_stages(request, directory, node, console)
        else:
            if node.rank > 0:
                return {}
            check_finished(request, directory, result)
            log.info("%s is already finished: nothing to train", directory.path)
            _report_to_sweep(request, directory)

    from rnc_lightning.command_line.tables import print_result

    print_result(result, directory.path, console)
    regressor = list(result["stages"].values())[-1]
    validation = {name: value for name, value in regressor["metrics"].items() if name.startswith("val/")}
    return {**{f"test/{name}": value for name, value in result["test"].items()}, **validation}


def run_and_return_metric(request: RunRequest) -> float | None:
    """Run one experiment and return the metric that a sweep optimises; None on nodes other than node 0."""
    metrics = run_request(request)
    if not metrics:
        return None
    metric = request.config["optimized_metric"]
    if metric not in metrics:
        raise UserError(f"optimized_metric: {metric} is not one of {', '.join(metrics)}")
    return metrics[metric]


def execute_here(request: RunRequest, console: Console | None = None) -> dict[str, Any]:
    """Execute a run in this process, alone or as one of several, and return its result without a status.

    Raises:
        UserError: For anything that the user can fix, including failures of the machine.
        KeyboardInterrupt: If it was stopped by Ctrl-C.
        Terminated: If it was stopped by SIGTERM.
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
    except BaseException as stop:  # Ctrl-C, which Lightning turns into an exit: not a failure
        exit_code = loggers.STOPPED
        raise KeyboardInterrupt from stop
    finally:
        loggers.finish(exit_code)
    return result


def _report_to_sweep(request: RunRequest, directory: RunDirectory) -> None:
    """Report a finished run again if an agent of a W&B sweep started it: the sweep waits for its result."""
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
    with raise_on_sigterm(), explain_machine_failures(), lock_folder(directory.path) as is_locked:
        delete_temporary_files(directory.path)
        try:
            if count * node.count == 1:
                result = execute_here(request, console)
            else:
                result = _execute_in_processes(request, count, directory, node)
            if not is_locked():
                raise FileNotFoundError(errno.ENOENT, "removed", str(directory.path))
            files = directory.checksums()
            result = {**result, "status": "finished", "seconds": time.perf_counter() - began, "files": files}
            directory.write_result(result)
            directory.error_log.unlink(missing_ok=True)
        except Exception as error:
            if is_locked():
                _write_failure(directory, request, error)
                raise
            directory.delete_remains()
            raise UserError(
                f"{directory.path} was removed, moved or replaced while the run was working: the same command starts "
                "again from the beginning"
            ) from error
    return result


def _write_failure(directory: RunDirectory, request: RunRequest, error: Exception) -> None:
    if not directory.begun():
        return
    failed = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    try:
        try:
            before = directory.result()
        except UserError:  # damaged
            before = None
        directory.write_result({**request.identity, **(before or {}), **failed})
        write_text(directory.error_log, format_error(error))
    except (OSError, UserError) as second:  # for example a full disk: the first failure is still the one reported
        log.warning("%s: the failure could not be written to the run directory (%s)", directory.path, second)


def _execute_in_processes(request: RunRequest, count: int, directory: RunDirectory, node: "Node") -> dict[str, Any]:
    """Execute a run in its own processes; return the first one's result, or raise the error that a user can fix."""
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
        outcome = handover.outcome()
        assert outcome is not None
        return outcome.value


def count_processes(trainer: Mapping[str, Any]) -> int:
    """Number of processes on each node that the trainer's configuration asks for.

    >>> count_processes({"devices": 2, "strategy": "ddp", "accelerator": "cpu"}), count_processes({"devices": 1})
    (2, 1)

    Raises:
        UserError: For strategies that would start processes themselves, settings that do not fit the suite's stages,
            and GPUs that are not there.
    """
    from rnc_lightning.runs.devices import check_strategy, count_devices, named_gpus
    from rnc_lightning.runs.trainer_settings import check_gpus, check_settings

    check_strategy(trainer.get("strategy"))
    check_settings(trainer)
    devices, accelerator = trainer.get("devices", 1), trainer.get("accelerator", "auto")
    count = count_devices(devices, accelerator)
    if accelerator in ("gpu", "cuda") or (accelerator == "auto" and (count > 1 or named_gpus(devices))):
        import torch

        check_gpus(named_gpus(devices) or count, torch.cuda.device_count(), accelerator)
    return count
