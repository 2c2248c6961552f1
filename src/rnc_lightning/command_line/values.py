"""Values of options: what may stand behind `key=`, and what it becomes."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnc_lightning.system.errors import UserError, suggest

REQUIRED: Any = object()  # the default of an option that has to be given


@dataclass(frozen=True)
class Option:
    """One option of a command.

    Args:
        key: What it is called.
        type: One of `TYPES`; what has `choices` is `text`.
        default: Its value where it is not given; `REQUIRED` where it has to be.
        about: What it means.
        choices: The values that it may have, where they are few; () for any.
        least: The least number that it may be.
    """

    key: str
    type: str
    default: Any
    about: str
    choices: tuple[str, ...] = ()
    least: int | None = None

    @property
    def placeholder(self) -> str:
        """What stands for its value in the help."""
        return "|".join(self.choices) or TYPES[self.type].placeholder

    def value(self, text: str) -> Any:
        """What a text of the command line says; `null` is None for an option that may go without a value.

        Raises:
            UserError: With the key and what is allowed.
        """
        if self.default is None and text == "null":
            return None
        if self.choices and text not in self.choices:
            hint = suggest(text, self.choices)
            raise UserError(
                f"{self.key}={text}: must be {_either(self.choices)}{f'; {hint}' if hint[-1] == '?' else ''}"
            )
        kind = TYPES[self.type]
        try:
            read = kind.read(text)
        except ValueError:
            read = None
        if read is None or (self.least is not None and read < self.least):
            bound = "" if self.least is None else f" from {self.least} up"
            raise UserError(f"{self.key}={text}: must be {kind.allowed}{bound}")
        return read


@dataclass(frozen=True)
class Type:
    """A type of values: what may be written, what stands for it in the help, and how it is read.

    `read` gives None, or raises ValueError, for what is no such value.
    """

    allowed: str
    placeholder: str
    read: Callable[[str], Any]


def path(text: str) -> Path | None:
    """A path as it was typed, whatever characters are in it; only `~/` becomes the home directory.

    >>> path("runs/a=[1,2] {b}").name, path("")
    ('a=[1,2] {b}', None)
    """
    return (Path(text).expanduser() if text.startswith("~/") else Path(text)) if text else None


def whole_number(text: str) -> int | None:
    """A whole number.

    >>> whole_number("12"), whole_number("1.5"), whole_number("two")
    (12, None, None)
    """
    return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else None


def number(text: str) -> float | None:
    """A finite number.

    >>> number("1e-4"), number("nan")
    (0.0001, None)
    """
    value = float(text)
    return value if math.isfinite(value) else None


def switch(text: str) -> bool | None:
    """True or false.

    >>> switch("true"), switch("False"), switch("maybe")
    (True, False, None)
    """
    return {"true": True, "false": False}.get(text.lower())


def names(text: str) -> list[str] | None:
    """A list, with or without brackets.

    >>> names("[fog, snow]"), names("fog,snow"), names("all"), names("[]"), names("[fog")
    (['fog', 'snow'], ['fog', 'snow'], ['all'], [], None)
    """
    if text.startswith("[") != text.endswith("]") or not text:
        return None
    inside = text.removeprefix("[").removesuffix("]").strip()
    items = [item.strip().strip("'\"") for item in inside.split(",")] if inside else []
    return items if all(items) else None


def whole_numbers(text: str) -> list[int | str] | None:
    """A list of whole numbers; `all` stands for all that there are.

    >>> whole_numbers("[1,3]"), whole_numbers("all"), whole_numbers("[1,x]")
    ([1, 3], ['all'], None)
    """
    items = names(text)
    if items is None or items == ["all"]:
        return ["all"] if items else None
    numbers = [number for item in items if (number := whole_number(item)) is not None]
    return [*numbers] if len(numbers) == len(items) else None


TYPES = {
    "path": Type("a path", "PATH", path),
    "text": Type("a name", "NAME", lambda text: text or None),
    "whole number": Type("a whole number", "N", whole_number),
    "number": Type("a number", "X", number),
    "true or false": Type("true or false", "true|false", switch),
    "names": Type("a name or a list of names, such as [a,b]", "NAMES", names),
    "whole numbers": Type("a whole number, a list of them, such as [1,3], or all", "NUMBERS", whole_numbers),
    "ranges": Type("a range", "...", lambda text: text),
}


def _either(choices: tuple[str, ...]) -> str:
    *most, last = choices
    return f"{', '.join(most)} or {last}" if most else last
