"""What Hydra and OmegaConf find wrong with a command line, in one line and in the words of this suite."""

import re
from collections.abc import Sequence
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.command_line.quoting import readable_form, unreadable_characters
from rnc_lightning.command_line.trainer_options import INSTEAD
from rnc_lightning.system.errors import suggest

ADDED = ("budget", "debug", "experiment", "search")  # groups that no defaults list has: they are chosen with `+`
_NO_OPTUNA = "hydra/sweeper=optuna is not installed: pip install 'rnc-lightning[sweep]'"
_MOST_SHOWN = 12  # choices beside the nearest one


def is_hydras(error: BaseException) -> bool:
    """Whether an error is about the command line or the configuration, and not a bug."""
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be"):  # head=3
        return True
    return isinstance(error, HydraException | OmegaConfBaseException | YAMLError)


def explained(error: BaseException) -> str:
    """What is wrong, in one line, with the nearest option that there is."""
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be"):
        return "a group takes the name of a choice, such as head=l1; a number or a truth value is none"
    if isinstance(error, MissingConfigException):
        return _missing_choice(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override, str(error))
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.key is not None:
        return _unknown_key(cause)
    said, reason = " ".join(str(error).split()), "" if cause is None else str(cause).partition("\n")[0]
    if said.startswith("Error merging override "):
        return f"{said.removeprefix('Error merging override ')}: {reason}"
    return _reworded(said or reason)


def _missing_choice(error: MissingConfigException) -> str:
    missing = error.missing_cfg_file or ""
    named = re.search(r"^Available options in '(.+)':", str(error), re.MULTILINE)
    group = named[1] if named else missing.rpartition("/")[0]
    choice = missing.removeprefix(f"{group}/")
    known = list(error.options or ()) or sorted(path.stem for path in (config_directory() / group).glob("*.yaml"))
    if group == "hydra/launcher" and choice == "submitit_slurm":
        return "hydra/launcher=slurm needs submitit: pip install 'rnc-lightning[slurm]'"
    if group == "hydra/sweeper" and choice == "optuna":
        return _NO_OPTUNA
    if not group:
        return str(error).splitlines()[0]
    place = re.match(r"In '([^']+)'", str(error))
    inside = f" (in {place[1]})" if place and place[1] not in ("train", "hydra/config") else ""
    return f"{group}={choice}{inside}: unknown option; {_nearest_choice(group, choice, known)}"


def _nearest_choice(group: str, choice: str, known: Sequence[str]) -> str:
    hint = suggest(choice, known, f"{'+' if group in ADDED else ''}{group}=")
    if hint.endswith("?") and len(known) <= _MOST_SHOWN:
        hint += f" ({group}: {', '.join(known)})"
    return hint


def _unreadable(argument: str, said: str) -> str:
    if "=" not in argument:
        return f"{argument}: an option is key=value, such as seed=1; --help shows all"
    key, _, value = argument.partition("=")
    form = readable_form(argument)
    inside = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    special = " ".join(unreadable_characters(key if form is None else inside))
    reason = f"because of {special}" if special else f"({said.splitlines()[0]})"
    if form is None:
        return f"{argument}: {key} cannot be read {reason}; set it in a YAML file (--config-dir), where names are free"
    return f"{argument}: cannot be read {reason} without quotes; write {form}"


def _unknown_key(error: OmegaConfBaseException) -> str:
    full = str(error.full_key or error.key)
    parent = full.rpartition(".")[0]
    known = [key for key in _keys(error.parent_node) if key != "hydra"]
    if not parent:
        known += [f"+{group}" for group in ADDED]
    if parent == "trainer" and (instead := INSTEAD.get(str(error.key))):
        return f"{full}: {instead}"
    return f"{full}: unknown option; {suggest(str(error.key), known, f'{parent}.' if parent else '')}"


def _keys(node: Any) -> list[str]:
    try:
        return [str(key) for key in node]
    except (TypeError, OmegaConfBaseException):
        return []


def _reworded(message: str) -> str:
    for pattern, words in _WORDS:
        if found := re.search(pattern, message):
            return words.format(*found.groups())
    return message


_WORDS = (  # what Hydra's messages become
    (
        r"Could not find 'hydra/sweeper/sampler/",
        "hydra/sweeper=optuna is not installed: pip install 'rnc-lightning[sweep]'",
    ),
    (r"No match in the defaults list\. To append to your default list use \+(\S+)", "{0}: is added with +; write +{0}"),
    (r"^Could not override '(.+)'\. Did you mean to override (\S+)\? ", "{0}: unknown option; did you mean {1}?"),
    (r"^Could not append to config\. An item .* remove \+ prefix: '(.+?)' Or", "+{0}: is there already; write {0}"),
    (r"^(\S+) appears more than once in the final", "{0}: chosen twice; change a choice that is there without +"),
    (r"^Could not delete from config\. '(.+)' does not exist", "~{0}: unknown option; there is nothing to take away"),
    (
        r"^Ambiguous value for argument '([^=]+)=(.*?)' 1\.",
        "{0}={1}: several values; -m runs each; {0}=[{1}] is a list",
    ),
)
