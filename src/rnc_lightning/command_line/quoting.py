"""Values of the command line as Hydra reads them, whatever characters are in them."""

import re
import shlex
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

# Options of training with paths.
_PLACES = ("paths.", "encoder_from=", "data.root=", "data.csv=", "data.split.file=", "encoder.weights=")
_OUTPUTS = ("paths.",)  # nobody sweeps over several of these, and they need not exist yet


def path_quoted(argument: str) -> str:
    """An option of training, quoted for Hydra where its value is a path with characters that mean something to it.

    A comma in a path that does not exist may separate two values of a sweep, and stays what it is.

    >>> path_quoted("paths.output_dir=runs/a=[1,2]"), path_quoted("paths.run_dir=null"), path_quoted("seed=0,1")
    ('paths.output_dir="runs/a=[1,2]"', 'paths.run_dir=null', 'seed=0,1')
    """
    key, _, value = argument.partition("=")
    is_path = f"{key.lstrip('+')}=".startswith(_PLACES) and value[:1] not in ("'", '"') and "${" not in value
    if not is_path or not re.search(r"[^A-Za-z0-9_./+-]", value):
        return argument
    one = key.startswith(_OUTPUTS) or "," not in value or Path(value).expanduser().exists()
    return f"{key}={quoted(value)}" if one else argument


def quoted(value: object) -> str:
    r"""A text as Hydra reads it, whatever characters are in it.

    >>> print(quoted('a "b" [c]'))
    "a \"b\" [c]"
    """
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), str(value))
    return f'"{escaped}"'


def readable_form(argument: str) -> str | None:
    """How an option that Hydra cannot read is written in a shell; None if quotes do not help, as in its key.

    >>> print(readable_form("data.csv=müll.csv"), readable_form("data.target=[größe,alter]"), readable_form("größe=1"))
    'data.csv="müll.csv"' 'data.target=["größe","alter"]' None
    """
    key, _, value = argument.partition("=")
    items = re.fullmatch(r"\[([^\[\]]*)\]", value)
    forms = [quoted(value)]
    if items is not None:
        inside = ",".join(quoted(item.strip().strip("'\"")) for item in items[1].split(","))
        forms.insert(0, f"[{inside}]")
    for form in forms:
        try:
            OverridesParser.create().parse_override(f"{key}={form}").value()
        except HydraException:
            continue
        return shlex.quote(f"{key}={form}")
    return None


def unreadable_characters(text: str) -> str:
    """The characters of a text that Hydra reads only between quotes, each once.

    >>> unreadable_characters("~/größe (cm).csv")
    '~öß()'
    """
    return "".join(dict.fromkeys(re.findall(r"[^\w\s.,/\\%@?*+:$-]|[^\x00-\x7f]", text)))
