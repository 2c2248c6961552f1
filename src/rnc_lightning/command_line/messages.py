"""How entry points speak to a person: one line for what they can fix, a traceback for a bug."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any, TextIO, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.errors import OverrideParseException
from hydra.types import RunMode

from rnc_lightning.command_line.compose import ROOT_KEYS
from rnc_lightning.command_line.config_files import check_config_files
from rnc_lightning.command_line.hydra_errors import explained, is_hydras
from rnc_lightning.command_line.usage import HYDRA_FLAGS, UsageError, refuse_flags
from rnc_lightning.system.errors import UserError, explain_machine_failures
from rnc_lightning.system.signals import Terminated, raise_on_sigterm

FULL_ERROR = os.environ.get("HYDRA_FULL_ERROR") == "1"  # what the user asked for
_MOST_DETAILS = 100  # lines below an error
Returned = TypeVar("Returned")


def task(function: Callable[[Any], Returned]) -> Callable[[Any], Returned]:
    """Make a job of Hydra end in one line where the user can fix its failure.

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
    """Call a Hydra main; end with one line on standard error where the user can fix what is wrong.

    With HYDRA_FULL_ERROR=1 in the environment every error keeps its traceback.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing several lines of its own

    def checked() -> None:
        refuse_flags(sys.argv[1:], sorted(ROOT_KEYS), flags=HYDRA_FLAGS)
        check_config_files(sys.argv[1:])
        main()

    run_plain(checked)


def run_plain(main: Callable[[], Any], resumes: bool = True) -> None:
    """Call an entry point and end as all of them do, without a traceback for what is no bug.

    The exit code is 1 for what the user can fix, 2 for a command line that is not written as it should be, 130 after
    Ctrl-C, 143 after SIGTERM, 1 where the output is a pipe that was closed.

    Args:
        main: The entry point.
        resumes: Whether the same command, given again after Ctrl-C, goes on where it was.
    """
    goes_on = "; the same command goes on from the last finished epoch" if resumes else ""
    try:
        with raise_on_sigterm(), explain_machine_failures():
            main()
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        _say(f"stopped{goes_on}")
        sys.exit(130)
    except Terminated as stop:
        _say(f"stopped by SIGTERM{goes_on}")
        sys.exit(stop.code)
    except BrokenPipeError:
        if not _output_is_closed():
            raise
        sys.exit(1)
    except Exception as error:
        if FULL_ERROR or not (isinstance(error, UserError) or is_hydras(error)):
            raise
        _say_error(error)
        sys.exit(2 if isinstance(error, UsageError | OverrideParseException) else 1)


def one_line(error: BaseException) -> str:
    """What is wrong, in one line, with the nearest existing key or option where there is one."""
    message = explained(error) if is_hydras(error) else str(error)
    return " ".join(message.split()) or type(error).__name__


class _Output(logging.StreamHandler[TextIO]):
    """Writes log lines to standard output; one that cannot be written since the pipe is closed ends the program."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, the name is logging's
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise
        super().handleError(record)


def show_log(level: int) -> None:
    """Show log lines of a level and above on standard output, as they are."""
    logging.basicConfig(level=level, format="%(message)s", handlers=[_Output(sys.stdout)])


def _output_is_closed() -> bool:
    """Whether nobody reads standard output any more; nothing is then written to it when Python ends either."""
    try:
        os.write(sys.stdout.fileno(), b"\n")  # a flush may find nothing left to write
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


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
    expected = isinstance(error, UserError) or is_hydras(error)
    return one_line(error) if expected else f"{type(error).__name__}: {one_line(error)}"


def format_error(error: BaseException) -> str:
    """An error with its traceback and its details."""
    details = error.details if isinstance(error, UserError) else ()
    return "".join([*traceback.format_exception(error), *(f"  {line}\n" for line in details)])
