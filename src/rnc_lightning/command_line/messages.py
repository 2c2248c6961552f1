"""How entry points speak to a person: one line for what they can mend, a traceback for a bug."""

import os
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from rnc_lightning.system.errors import UserError, nearest
from rnc_lightning.system.signals import Terminated

FULL_ERROR = os.environ.get("HYDRA_FULL_ERROR") == "1"  # what the user asked for


_MOST_DETAILS = 100  # lines below an error


Returned = TypeVar("Returned")


def task(function: Callable[[Any], Returned]) -> Callable[[Any], Returned]:
    """Make a job of Hydra end in one line where the user can mend its failure.

    In a sweep the error is left to Hydra, which runs the other jobs first.
    """

    @wraps(function)
    def job(cfg: Any) -> Returned:
        try:
            return function(cfg)
        except UserError as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN or FULL_ERROR:
                raise
            _say_error(error)
            sys.exit(1)

    return job


def run_cli(main: Callable[[], Any]) -> None:
    """Call a Hydra main; end with one line on standard error and exit code 1 where the user can mend it.

    With HYDRA_FULL_ERROR=1 in the environment every error keeps its traceback.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing several lines of its own
    run_plain(main)


def run_plain(main: Callable[[], Any], resumes: bool = True) -> None:
    """Call an entry point that is no Hydra main, with the same manners.

    Args:
        main: The entry point.
        resumes: Whether the same command, given again after Ctrl-C, goes on where it was.
    """
    goes_on = "; the same command goes on from the last finished epoch" if resumes else ""
    try:
        main()
    except KeyboardInterrupt:
        _say(f"stopped{goes_on}")
        sys.exit(130)
    except Terminated as stop:
        _say(f"stopped by SIGTERM{goes_on}")
        sys.exit(stop.code)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if FULL_ERROR:
            raise
        _say_error(error)
        sys.exit(1)


def one_line(error: BaseException) -> str:
    """What is wrong, in one line, with the nearest existing key or option where there is one."""
    if isinstance(error, UserError):
        return " ".join(str(error).split())
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__ or cause.__context__
    if cause is not None and cause.parent_node is not None and cause.key is not None:
        return f"{_full_key(cause)}: no such key{_nearest(str(cause.key), _keys(cause.parent_node), cause)}"
    if getattr(error, "missing_cfg_file", None) == "hydra/launcher/submitit_slurm":
        return "hydra/launcher=slurm needs submitit: pip install 'rnc-lightning[slurm]'"
    message = " ".join(lines)
    if "hydra/sweeper" in message and "optuna" in message and "not find" in message:
        return "hydra/sweeper=optuna is not installed: pip install 'rnc-lightning[sweep]'"
    return message or type(error).__name__


def _full_key(error: OmegaConfBaseException) -> str:
    return str(error.full_key or error.key)


def _keys(node: Any) -> list[str]:
    try:
        return [str(key) for key in node]
    except (TypeError, OmegaConfBaseException):
        return []


def _nearest(key: str, known: list[str], error: OmegaConfBaseException) -> str:
    parent = _full_key(error).rpartition(".")[0]
    return f"; {nearest(key, known, f'{parent}.' if parent else '')}" if known else ""


def _say_error(error: BaseException) -> None:
    _say(f"error: {one_line(error)}")
    details = error.details if isinstance(error, UserError) else ()
    for detail in details[:_MOST_DETAILS]:
        _say(f"  {detail}")
    if len(details) > _MOST_DETAILS:
        _say(f"  and {len(details) - _MOST_DETAILS} more; python -m rnc_lightning.data verify lists all")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def reason(error: BaseException) -> str:
    """Why a job failed, in one line."""
    return one_line(error) if isinstance(error, UserError) else f"{type(error).__name__}: {one_line(error)}"


def whole(error: BaseException) -> str:
    """An error with its traceback and its details."""
    details = error.details if isinstance(error, UserError) else ()
    return "".join([*traceback.format_exception(error), *(f"  {line}\n" for line in details)])
