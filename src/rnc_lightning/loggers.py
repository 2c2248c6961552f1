"""Loggers beside the CSV history, made for one stage of one run. Only what is chosen is imported."""

import hashlib
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnc_lightning.errors import UserError

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


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
    project: str = "rnc_lightning",
    entity: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> "Logger":
    """One W&B run for the whole run: metrics as `<stage>/...` over `<stage>/step`.

    Without a key it works offline (`wandb sync` sends it later); WANDB_MODE has the last word. An unreachable
    server is given ten seconds, then the run goes on offline.

    Args:
        directory: Run directory; its path makes the run's id, so that a second start goes on in the same run.
        stage: Prefix of the metrics.
        name: Name shown, `<experiment>/<overrides>`; the part before the slash is the group.
        config: Resolved configuration.
        project: W&B project.
        entity: W&B user or team; None for the key's own.
        tags: Tags, as values of a dict so that the command line can change one.
    """
    import wandb as client

    from rnc_lightning.wandb_logger import StageWandbLogger

    if client.run is None:
        online = os.environ.get("WANDB_MODE", "online" if _has_key() else "offline")
        arguments: dict[str, Any] = {
            "project": project,
            "entity": entity,
            "name": name,
            "group": name.split("/")[0],
            "id": hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:12],
            "resume": "allow",
            "dir": str(directory),
            "config": dict(config),
            "tags": sorted((tags or {}).values()),
            "settings": client.Settings(init_timeout=10, silent=True),
        }
        try:
            client.init(mode=online, **arguments)  # type: ignore[arg-type]
        except client.errors.CommError:
            client.init(mode="offline", **arguments)
    return StageWandbLogger(stage, directory)


def finish(exit_code: int) -> None:
    """Close the W&B run, where one was opened, so that the next run of a sweep gets its own."""
    import sys

    client = sys.modules.get("wandb")
    if client is not None and client.run is not None:
        client.finish(exit_code=exit_code)


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0]
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
