"""What is in files: a hash of the bytes of each, remembered for as long as `stat` shows the same file.

<folder>/<hash of a folder>.json   for each file of that folder: size, times of modification and change (ns), inode,
                                   hash of its bytes, and the checks that found it good

The time of change (ctime) and the inode reveal a file that was replaced or rewritten with its old modification time.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rich.progress import track

from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import sha256, write_text

Argument = TypeVar("Argument")
Returned = TypeVar("Returned")

_Stamp = tuple[int, int, int, int]
_TICK = 100_000_000  # ns; a file changed more recently could change again without a new time


@dataclass
class _Known:
    """What is known of a file.

    Attributes:
        stamp: Size, modification time, change time, inode.
        digest: Hash of its bytes.
        checks: The checks that found it good.
        settled: Whether a later change is certain to have another stamp.
    """

    stamp: _Stamp
    digest: str
    checks: list[str] = field(default_factory=list)
    settled: bool = True


class FileContents:
    """Hashes of files, each computed once.

    Args:
        folder: Folder of the record; None remembers within this object only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._known: dict[str, dict[str, _Known]] = {}  # by folder and name
        self._absolute: dict[str, str] = {}  # folder -> the same from the root
        self._changed: set[str] = set()

    def remembered(self, path: Path) -> str | None:
        """The hash of a file whose content is known; None if it is not, or not any more."""
        known = self._entry(path)
        return None if known is None else known.digest

    def digest(self, path: Path) -> str:
        """The hash of a file's bytes, 32 hexadecimal digits.

        Raises:
            UserError: If the file cannot be read, or is being written.
        """
        known = self._entry(path) or self._read(path)
        return known.digest

    def digests(self, paths: Sequence[Path], what: str = "files") -> dict[Path, str]:
        """The hash of each file, of those not remembered in parallel.

        Args:
            paths: The files; one that occurs several times is read once.
            what: What they are, for the progress bar.

        Raises:
            UserError: If a file cannot be read.
        """
        found = {path: self.remembered(path) for path in dict.fromkeys(paths)}
        unknown = [path for path, digest in found.items() if digest is None]
        known = {path: digest for path, digest in found.items() if digest is not None}
        known |= zip(unknown, in_parallel(self.digest, unknown, f"reading {what}"), strict=True)
        self.save()
        return known

    def passed(self, path: Path, check: str) -> bool:
        """Whether a check found the file good, with the content that it has now."""
        known = self._entry(path)
        return known is not None and check in known.checks

    def set_passed(self, path: Path, check: str, good: bool) -> None:
        """Remember whether a check found the file good."""
        known = self._entry(path)
        if known is None or (check in known.checks) == good:
            return
        known.checks = [*known.checks, check] if good else [one for one in known.checks if one != check]
        self._changed.add(self._split(path)[0])

    def save(self) -> None:
        """Write what is new to the record; a record that cannot be written is only computed again."""
        if self.folder is None:
            return
        for folder in self._changed:
            known = {name: one for name, one in self._known[folder].items() if one.settled}
            entries = {name: [*one.stamp, one.digest, one.checks] for name, one in known.items()}
            with suppress(OSError):
                write_text(self._record(folder), json.dumps({"folder": folder, "files": entries}), durable=False)
        self._changed.clear()

    def _entry(self, path: Path) -> _Known | None:
        folder, name = self._split(path)
        known = self._of_folder(folder).get(name)
        return known if known is not None and known.stamp == _stamp(path) else None

    def _read(self, path: Path) -> _Known:
        for _ in range(3):
            now, before = time.time_ns(), _stamp(path)
            try:
                digest = sha256(path)[:32]
            except OSError as error:
                raise UserError(f"{path} cannot be read ({error.strerror})") from error
            if before is not None and _stamp(path) == before:
                break
        else:
            raise UserError(f"{path} changes while it is read: wait until it is complete")
        known = _Known(before, digest, settled=now - before[2] > _TICK)
        folder, name = self._split(path)
        self._of_folder(folder)[name] = known
        self._changed.add(folder)
        return known

    def _split(self, path: Path) -> tuple[str, str]:
        """Folder and name; strings, because there may be hundreds of thousands."""
        folder, name = os.path.split(path)
        if folder not in self._absolute:
            self._absolute[folder] = os.path.abspath(folder)  # noqa: PTH100 - links are not followed
        return self._absolute[folder], name

    def _of_folder(self, folder: str) -> dict[str, _Known]:
        if folder not in self._known:
            self._known[folder] = {} if self.folder is None else _read_record(self._record(folder))
        return self._known[folder]

    def _record(self, folder: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.json"


def in_parallel(
    work: Callable[[Argument], Returned], arguments: Sequence[Argument], what: str, least: int = 1000
) -> Iterator[Returned]:
    """The results of `work` in the order of the arguments, computed by threads.

    Args:
        work: Spends most of its time outside of Python's lock.
        arguments: Its arguments.
        what: Text of the progress bar.
        least: From how many arguments on a progress bar is shown.
    """
    pool = ThreadPoolExecutor(max(1, min(16, len(os.sched_getaffinity(0)))))
    try:
        results = pool.map(work, arguments)
        yield from track(results, what, total=len(arguments), transient=True, disable=len(arguments) < least)
    finally:
        pool.shutdown(cancel_futures=True)  # after an interrupt only the running ones are finished


def _stamp(path: Path) -> _Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _read_record(path: Path) -> dict[str, _Known]:
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {str(name): _known(values) for name, values in files.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # none, or a damaged one
        return {}


def _known(values: Any) -> _Known:
    size, modified, changed, inode, digest, checks = values
    return _Known((size, modified, changed, inode), str(digest), [str(check) for check in checks])
