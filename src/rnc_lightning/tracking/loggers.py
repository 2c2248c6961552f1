"""Create the loggers of one stage of a run, in addition to the CSV history; only chosen loggers are imported."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rnc_lightning.system.errors import UserError
from rnc_lightning.tracking.run_files import RunFiles

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

STOPPED = 255  # exit code of a run that was stopped and did not fail; W&B's own client uses it for Ctrl-C


@runtime_checkable
class ResultLogger(Protocol):
    """A logger that also receives the result of the run."""

    def report(self, result: Mapping[str, Any], files: RunFiles) -> None:
        """Receive the result and the files of the run."""


def tensorboard(*, directory: Path, stage: str, **_context: Any) -> "Logger":
    """TensorBoard event files in `<run>/tensorboard/<stage>`.

    Raises:
        UserError: If TensorBoard is not installed.
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
    project: str | None = None,
    entity: str | None = None,
    tags: Mapping[str, str] | None = None,
    log_encoder: bool = False,
    init_timeout: float = 10,
    finish_timeout: float = 60,
) -> "Logger":
    """One W&B run for all stages: metrics as `<stage>/...` over `<stage>/step`, and the results at the end.

    Without a key it works offline (`wandb sync` sends the data later); WANDB_MODE overrides this.

    Args:
        directory: Run directory; it holds the id of the W&B run, so that a second start continues the same one.
        stage: Prefix of the metrics.
        name: Displayed name.
        config: Resolved configuration.
        identity: The run's identity as in `result.json`, and which parts of its data are synthetic.
        project: W&B project; None for WANDB_PROJECT, else `rnc_lightning`.
        entity: W&B user or team; None for WANDB_ENTITY, else the default of the key.
        tags: Tags, as values of a dict so that the command line can change one.
        log_encoder: Whether the encoder is sent as an artifact.
        init_timeout: Seconds to wait for the server before the run continues offline.
        finish_timeout: Seconds to wait at the end of the run for data to be sent.
    """
    try:
        from rnc_lightning.tracking.weights_and_biases import StageWandbLogger, open_run
    except ImportError as error:
        raise UserError(f"logger=wandb needs the package wandb, which cannot be imported ({error})") from error

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
    """A logger that logs nothing, for callbacks that need a logger."""
    from lightning.pytorch.loggers.logger import DummyLogger

    return DummyLogger()


def report(loggers: Iterable["Logger"], result: Mapping[str, Any], files: RunFiles) -> None:
    """Send the result to the loggers that accept it."""
    for logger in loggers:
        if isinstance(logger, ResultLogger):
            logger.report(result, files)


def finish(exit_code: int) -> None:
    """Close the W&B run if one was opened, so that the next run of a sweep gets its own.

    Args:
        exit_code: 0 for a finished run, `STOPPED` for a stopped one, anything else for a failed one.
    """
    if "rnc_lightning.tracking.weights_and_biases" in sys.modules:
        from rnc_lightning.tracking.weights_and_biases import finish as finish_wandb

        finish_wandb(exit_code)
