"""The W&B run that goes with a run: opened, given its results, closed.

Nothing that fails here stops training or loses a result: it becomes a warning.
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

log = logging.getLogger(__name__)

_ID_FILE = "wandb_id.txt"  # in the run directory: the same command goes on in the same W&B run
_LONGEST_TAG = 64  # W&B refuses longer ones
_warned: set[str] = set()


def open_run(
    directory: Path,
    *,
    name: str,
    config: Mapping[str, Any],
    identity: Mapping[str, Any],
    project: str,
    entity: str | None,
    tags: Iterable[Any],
    init_timeout: float,
    finish_timeout: float,
) -> "wandb.Run | None":
    """The W&B run of a run directory: the one that is open, or opened now; None where W&B cannot be used at all.

    Args:
        directory: Run directory.
        name: Name shown.
        config: Resolved configuration.
        identity: What `result.json` says of the run; its `experiment` becomes the group, its `seed` the job type.
        project: W&B project.
        entity: W&B user or team; None for the key's own.
        tags: Tags, empty ones left out.
        init_timeout: Seconds that a server is given before the run goes on offline.
        finish_timeout: Seconds that the end of the run waits for data to be sent.
    """
    if wandb.run is not None:
        return wandb.run
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # the client's measures of itself, without a network
    note = synthetic_note(identity["synthetic_parts"])
    arguments: dict[str, Any] = {
        "project": project,
        "entity": entity,
        "name": name,
        "group": identity["experiment"],
        "job_type": f"seed_{identity['seed']}",
        "id": os.environ.get("WANDB_RUN_ID") or _kept_id(directory),
        "resume": "allow",
        "dir": str(directory.resolve()),  # the client's service may have another working directory
        "config": {**config, **{key: identity[key] for key in ("experiment", "dataset", "setting", "synthetic_data")}},
        "tags": sorted({str(tag)[:_LONGEST_TAG] for tag in tags if tag} | ({note} if note else set())),
        "settings": wandb.Settings(
            init_timeout=init_timeout, finish_timeout=finish_timeout, finish_timeout_raises=True, silent=True
        ),
    }
    decided = has_key() or "WANDB_MODE" in os.environ
    try:
        run = _opened(arguments, None if decided else "offline")
    except Exception as error:  # whatever W&B raises
        log.warning("W&B cannot be used, the run goes on without it: %s", _first_line(error))
        return None
    for stage in config["stages"]:
        run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
    if not run.offline and run.url:
        log.info("W&B run: %s", run.url)
    return run


def report_results(run: "wandb.Run", result: Mapping[str, Any], files: RunFiles, encoder: bool) -> None:
    """Send what a run ended with: test metrics, those of each stage's chosen epoch, plots, predictions.

    Args:
        run: The open W&B run.
        result: What `result.json` will hold, but for the status.
        files: What is sent beside it; the W&B run has not seen the histories among them.
        encoder: Whether the encoder is sent too, as an artifact.
    """
    with warn_on_error("sending metrics and plots"):
        for stage, tables in files.histories.items():
            for table in tables:
                for row in _history(table):
                    run.log({f"{stage}/{key}": value for key, value in row.items()})
        run.log({**_numbers("test", result["test"]), **_plots(files.plots)})
        for stage, told in result["stages"].items():
            more = {"chosen_epoch": told["chosen_epoch"], "seconds": told["seconds"]}
            run.summary.update(_numbers(stage, {**told["metrics"], **more}))
        run.summary.update(_numbers("constant", result["constant"]))
    with warn_on_error("sending the predictions"):  # these ask the server before they are sent
        rows = _at_most(wandb.Table.MAX_ROWS, files.predictions)
        run.log({"predictions": wandb.Table(dataframe=rows)})
    if encoder:
        with warn_on_error("sending the encoder"):
            artifact = wandb.Artifact(f"encoder-{run.id}", type="model")
            for file in files.encoder:
                artifact.add_file(str(file.resolve()), policy="immutable")
            run.log_artifact(artifact)


def finish(exit_code: int) -> None:
    """Close the open W&B run, and say how to send what has not been sent."""
    run = wandb.run
    if run is None:
        return
    place, offline = Path(run.settings.sync_dir), run.offline
    unsent = [place] if offline else []
    try:
        wandb.finish(exit_code=exit_code)
    except Exception as error:  # also a server that stopped answering
        log.warning("W&B has not got all of this run: %s", _first_line(error))
        unsent = [place]
        if not isinstance(error, TimeoutError):  # its service is broken: the next run of a sweep gets a new one
            with suppress(Exception):
                wandb.teardown()
    wandb.run = None  # which a broken service leaves as it was
    _warned.clear()
    if unsent:
        earlier = place.parent.glob(f"offline-run-*-{run.id}")  # of starts before this one
        waiting = {path for path in earlier if not list(path.glob("*.synced"))}
        words = ([] if offline else ["--include-online"]) + [str(path) for path in sorted(waiting | set(unsent))]
        log.info("to send this run to W&B: wandb sync %s", shlex.join(words))


@contextmanager
def warn_on_error(what: str) -> Iterator[None]:
    """Turn whatever W&B raises into a warning, one for each `what` and run."""
    try:
        yield
    except Exception as error:
        if what not in _warned:
            _warned.add(what)
            log.warning("W&B: %s failed, the run goes on: %s", what, _first_line(error))


def has_key() -> bool:
    """Whether W&B finds a key: in the environment, or in the netrc file where `wandb login` puts it."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0]
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _opened(arguments: dict[str, Any], mode: Any) -> "wandb.Run":
    """The run, offline where the server cannot be reached or refuses."""
    try:
        return wandb.init(mode=mode, **arguments)
    except Exception as error:
        if mode == "offline":
            raise
        log.warning("W&B goes on offline: %s", _first_line(error))
        wandb.teardown()  # the client's service would still hold the run's id
        return wandb.init(mode="offline", **arguments)


def _kept_id(directory: Path) -> str:
    path = directory / _ID_FILE
    if not path.is_file():
        write_text(path, uuid.uuid4().hex[:12])  # drawn from the system, not from the run's generators
    return path.read_text(encoding="utf-8").strip()


def _numbers(prefix: str, values: Mapping[str, float | None]) -> dict[str, float]:
    return {f"{prefix}/{name}": value for name, value in values.items() if value is not None}


def _plots(folder: Path) -> dict[str, "wandb.Image"]:
    """The plots of a run, but for those over epochs, which W&B draws itself."""
    over_epochs = ("curves_", "diagnostics_")
    paths = (path for path in sorted(folder.glob("*.png")) if not path.name.startswith(over_epochs))
    return {f"plots/{path.stem}": wandb.Image(str(path)) for path in paths}


def _history(path: Path) -> Iterator[dict[str, float]]:
    """The rows of a stage's table, none where it has no such file; epochs and steps from 0 up, as Lightning logs."""
    if not path.is_file():
        return
    for row in pd.read_csv(path).to_dict("records"):
        told = {str(key): value for key, value in row.items() if key not in ("lr", "seconds") and not pd.isna(value)}
        yield {**told, "epoch": told["epoch"] - 1, "step": told["step"] - 1}


def _at_most(rows: int, path: Path) -> pd.DataFrame:
    """A table, thinned out evenly where it has more rows."""
    table = pd.read_csv(path)
    return table.iloc[:: -(-len(table) // rows)] if len(table) > rows else table


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


class StageWandbLogger(WandbLogger):
    """Logs to the open W&B run under `<stage>/`, over that stage's own step; what fails there is a warning.

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
        """Log under the stage's name, over its own step."""
        named = {f"{self._stage}/{name}": value for name, value in metrics.items()}
        with warn_on_error("logging metrics"):
            self._run.log({**named, f"{self._stage}/step": step or 0})

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: W&B has the whole configuration from the start."""

    def report(self, result: Mapping[str, Any], files: RunFiles) -> None:
        """Send what the run ended with."""
        report_results(self._run, result, files, self._log_encoder)
