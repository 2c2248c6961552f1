"""The W&B run of a training run: open it, send metrics and results, close it.

A failure here never stops training or loses a result; it becomes a warning.
"""

import logging
import netrc
import os
import shlex
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from rnc_lightning.system.files import write_text
from rnc_lightning.system.synthetic_marker import synthetic_note
from rnc_lightning.tracking.run_files import RunFiles
from rnc_lightning.tracking.wandb_variables import with_variables

log = logging.getLogger(__name__)

_ID_FILE = "wandb_id.txt"  # in the run directory: the same command continues the same W&B run
_LONGEST_TAG = 64  # W&B refuses longer ones
_warned: set[str] = set()


def open_run(
    directory: Path,
    *,
    name: str,
    config: Mapping[str, Any],
    identity: Mapping[str, Any],
    project: str | None,
    entity: str | None,
    tags: Iterable[Any],
    init_timeout: float,
    finish_timeout: float,
) -> "wandb.Run | None":
    """The W&B run of a run directory, opened if it is not open yet; None if W&B cannot be used at all.

    Args:
        directory: Run directory.
        name: Displayed name.
        config: Resolved configuration.
        identity: The run's identity as in `result.json`; `experiment` becomes the group, `seed` the job type, unless
            the environment names others.
        project: W&B project; None for that of the environment.
        entity: W&B user or team; None for that of the environment, else the default of the key.
        tags: Tags; empty ones are skipped.
        init_timeout: Seconds to wait for the server before the run continues offline.
        finish_timeout: Seconds to wait at the end of the run for data to be sent.
    """
    if wandb.run is not None:
        return wandb.run
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # the client's telemetry, without a network
    note = synthetic_note(identity["synthetic_parts"])
    arguments: dict[str, Any] = {
        "project": project,
        "entity": entity,
        "name": name,
        "group": identity["experiment"],
        "job_type": f"seed_{identity['seed']}",
        "id": os.environ.get("WANDB_RUN_ID") or _read_or_draw_id(directory),
        "resume": "allow",
        "dir": str(directory.resolve()),  # the client's service may have a different working directory
        "config": {**config, **{key: identity[key] for key in ("experiment", "dataset", "setting", "synthetic_data")}},
        "tags": sorted({str(tag)[:_LONGEST_TAG] for tag in tags if tag} | ({note} if note else set())),
        "settings": wandb.Settings(
            init_timeout=init_timeout, finish_timeout=finish_timeout, finish_timeout_raises=True, silent=True
        ),
    }
    mode = None if has_key() or os.environ.get("WANDB_MODE") else "offline"
    try:
        run = _init(with_variables(arguments, os.environ), mode)
    except Exception as error:  # W&B raises many types
        log.warning("W&B cannot be used, the run continues without it: %s", _first_line(error))
        return None
    for stage in config["stages"]:
        run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
    if not run.offline and run.url:
        log.info("W&B run: %s", run.url)
    return run


def report_results(run: "wandb.Run", result: Mapping[str, Any], files: RunFiles, encoder: bool) -> None:
    """Send the results of a run: test metrics, metrics of each stage's chosen epoch, plots, predictions.

    Args:
        run: The open W&B run.
        result: The content of `result.json` without the status.
        files: Files to send; the histories among them have not been sent before.
        encoder: Whether the encoder is sent too, as an artifact.
    """
    with warn_on_error("sending metrics and plots"):
        for stage, tables in files.histories.items():
            for table in tables:
                for row in _history(table):
                    run.log({f"{stage}/{key}": value for key, value in row.items()})
        run.log({**_numbers("test", result["test"]), **_plots(files.plots)})
        for stage, report in result["stages"].items():
            more = {"chosen_epoch": report["chosen_epoch"], "seconds": report["seconds"]}
            run.summary.update(_numbers(stage, {**report["metrics"], **more}))
        run.summary.update(_numbers("constant", result["constant"]))
    with warn_on_error("sending the predictions"):  # the client asks the server before it sends a table
        rows = _thin_out(pd.read_csv(files.predictions), wandb.Table.MAX_ROWS)
        run.log({"predictions": wandb.Table(dataframe=rows)})
    if encoder:
        with warn_on_error("sending the encoder"):
            artifact = wandb.Artifact(f"encoder-{run.id}", type="model")
            for file in files.encoder:
                artifact.add_file(str(file.resolve()), policy="immutable")
            run.log_artifact(artifact)


def finish(exit_code: int) -> None:
    """Close the open W&B run, and log how to send data that have not been sent."""
    run = wandb.run
    if run is None:
        return
    folder, offline = Path(run.settings.sync_dir), run.offline
    unsent = offline
    try:
        wandb.finish(exit_code=exit_code)
    except Exception as error:  # also if the server stopped answering
        log.warning("W&B has not received all data of this run: %s", _first_line(error))
        unsent = True
        if not isinstance(error, TimeoutError):  # W&B's service is broken: the next run of a sweep gets a new one
            with suppress(Exception):
                wandb.teardown()
    wandb.run = None  # a broken service does not reset it
    _warned.clear()
    if unsent:
        earlier = folder.parent.glob(f"offline-run-*-{run.id}")  # of earlier starts
        folders = {folder, *(path for path in earlier if not list(path.glob("*.synced")))}
        arguments = ([] if offline else ["--include-online"]) + [str(path) for path in sorted(folders)]
        log.info("to send this run to W&B: wandb sync %s", shlex.join(arguments))


@contextmanager
def warn_on_error(what: str) -> Iterator[None]:
    """Turn any error of W&B into a warning, once for each `what` and run."""
    try:
        yield
    except Exception as error:
        if what not in _warned:
            _warned.add(what)
            log.warning("W&B: %s failed, the run continues: %s", what, _first_line(error))


def has_key() -> bool:
    """Whether W&B finds a key: in the environment, or in the netrc file that `wandb login` writes."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0]
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _init(arguments: dict[str, Any], mode: Any) -> "wandb.Run":
    """Open the run, offline if the server cannot be reached or refuses."""
    try:
        return wandb.init(mode=mode, **arguments)
    except Exception as error:
        if mode == "offline":
            raise
        log.warning("W&B continues offline: %s", _first_line(error))
        wandb.teardown()  # the client's service would still hold the run's id
        return wandb.init(mode="offline", **arguments)


def _read_or_draw_id(directory: Path) -> str:
    path = directory / _ID_FILE
    if not path.is_file():
        write_text(path, uuid.uuid4().hex[:12])  # uses the system's generator, not those that the run seeds
    return path.read_text(encoding="utf-8").strip()


def _numbers(prefix: str, values: Mapping[str, float | None]) -> dict[str, float]:
    return {f"{prefix}/{name}": value for name, value in values.items() if value is not None}


def _plots(folder: Path) -> dict[str, "wandb.Image"]:
    """The plots of a run, except curves over epochs, which W&B draws itself."""
    over_epochs = ("curves_", "diagnostics_")
    paths = (path for path in sorted(folder.glob("*.png")) if not path.name.startswith(over_epochs))
    return {f"plots/{path.stem}": wandb.Image(str(path)) for path in paths}


def _history(path: Path) -> Iterator[dict[str, float]]:
    """The rows of a stage's table, none if the file does not exist; epochs and steps count from 0, as in Lightning."""
    if not path.is_file():
        return
    for row in pd.read_csv(path).to_dict("records"):
        values = {str(key): value for key, value in row.items() if key not in ("lr", "seconds") and not pd.isna(value)}
        yield {**values, "epoch": values["epoch"] - 1, "step": values["step"] - 1}


def _thin_out(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows of a table, evenly spaced."""
    return table.iloc[:: max(1, -(-len(table) // most))]


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


class StageWandbLogger(WandbLogger):
    """Logs to the open W&B run under `<stage>/`, over that stage's step; a failure is a warning.

    Args:
        run: The open W&B run.
        stage: Name of the stage.
        directory: Run directory.
        log_encoder: Whether `report` sends the encoder too.
    """

    def __init__(self, run: "wandb.Run", stage: str, directory: Path, log_encoder: bool = False) -> None:
        super().__init__(experiment=run, save_dir=directory, log_model=False)
        self._run = run
        self._stage = stage
        self._log_encoder = log_encoder

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log under the stage's name, over the stage's step."""
        named = {f"{self._stage}/{name}": value for name, value in metrics.items()}
        with warn_on_error("logging metrics"):
            self._run.log({**named, f"{self._stage}/step": step or 0})

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: W&B has the whole configuration from the start."""

    def report(self, result: Mapping[str, Any], files: RunFiles) -> None:
        """Send the results of the run."""
        report_results(self._run, result, files, self._log_encoder)
