"""What is in a run's directory, compared with what is asked for now: configuration, data, encoders, damage.

Nothing is shown as finished, and nothing is continued, before these agree.
"""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnc_lightning.command_line.identity import config_differences
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.other_epochs import other_epochs
from rnc_lightning.system.errors import UserError

if TYPE_CHECKING:
    from rnc_lightning.datasets.reading.data_identity import DataIdentity
    from rnc_lightning.runs.request import RunRequest

log = logging.getLogger(__name__)

_INSTEAD = "choose another directory for this run (paths.run_dir=...), or delete that one"


def finished_result(request: "RunRequest", directory: RunDirectory) -> dict[str, Any] | None:
    """The result of a finished run whose files are all as they were written; None if there is something to do.

    Raises:
        UserError: If the directory holds another run.
    """
    check_config(request, directory)
    result = _sound_result(directory)
    if result is None or result.get("status") != "finished":
        if directory.has_stages():
            check_sources(request, directory, result)
        return None
    if damaged := directory.damaged_files(result):
        log.warning("%s: %s missing or damaged; written again", directory.path, ", ".join(damaged))
        return None
    return result


def check_config(request: "RunRequest", directory: RunDirectory) -> None:
    """Refuse a directory that holds a run with another configuration.

    A configuration that was damaged counts as absent; then `result.json` says which run it is.

    Raises:
        UserError: With the differing keys; or if it cannot be known which run it is.
    """
    result = _sound_result(directory)
    before = _sound_config(directory, result)
    if before is not None:
        if changes := list(config_differences(before, request.config)):
            raise UserError(
                other_epochs(directory.path, changes)
                or f"{directory.path} holds a run with another configuration ({'; '.join(changes)}): {_INSTEAD}"
            )
        return
    if not directory.has_stages() and result is None:
        return
    if result is None or any(result.get(key) != request.identity[key] for key in ("setting", "seed")):
        raise UserError(
            f"{directory.path} holds stages of a run, but its config.yaml is missing or damaged, and result.json does "
            f"not show that it is this run: {_INSTEAD}"
        )
    log.warning("%s: config.yaml is missing or damaged; written again", directory.path)


def check_data(directory: RunDirectory, now: "DataIdentity") -> None:
    """Record the data until something was trained on them; refuse other data from then on.

    Raises:
        UserError: If the data have changed in between, with what has changed.
    """
    before, hashes = directory.recorded_data()
    if directory.has_stages():
        if before is None:
            raise UserError(
                f"{directory.path} has lost the record of its data (data_fingerprint.txt), so that its stages may "
                f"belong to other data: {_INSTEAD}"
            )
        if before != now.fingerprint:
            raise UserError(
                f"{directory.path} was started on other data (changed: {_changes(directory, now)}): restore the data, "
                f"{_INSTEAD}"
            )
    if before != now.fingerprint or hashes.keys() != now.hashes.keys():
        directory.record_data(now.fingerprint, now.hashes)


def check_finished(
    request: "RunRequest",
    directory: RunDirectory,
    result: Mapping[str, Any],
    known: "dict[str, DataIdentity] | None" = None,
) -> None:
    """Refuse to show the result of a finished run if its data or the encoder that it started from have changed.

    Args:
        request: The run.
        directory: Its directory.
        result: Its result.
        known: Keeps what was read, for runs on the same data that are checked one after the other.

    Raises:
        UserError: With what has changed, and the choices.
    """
    if not request.config.get("compare_data", True):
        log.warning("%s: not compared with the data as they are now (compare_data=false)", directory.path)
        return
    from rnc_lightning.runs.parts import Parts

    choices = f"{_INSTEAD}; compare_data=false shows the old result"
    check_sources(request, directory, result, choices)
    known, key = {} if known is None else known, json.dumps(request.config["data"], sort_keys=True, default=str)
    try:
        if key not in known:
            known[key] = Parts(request.config).identity_of_data()
    except UserError as error:
        raise UserError(
            f"{directory.path} is finished, but its data cannot be compared with those of now: {error}. "
            "compare_data=false shows the result without comparing",
            error.details,
        ) from error
    now = known[key]
    if now.fingerprint != result.get("data_fingerprint"):
        raise UserError(
            f"{directory.path} is finished, but its data have changed since (changed: {_changes(directory, now)}): to "
            f"train on the new data, {choices}"
        )


def check_sources(
    request: "RunRequest", directory: RunDirectory, result: Mapping[str, Any] | None, choices: str = _INSTEAD
) -> None:
    """Refuse a run that started from an encoder or weights which are others now.

    Raises:
        UserError: With the file, and the choices.
    """
    for key in ("encoder_from", "encoder_weights"):
        before, now = (result or {}).get(key), request.identity.get(key)
        if before and now and before.get("sha256") != now["sha256"]:
            raise UserError(f"{directory.path} started from {now['file']}, which has changed since: {choices}")


def _changes(directory: RunDirectory, now: "DataIdentity") -> str:
    from rnc_lightning.datasets.reading.data_identity import describe_changes

    return describe_changes(directory.recorded_data()[1], now)


def _sound_result(directory: RunDirectory) -> dict[str, Any] | None:
    try:
        return directory.result()
    except UserError as error:
        log.warning("%s", error)
        return None


def _sound_config(directory: RunDirectory, result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The configuration, unless it is missing, cannot be read or is not the one that `result.json` belongs to."""
    try:
        config = directory.config() if directory.begun() else None
    except UserError:
        return None
    return None if "config.yaml" in directory.damaged_files(result or {}) else config
