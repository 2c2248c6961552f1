"""Commands as their YAML in `conf/` describes them, and the help that is shown of each."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.command_line.values import REQUIRED, Option

_WIDEST, _COLUMN = 110, 26


@dataclass(frozen=True)
class Command:
    """What a command takes.

    Args:
        program: How it is called.
        about: What it does.
        positional: The key of the option that may be given by its value alone; None: there is none.
        passes_on: Whose options it takes beside its own: `data` (those of training about data), `training`, or None.
        options: By key, in the order of the help.
        examples: Arguments, and what they do.
        notes: What else is to be known.
    """

    program: str
    about: str
    positional: str | None
    passes_on: str | None
    options: Mapping[str, Option]
    examples: Sequence[tuple[str, str]]
    notes: str

    @property
    def usage(self) -> str:
        """How it is written."""
        needed = [option for option in self.options.values() if option.default is REQUIRED]
        return " ".join([self.program, *map(self.written, needed), "[key=value ...]"])

    def written(self, option: Option) -> str:
        """How one of its options is written."""
        return option.key.upper() if option.key == self.positional else f"{option.key}={option.placeholder}"


def load_command(name: str) -> Command:
    """The command that `conf/<name>.yaml` describes."""
    file = OmegaConf.load(config_directory() / f"{name}.yaml")
    assert isinstance(file, DictConfig)
    said: Any = OmegaConf.to_container(file, resolve=True)
    return Command(
        f"python -m rnc_lightning.{said.get('program', name)}",
        said["about"].strip(),
        said.get("positional"),
        said.get("passes_on"),
        {key: _option(key, option) for key, option in said["options"].items()},
        [(arguments, does) for arguments, does in said["examples"]],
        said.get("notes", "").strip(),
    )


def names_in(group: str) -> tuple[str, ...]:
    """The choices of a configuration group."""
    return tuple(sorted(path.stem for path in (config_directory() / group).glob("*.yaml")))


def help_text(command: Command) -> str:
    """What the command does, how it is written, its options and examples, as wide as the terminal."""
    width = min(shutil.get_terminal_size((100, 24)).columns, _WIDEST) - 1
    parts = [textwrap.fill(command.about, width), f"usage: {command.usage}"]
    options = (_option_help(option, command, width) for option in command.options.values())
    parts.append("\n".join(["options:", *options]))
    examples = ["examples:"]
    for arguments, does in command.examples:
        examples.append(f"  {command.program} {arguments}".rstrip())
        examples.append(textwrap.indent(textwrap.fill(does, width - 6, break_on_hyphens=False), " " * 6))
    parts.append("\n".join(examples))
    if command.notes:
        parts.append("\n".join(textwrap.fill(line, width) for line in command.notes.splitlines()))
    return "\n\n".join(parts)


def _option(key: str, said: Mapping[str, Any]) -> Option:
    choices = names_in(said["group"]) if "group" in said else tuple(said.get("choices", ()))
    kind, default = said.get("type", "text"), said.get("default", REQUIRED)
    default = Path(default) if kind == "path" and isinstance(default, str) else default
    return Option(key, kind, default, said["about"], choices, said.get("least"))


def _option_help(option: Option, command: Command, width: int) -> str:
    written = command.written(option)
    about = option.about
    if option.key == command.positional:
        about += f": {', '.join(option.choices)}" if option.choices else f"; {option.key}=... is the same"
    elif option.default not in (None, {}, REQUIRED):
        about += f" (default: {_shown(option.default)})"
    lines = textwrap.wrap(about, width - _COLUMN - 4)
    gap = " " * (_COLUMN + 4)
    head = f"  {written:<{_COLUMN}}  "
    if len(written) > _COLUMN:
        return "\n".join([head.rstrip(), *(gap + line for line in lines)])
    return "\n".join([head + lines[0], *(gap + line for line in lines[1:])])


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
