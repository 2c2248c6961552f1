"""Commands in words, `key=value`, for entry points that compose no training run.

What a command takes, and what each word means, stands in its YAML in `conf/`, which `--help` shows.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.system.errors import UserError, nearest

HELP = ("-h", "--help", "help=true")


def command_line(name: str, arguments: Sequence[str], work: Callable[[dict[str, Any], list[str]], None]) -> None:
    """Do a command's work with its settings, or show its help.

    Args:
        name: Of the YAML file in `conf/`, and of the command.
        arguments: The words of the command line.
        work: Gets the settings and the words about data, which are another configuration's.

    Raises:
        UserError: For a word that is none, or that the command does not know.
    """
    if not arguments or any(word in HELP for word in arguments):
        print((config_directory() / f"{name}.yaml").read_text(encoding="utf-8").rstrip())
        return
    data = [word for word in arguments if about_data(word)]
    work(settings(name, [word for word in arguments if word not in data]), data)


def settings(name: str, words: Sequence[str]) -> dict[str, Any]:
    """The values in a command's YAML, changed by words.

    Raises:
        UserError: For a word without a value, an unknown key (with the nearest known one), or a value that is missing.
    """
    known = OmegaConf.load(config_directory() / f"{name}.yaml")
    for word in words:
        key, equals, _ = word.partition("=")
        if not equals:
            raise UserError(f"{word}: a word is key=value, such as {next(iter(known))}=...; --help shows all")
        top = key.lstrip("+").partition(".")[0]
        if top not in list(known):  # `in` alone would leave out what has no value yet
            raise UserError(f"{top}: unknown option; {nearest(top, [*known, 'data', 'data....'])}")
    try:
        given = OmegaConf.from_dotlist([word.lstrip("+") for word in words])
        merged = OmegaConf.merge(known, given)
        found = OmegaConf.to_container(merged, resolve=True, throw_on_missing=False)
    except (OmegaConfBaseException, YAMLError) as error:
        raise UserError(f"{' '.join(words)}: {' '.join(str(error).split())}") from error
    assert isinstance(found, Mapping)
    if missing := [str(key) for key, value in found.items() if value == "???"]:
        raise UserError(f"{', '.join(missing)}: not given; --help shows what each word means")
    return {str(key): value for key, value in found.items()}


def about_data(word: str) -> bool:
    """Whether a word chooses or changes the data set, in the words of training.

    >>> about_data("data=agedb"), about_data("data.root=/data"), about_data("part=val")
    (True, True, False)
    """
    key = word.partition("=")[0].lstrip("+~")
    return key == "data" or key.startswith(("data.", "input.")) or key == "paths.data_dir"


def several(value: Any, known: Sequence[Any], what: str) -> list[Any]:
    """A value, a list of values, or `all`, as a list without repetitions.

    >>> several("all", (1, 2), "severity"), several(2, (1, 2), "severity"), several(None, (1, 2), "severity")
    ([1, 2], [2], [])

    Raises:
        UserError: For a value that is not known, with the nearest one.
    """
    if value is None:
        return []
    if value == "all":
        return list(known)
    chosen = list(dict.fromkeys(value)) if isinstance(value, list | tuple) else [value]
    for one in chosen:
        if isinstance(one, bool) or one not in known:
            raise UserError(f"{what}={one}: there is none of that name; {nearest(one, [*known, 'all'])}")
    return chosen


def path_quoted(word: str) -> str:
    """A word of the command line whose path, where it names one that is there, may hold `=` and `,` unquoted."""
    key, _, value = word.partition("=")
    is_path = key.lstrip("+") == "encoder_from" and value[:1] not in ("'", '"') and value and Path(value).exists()
    return f"{key}={json.dumps(value)}" if is_path else word
