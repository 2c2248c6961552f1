"""W&B's environment variables: they say what the configuration leaves open; the command line says more than they do."""

from collections.abc import Iterable, Mapping
from typing import Any

from rnc_lightning.system.errors import UserError

_PROJECT = "rnc_lightning"  # where neither the configuration nor the environment names one
_NAMES = {"name": "WANDB_NAME", "group": "WANDB_RUN_GROUP", "job_type": "WANDB_JOB_TYPE", "dir": "WANDB_DIR"}


def with_variables(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of `wandb.init` with what the environment says.

    The names that the suite chooses (of the run, its group, job type and folder) give way to a variable, a project and
    an entity of the configuration do not, and tags are added.

    >>> given = {"project": None, "name": "digits", "tags": ["a"]}
    >>> found = with_variables(given, {"WANDB_NAME": "x", "WANDB_TAGS": "b, c"})
    >>> found["project"], found["name"], found["tags"]
    ('rnc_lightning', 'x', ['a', 'b', 'c'])
    """
    found = {**arguments, **{key: environment[name] for key, name in _NAMES.items() if environment.get(name)}}
    found["project"] = arguments.get("project") or environment.get("WANDB_PROJECT") or _PROJECT
    found["entity"] = arguments.get("entity") or environment.get("WANDB_ENTITY") or None
    more = {tag.strip() for tag in environment.get("WANDB_TAGS", "").split(",")} - {""}
    found["tags"] = sorted({*(arguments.get("tags") or ()), *more})
    return found


def refuse_one_id_for_many(loggers: Iterable[Any], environment: Mapping[str, str]) -> None:
    """Refuse WANDB_RUN_ID for several runs, which would all write into one W&B run.

    Args:
        loggers: Configurations of loggers.
        environment: Environment variables.

    Raises:
        UserError: If there is such an id and one of the loggers is W&B's.
    """
    used = any(str(logger.get("_target_")).endswith("loggers.wandb") for logger in loggers if logger)
    if used and environment.get("WANDB_RUN_ID"):
        raise UserError(
            f"WANDB_RUN_ID={environment['WANDB_RUN_ID']}: all runs would write into one W&B run; unset it "
            "(WANDB_RUN_GROUP and WANDB_TAGS keep runs together)"
        )
