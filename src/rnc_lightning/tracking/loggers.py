"""Loggers beside the CSV history, made for one stage of one run. Only what is chosen is imported."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rnc_lightning.system.errors import UserError
from rnc_lightning.tracking.run_files import RunFiles

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

STOPPED = 255  # exit code of a run that was stopped and did not fail; W&B's own client gives it for Ctrl-C


@runtime_checkable
class ResultLogger(Protocol):
    """A logger that also wants to know what the run ended with."""

    def report(self, result: Mapping[str, Any], files: RunFiles) -> None:
        """Take the result and the files that go with it."""


def tensorboard(*, directory: Path, stage: str, **_context: Any) -> "Logger":
    """TensorBoard event files in `<run>/tensorboard/<stage>`.

    Raises:
        UserError: Where TensorBoard is not installed.
    """
    from lightning.pytorch.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(save_dir=directory, name="tensorboard", version=stage)
    except ModuleNotFoundError:
        raise UserError("logger=tensorboard needs TensorBoard: pip install 'rnc-lightning[tensorboard]'") from None


def wandb(
    *,
    directory: Path,
    stage: str,
    name: str,
    config: Mapping[str, Any],
    identity: Mapping[str, Any],
    project: str = "rnc_lightning",
    entity: str | None = None,
    tags: Mapping[str, str] | None = None,
    log_encoder: bool = False,
    init_timeout: float = 10,
    finish_timeout: float = 60,
) -> "Logger":
    """One W&B run for the whole run: metrics as `<stage>/...` over `<stage>/step`, and the results at its end.

    Without a key it works offline (`wandb sync` sends it later); WANDB_MODE has the last word.

    Args:
        directory: Run directory; it keeps the W&B run's id, so that a second start goes on in the same one.
        stage: Prefix of the metrics.
        name: Name shown.
        config: Resolved configuration.
        identity: What `result.json` says of the run, and whether its data are made.
        project: W&B project.
        entity: W&B user or team; None for the key's own.
        tags: Tags, as values of a dict so that the command line can change one.
        log_encoder: Whether the encoder is sent as an artifact.
        init_timeout: Seconds that a server is given before the run goes on offline.
        finish_timeout: Seconds that the end of the run waits for data to be sent.
    """
    from rnc_lightning.tracking.weights_and_biases import StageWandbLogger, open_run

    run = open_run(
        directory,
        name=name,
        config=config,
        identity=identity,
        project=project,
        entity=entity,
        tags=(tags or {}).values(),
        init_timeout=init_timeout,
        finish_timeout=finish_timeout,
    )
    return dummy_logger() if run is None else StageWandbLogger(run, stage, directory, log_encoder)


def dummy_logger() -> "Logger":
    """A logger that logs nothing, where callbacks that ask for one must still find it."""
    from lightning.pytorch.loggers.logger import DummyLogger

    return DummyLogger()


def report(loggers: Iterable["Logger"], result: Mapping[str, Any], files: RunFiles) -> None:
    """Give the result to the loggers that want it."""
    for logger in loggers:
        if isinstance(logger, ResultLogger):
            logger.report(result, files)


def finish(exit_code: int) -> None:
    """Close the W&B run, where one was opened, so that the next run of a sweep gets its own.

    Args:
        exit_code: 0 for a finished run, `STOPPED` for a stopped one, anything else for a failed one.
    """
    if "rnc_lightning.tracking.weights_and_biases" in sys.modules:
        from rnc_lightning.tracking.weights_and_biases import finish as finish_wandb

        finish_wandb(exit_code)
