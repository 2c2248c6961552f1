"""Images decoded once, kept as bytes in one file that is mapped into memory.

<key>-<state>.pixels   the pixels of all images one after another, each (H, W, 3) uint8
<key>-<state>.rows     while it is built: which images are written, with a checksum of each
<key>-<state>.npz      the index: where each image begins and its shape; written last, so it marks a whole cache
<key>.lock             held by the process that builds

The key stands for the paths and the side, the state for size and time of every file: a changed file has another state.
"""

import errno
import hashlib
import itertools
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import Progress

from rnc_lightning.datasets.images.crop import Pixels
from rnc_lightning.datasets.images.files import ImageFiles
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_atomically
from rnc_lightning.system.locks import wait_for_lock

log = logging.getLogger(__name__)

_ROW = struct.Struct("<QIII")  # image, height, width, checksum
_REMEDY = "needs room on its disk, or another disk, or a smaller side, or to be switched off"
_AT_ONCE = 1024  # images handed to the threads in one go


class CachedImages:
    """Decoded images (H, W, 3) uint8, read from a file that is mapped into memory when first asked for one.

    Args:
        paths: The image files, for messages.
        pixels: The file of pixels.
        offsets: (N,) or more, where each image begins.
        shapes: (N, 2), height and width of each.
    """

    def __init__(self, paths: Sequence[Path], pixels: Path, offsets: NDArray[np.int64], shapes: NDArray[np.int64]):
        self.paths = list(paths)
        self._file = pixels
        self._offsets = offsets
        self._shapes = shapes

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Pixels:
        height, width = self._shapes[index].tolist()
        start = int(self._offsets[index])
        return self._pixels[start : start + 3 * height * width].reshape(height, width, 3)

    def take(self, indices: Sequence[int]) -> "CachedImages":
        """Some of the images, in the order given."""
        rows = np.array(indices, dtype=np.int64)
        return CachedImages([self.paths[i] for i in indices], self._file, self._offsets[rows], self._shapes[rows])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_pixels"}  # a process maps its own

    @cached_property
    def _pixels(self) -> Pixels:
        return np.asarray(np.memmap(self._file, np.uint8, "r"))


def cached_images(
    files: ImageFiles, directory: Path, side: int | None = None, workers: int | None = None
) -> CachedImages:
    """Decode images once; from then on read their pixels from memory-mapped bytes.

    A build that was killed goes on where it was. Another process that asks for the same cache waits for the first.

    Args:
        files: The images.
        directory: Where the cache is kept; the same place may hold the caches of several sets of images.
        side: Images whose shorter side is longer are scaled down to it; None keeps every pixel.
        workers: Threads that decode; None: one a core.

    Raises:
        UserError: If an image cannot be read, changes meanwhile, or the disk has too little room.
        ValueError: For a side or a number of workers below 1.
    """
    for name, value in (("side", side), ("workers", workers)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1 or null, got {value}")
    build = _Build(files, directory, side, _key(files.paths, side), _state(files.paths))
    if (cache := build.finished()) is not None:
        return cache
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the image cache {directory} cannot be made ({error.strerror})") from error
    with wait_for_lock(directory / f"{build.key}.lock", f"builds the image cache in {directory}"):
        if (cache := build.finished()) is not None:
            return cache
        build.delete_previous()
        build.run(workers or os.cpu_count() or 1)
        return _present(build.finished())


class _Row(NamedTuple):
    """An image that is written."""

    image: int
    height: int
    width: int
    checksum: int


@dataclass(frozen=True)
class _Build:
    """One cache on its way: its files, and what is in them so far."""

    files: ImageFiles
    directory: Path
    side: int | None
    key: str
    state: str

    def path(self, suffix: str) -> Path:
        return self.directory / f"{self.key}-{self.state}{suffix}"

    def finished(self) -> CachedImages | None:
        """The cache, where it is whole and of the files as they are now."""
        if not self.path(".npz").is_file():
            return None
        with np.load(self.path(".npz")) as index:
            offsets, shapes = index["offsets"], index["shapes"]
        pixels = self.path(".pixels")
        if not pixels.is_file() or pixels.stat().st_size != offsets[-1]:
            return None
        return CachedImages(self.files.paths, pixels, offsets, shapes)

    def delete_previous(self) -> None:
        """Delete caches of the same files in a former state, and an index without its pixels."""
        former = [path for path in self.directory.glob(f"{self.key}-*") if not path.name.startswith(self.path("").name)]
        if any(path.suffix == ".npz" for path in former):
            log.info("image files changed since the cache in %s was built: it is built again", self.directory)
        for path in [*former, self.path(".npz")]:
            path.unlink(missing_ok=True)

    def run(self, workers: int) -> None:
        """Decode what is not yet there and write the index."""
        pool = ThreadPoolExecutor(workers)
        try:
            sizes = np.array(list(pool.map(self._size, range(len(self.files)))), np.int64).reshape(-1, 2)
            offsets = np.concatenate([[0], np.cumsum(3 * sizes.prod(axis=1))])
            shapes = sizes[:, ::-1].copy()
            with _opened(self.path(".pixels")) as pixels, _opened(self.path(".rows")) as rows:
                done = [row for row in _rows(rows) if row.image < len(sizes)]
                whole = pool.map(lambda row: _is_whole(pixels, row, offsets), done)
                done = [row for row, is_whole in zip(done, whole, strict=True) if is_whole]
                for row in done:
                    shapes[row.image] = row.height, row.width
                missing = sorted(set(range(len(sizes))) - {row.image for row in done})
                self._check_room(int((3 * sizes[missing].prod(axis=1)).sum()))
                pixels.truncate(int(offsets[-1]))
                for row in self._written(pool, missing, pixels, offsets):
                    shapes[row.image] = row.height, row.width
                    rows.write(_ROW.pack(*row))
                    rows.flush()
                os.fsync(pixels.fileno())
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise UserError(f"the disk is full: the image cache in {self.directory} {_REMEDY}") from error
        finally:
            pool.shutdown(cancel_futures=True)
        if _state(self.files.paths) != self.state:
            raise UserError(f"image files changed while the cache in {self.directory} was built: start again")
        write_atomically(self.path(".npz"), lambda path: np.savez(path, offsets=offsets, shapes=shapes))
        self.path(".rows").unlink()

    def _size(self, index: int) -> tuple[int, int]:
        """Width and height that an image will have, from its header."""
        try:
            with Image.open(self.files.paths[index]) as image:
                return _scaled(image.size, self.side)
        except (OSError, SyntaxError, EOFError, Image.DecompressionBombError):
            return _scaled(self.files[index].size, self.side)  # says what is wrong, in its own words

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.directory).free
        if needed > free:
            raise UserError(
                f"the image cache in {self.directory} needs {needed:,} bytes, of which {free:,} are free; it {_REMEDY}"
            )

    def _written(
        self, pool: ThreadPoolExecutor, indices: Sequence[int], pixels: BinaryIO, offsets: NDArray[np.int64]
    ) -> Iterator[_Row]:
        """Decode and write images; yields each after its pixels are in the file."""

        def write(index: int) -> _Row:
            image = self.files[index]
            if (size := _scaled(image.size, self.side)) != image.size:
                image = image.resize(size, Image.Resampling.BILINEAR)
            width, height = image.size
            content = image.tobytes()
            if len(content) != offsets[index + 1] - offsets[index]:
                raise UserError(f"{self.files.paths[index]} does not have the size that its header says: replace it")
            _write_at(pixels, content, int(offsets[index]))
            return _Row(index, height, width, zlib.crc32(content))

        left = iter(indices)
        with Progress(transient=True) as progress:
            task = progress.add_task("decoding images", total=len(indices))
            while part := list(itertools.islice(left, _AT_ONCE)):
                for row in pool.map(write, part):
                    yield row
                    progress.advance(task)


def _key(paths: Sequence[Path], side: int | None) -> str:
    return _digest([str(side), *(str(path.absolute()) for path in paths)])


def _state(paths: Sequence[Path]) -> str:
    try:
        stats = [path.stat() for path in paths]
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}): put the image there") from error
    return _digest([f"{stat.st_size} {stat.st_mtime_ns}" for stat in stats])


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def _scaled(size: tuple[int, int], side: int | None) -> tuple[int, int]:
    shorter = min(size)
    if side is None or shorter <= side:
        return size
    width, height = (max(side, round(length * side / shorter)) for length in size)
    return width, height


def _opened(path: Path) -> BinaryIO:
    """A file to read and write, made where it is missing, with what it holds left in it."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")


def _rows(file: BinaryIO) -> Iterator[_Row]:
    """The rows of a former build; the file is cut after the last that is whole, so that others can follow."""
    content = file.read()
    whole = len(content) - len(content) % _ROW.size
    file.seek(whole)
    file.truncate()
    for values in _ROW.iter_unpack(content[:whole]):
        yield _Row(*values)


def _is_whole(pixels: BinaryIO, row: _Row, offsets: NDArray[np.int64]) -> bool:
    start, end = offsets[row.image : row.image + 2].tolist()
    if end - start != 3 * row.height * row.width:
        return False
    return zlib.crc32(os.pread(pixels.fileno(), end - start, start)) == row.checksum


def _write_at(file: BinaryIO, content: bytes, start: int) -> None:
    while content:  # one call writes at most 2 GB, and less where the disk is full
        written = os.pwrite(file.fileno(), content, start)
        content, start = content[written:], start + written


def _present(cache: CachedImages | None) -> CachedImages:
    if cache is None:
        raise UserError("the image cache was changed by someone else while it was built: start again")
    return cache
