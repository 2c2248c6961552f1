"""Checks of the YAML files in a folder of configurations, before Hydra reads any of them."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from rnc_lightning.system.errors import UserError
from rnc_lightning.system.plain_files import check_yaml, read_text, yaml_reason

_FLAGS = ("--config-dir", "-cd")
# What Hydra has no line of its own for: tags, aliases (written out they may be more than the memory holds), deep nests.
_SUSPECT = re.compile(r"!|(^|[\s\[{,:])\*\w|[\[{](\s*[\[{-]){20}|(- ){20}|\n {200}")


def check_config_files(arguments: Sequence[str]) -> None:
    """Check every YAML file below the folders that `--config-dir` names.

    Args:
        arguments: Of the command line.

    Raises:
        UserError: For the first file that is not plain YAML, with its name.
    """
    for folder in _folders(arguments):
        for path in sorted(folder.rglob("*.yaml")):
            try:
                if path.is_file() and _SUSPECT.search(content := read_text(path)):
                    check_yaml(content)
            except yaml.YAMLError as error:
                raise UserError(f"{path}: {yaml_reason(error)}") from error
            except (ValueError, OSError) as error:
                raise UserError(f"{path}: {error}") from error


def _folders(arguments: Sequence[str]) -> list[Path]:
    found = []
    for argument, after in zip(arguments, [*arguments[1:], ""], strict=True):
        flag, equals, value = argument.partition("=")
        if flag in _FLAGS:
            found.append(Path(value if equals else after))
    return found
