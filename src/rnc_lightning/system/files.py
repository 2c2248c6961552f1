"""Files that are either complete or not there, and those that can be read to their end."""

import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file next to `path`, then rename it to `path` in one step.

    The temporary name keeps the suffix, because some writers choose the format by it.

    Raises:
        OSError: If the file cannot be written, with its name; an older file at `path` is left unchanged.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.replace(path)
    except OSError as error:  # the error of a full disk does not name the file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) in one step."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def check_regular(path: Path) -> None:
    """Refuse what looks like a file but never ends or blocks the reader: a named pipe, a device, a socket.

    Raises:
        ValueError: If it is one of these, says which; a path that does not exist is left to the reader.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - Path.stat does the same, more slowly
    except (OSError, ValueError):
        return
    kinds = {
        stat.S_IFIFO: "a named pipe",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFSOCK: "a socket",
    }
    if (kind := kinds.get(stat.S_IFMT(mode))) is not None:
        raise ValueError(f"{kind}, not a file")


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
