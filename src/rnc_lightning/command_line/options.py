"""Commands in `key=value` options, for every entry point but training, whose options Hydra reads.

What a command takes, and what each option means, stands in its YAML in `conf/`, from which `--help` is written.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rnc_lightning.command_line.commands import Command, help_text, load_command
from rnc_lightning.command_line.compose import ROOT_KEYS, config_directory
from rnc_lightning.command_line.messages import run_plain
from rnc_lightning.command_line.quoting import path_quoted
from rnc_lightning.command_line.usage import HELP, UsageError, refuse_flags
from rnc_lightning.command_line.values import REQUIRED, Option
from rnc_lightning.system.errors import UserError, suggest

Work = Callable[[dict[str, Any], list[str]], None]


def run_command(name: str, work: Work, *, resumes: bool = False) -> None:
    """Do a command's work with what was written after it on the command line, and end as `run_plain` does.

    Args:
        name: Of its YAML file in `conf/`.
        work: Gets the values of its options, and the options of training that it passes on.
        resumes: Whether the same command, given again after Ctrl-C, goes on where it was.
    """
    run_plain(partial(command_line, name, sys.argv[1:], work), resumes)


def run_subcommands(program: str, about: str, works: Mapping[str, Work]) -> None:
    """The same for a program whose first argument is one of several commands, by the names of their YAML files.

    Args:
        program: Its name; the file of `verify` is `<program>_verify.yaml`.
        about: What the program is for.
        works: What each command does.
    """
    run_plain(partial(_subcommand, program, about, works, sys.argv[1:]), resumes=False)


def command_line(name: str, arguments: Sequence[str], work: Work) -> None:
    """Do a command's work, or show its help.

    Args:
        name: Of the YAML file in `conf/`.
        arguments: Of the command line.
        work: Gets the values of the command's options, and the options of training that it passes on.

    Raises:
        UsageError: For what is no option.
        UserError: For an unknown option or a value that is not allowed.
    """
    command = load_command(name)
    if any(argument in HELP for argument in arguments):
        print(help_text(command))
        return
    if not arguments and any(option.default is REQUIRED for option in command.options.values()):
        print(help_text(command), file=sys.stderr)
        sys.exit(2)
    work(*read_options(command, arguments))


def read_options(command: Command, arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The values of a command's options, and what it passes on.

    Raises:
        UsageError: For what is no option, or where an option that is needed is not given.
        UserError: For an unknown option or a value that is not allowed.
    """
    options = command.options
    refuse_flags(arguments, options, [key for key, option in options.items() if option.type == "true or false"])
    found = {key: option.default for key, option in options.items()}
    ranges: list[str] = []
    passed_on: list[str] = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        key = key.lstrip("+")
        top = key.partition(".")[0]
        first = command.positional
        if equals and top in options and options[top].type == "ranges":
            ranges.append(f"{key}={text}")
        elif equals and key in options:
            found[key] = options[key].value(text)
        elif first is not None and found[first] is REQUIRED and _stands_alone(argument, options, first):
            found[first] = _positional(options[first], argument)
        elif (equals or argument.startswith("~")) and _belongs_to(command.passes_on, argument):
            passed_on.append(path_quoted(argument))
        else:
            raise _refusal(command, argument)
    found |= _ranges(ranges)
    if missing := [key for key, value in found.items() if value is REQUIRED]:
        raise UsageError(f"{', '.join(missing)}: not given; usage: {command.usage}; --help shows every option")
    return found, passed_on


def about_data(argument: str) -> bool:
    """Whether an option of training chooses or changes the data set.

    >>> about_data("data=agedb"), about_data("data.root=/data"), about_data("part=val")
    (True, True, False)
    """
    key = argument.partition("=")[0].lstrip("+~")
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
    chosen = list(dict.fromkeys(value)) if isinstance(value, list | tuple) else [value]
    if chosen == ["all"]:
        return list(known)
    for one in chosen:
        if isinstance(one, bool) or one not in known:
            raise UserError(f"{what}={one}: unknown option; {suggest(str(one), [*map(str, known), 'all'])}")
    return chosen


def _subcommand(program: str, about: str, works: Mapping[str, Work], arguments: Sequence[str]) -> None:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name in works:
        command_line(f"{program}_{name}", rest, works[name])
    elif not name or name in HELP:
        print(_overview(program, about, list(works)), file=sys.stdout if name else sys.stderr)
        sys.exit(0 if name else 2)
    else:
        raise UsageError(f"{name}: unknown command; {suggest(name, works)}")


def _overview(program: str, about: str, names: Sequence[str]) -> str:
    commands = {name: load_command(f"{program}_{name}") for name in names}
    lines = [about, "", f"usage: python -m rnc_lightning.{program} {'|'.join(names)} ...", "", "commands:"]
    lines += [f"  {name:<12}  {command.about.partition('. ')[0].rstrip('.')}" for name, command in commands.items()]
    lines += ["", "examples:"]
    lines += [f"  {command.program} {command.examples[0][0]}" for command in commands.values()]
    return "\n".join([*lines, "", f"python -m rnc_lightning.{program} {names[0]} --help shows the options of one."])


def _stands_alone(argument: str, options: Mapping[str, Option], first: str) -> bool:
    """Whether an argument is a value without its key; a path may hold `=`, as run directories do."""
    key, equals, _ = argument.partition("=")
    if not equals:
        return key == first or (key not in options and key[:1] not in ("", "~"))
    return options[first].type == "path" and ("/" in key or Path(argument).exists())


def _positional(option: Option, text: str) -> Any:
    if option.choices and text not in option.choices:
        raise UserError(f"{text}: unknown {option.key.replace('_', ' ')}; {suggest(text, option.choices)}")
    return option.value(text)


def _belongs_to(whose: str | None, argument: str) -> bool:
    if whose == "data":
        return about_data(argument)
    return whose == "training" and (argument.startswith(("+", "~")) or _top(argument) in _of_training())


def _of_training() -> set[str]:
    groups = {path.name for path in config_directory().iterdir() if path.is_dir()}
    return ROOT_KEYS | groups


def _top(argument: str) -> str:
    return re.split(r"[./@=:]", argument, maxsplit=1)[0]


def _refusal(command: Command, argument: str) -> UserError:
    """Why an argument is none of a command's options."""
    key, equals, _ = argument.partition("=")
    if not equals and key in command.options:
        value = "true" if command.options[key].type == "true or false" else "..."
        return UsageError(f"{key}: an option is key=value; write {key}={value}")
    if not equals or not key:
        return UsageError(
            f"{argument}: an option is key=value, such as {list(command.options)[-1]}=...; --help shows all"
        )
    theirs = {"data": ["data"], "training": sorted(_of_training())}.get(command.passes_on or "", [])
    hints = (suggest(_top(key), command.options), suggest(_top(key), theirs))
    hint = next((hint for hint in hints if hint.endswith("?")), suggest(key, [*command.options, *theirs]))
    return UserError(f"{key}: unknown option; {hint}")


def _ranges(arguments: Sequence[str]) -> dict[str, Any]:
    """Nested values, such as `targets.age.low=20`, by their first key."""
    try:
        found = OmegaConf.to_container(OmegaConf.from_dotlist(list(arguments)), resolve=True)
    except (OmegaConfBaseException, YAMLError) as error:
        reason = getattr(error, "problem", None) or str(error)
        raise UserError(f"{' '.join(arguments)}: cannot be read ({' '.join(reason.split())})") from error
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}
