"""How a command is written: `key=value`. What is written in another way is refused with the right form."""

from collections.abc import Collection, Sequence

from rnc_lightning.system.errors import UserError, suggest

HELP = ("-h", "--help")
HYDRA_FLAGS = (
    *HELP, "--hydra-help", "--version", "--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r", "--multirun",
    "-m", "--shell-completion", "-sc", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd",
    "--experimental-rerun", "--info", "-i",
)  # fmt: skip


class UsageError(UserError):
    """A command line that is not written as the command reads it; the exit code is 2."""


def refuse_flags(
    arguments: Sequence[str], keys: Collection[str], switches: Collection[str] = (), flags: Collection[str] = ()
) -> None:
    """Refuse options in the style of other programs, `--out DIR`, with the form that is read here, and nameless ones.

    Args:
        arguments: Of the command line.
        keys: Keys of the options that there are.
        switches: Those of them that are true or false.
        flags: What may begin with a hyphen: the flags of Hydra, for training.

    Raises:
        UsageError: For the first argument that begins with `=`, or with a hyphen and is none of `flags`.
    """
    for place, argument in enumerate(arguments):
        if argument.startswith("="):
            raise UsageError(f"{argument}: an option is key=value; --help lists all")
        flag = argument.partition("=")[0]
        known = any(one == flag or (flag.startswith("--") and one.startswith(flag)) for one in flags)
        if flag.startswith("-") and not known:
            raise UsageError(_right_form(argument, arguments[place + 1 :], keys, switches, flags))


def _right_form(
    argument: str, following: Sequence[str], keys: Collection[str], switches: Collection[str], flags: Collection[str]
) -> str:
    flag, equals, value = argument.partition("=")
    if not equals and following and "=" not in following[0] and not following[0].startswith("-"):
        value = following[0]
    key = flag.lstrip("-").replace("-", "_")
    shown = argument if equals or not value else f"{flag} {value}"
    if key in switches:
        return f"{argument}: write {key}={value if equals else 'true'}"
    if key in keys:
        return f"{shown}: write {key}={value or '...'}"
    if key.removeprefix("no_") in switches:
        return f"{argument}: write {key.removeprefix('no_')}=false"
    hints = (suggest(flag, flags), suggest(key, keys))
    hint = next((hint for hint in hints if hint.endswith("?")), "--help lists all")
    return f"{flag}: unknown option; options are written key=value; {hint}"
