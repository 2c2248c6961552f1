"""Files that are complete or not there, also after a power failure, and those that can be read to their end."""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.\d+(\.\w+)?")  # what `write_atomically` calls its files


def write_atomically(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Let `write` fill a temporary file next to `path`, then rename it to `path` in one step.

    The temporary name keeps the suffix, because some writers choose the format by it.

    Args:
        path: The file; missing folders are created.
        write: Writes the content to the path that it is given.
        durable: Whether file and folder are flushed to the disk, so that the file survives a power failure. Not needed
            for what is only remembered and can be computed again.

    Raises:
        OSError: If the file cannot be written, with its name; an older file at `path` is left unchanged.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EEXIST, "it exists and is not a regular file")  # a device would be replaced
        _create_folder(path.parent, durable)
        write(temporary)
        if durable:
            _flush(temporary)
        temporary.replace(path)
        if durable:
            _flush_folder(path.parent)
    except OSError as error:  # the error of a full disk does not name the file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a text file (UTF-8) in one step; see `write_atomically`."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"), durable=durable)


def delete_temporary_files(folder: Path) -> None:
    """Delete what processes that were killed while writing have left in a folder and its subfolders.

    Call it only while no other process writes there.
    """
    for path in folder.rglob(".*"):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


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


def damaged_files(folder: Path, checksums: dict[str, str]) -> list[str]:
    """Names of the files that are missing, cannot be read or have another content than recorded.

    Args:
        folder: Their folder.
        checksums: SHA-256 of each, by name.
    """
    return [name for name, checksum in checksums.items() if _sha256_or_none(folder / name) != checksum]


def _sha256_or_none(path: Path) -> str | None:
    try:
        return sha256(path)
    except OSError:
        return None


def _create_folder(folder: Path, durable: bool) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing if durable else ():
        _flush_folder(one.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # some network file systems cannot flush folders
        _flush(folder)
