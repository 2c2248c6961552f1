"""A cache of decoded images: the pixels of all images in one memory-mapped file.

<key>-<state>.pixels   the pixels of all images one after another, each (H, W, 3) uint8
<key>-<state>.rows     during the build: which images are written, with a checksum of each
<key>-<state>.npz      the index: start and shape of each image; written last, so it marks a complete cache
<key>.lock             held by the process that builds

The key is a hash of the paths, the side and how files are read, the state a hash of the content of every file.
"""

import errno
import hashlib
import itertools
import logging
import os
import shutil
import struct
import zipfile
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
from rnc_lightning.datasets.images.files import ImageFiles, orientation_of
from rnc_lightning.datasets.reading.content import FileContents
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_atomically
from rnc_lightning.system.locks import wait_for_lock

log = logging.getLogger(__name__)

_ROW = struct.Struct("<QIII")  # image, height, width, checksum
_REMEDY = "free some disk space, use another disk (data.cache_dir), set a smaller data.cache_side or data.cache=false"
_CHUNK = 1024  # images handed to the threads at a time


class CachedImages:
    """Decoded images (H, W, 3) uint8, read from a file that is memory-mapped at the first access.

    Args:
        paths: The image files, for messages.
        pixels: The file of pixels.
        offsets: (N,) or more, the start of each image in bytes.
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
        """Some of the images, in this order."""
        rows = np.array(indices, dtype=np.int64)
        return CachedImages([self.paths[i] for i in indices], self._file, self._offsets[rows], self._shapes[rows])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_pixels"}  # a process maps its own

    @cached_property
    def _pixels(self) -> Pixels:
        return np.asarray(np.memmap(self._file, np.uint8, "r"))


def cached_images(
    files: ImageFiles,
    directory: Path,
    side: int | None = None,
    workers: int | None = None,
    contents: FileContents | None = None,
) -> CachedImages:
    """Decode images once; afterwards read their pixels from a memory-mapped file.

    A killed build is continued by the next one. Another process that needs the same cache waits for the first.

    Args:
        files: The images.
        directory: Folder of the cache; it may contain the caches of several sets of images.
        side: Images with a longer shorter side are scaled down to it; None keeps every pixel.
        workers: Threads that decode; None: one per core.
        contents: Hashes of the files; None: computed here.

    Raises:
        UserError: If an image cannot be read or changes during the build, or there is too little disk space.
        ValueError: For a side or a number of workers below 1.
    """
    for name, value in (("side", side), ("workers", workers)):
        if value is not None:
            check_whole_number(name, value, 1)
    contents = contents or FileContents()
    build = _Build(files, directory, side, contents, _key(files, side), _state(files.paths, contents))
    if (cache := build.load()) is not None:
        return cache
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder of the image cache, {directory}, cannot be created ({error.strerror})") from error
    with wait_for_lock(directory / f"{build.key}.lock", f"builds the image cache in {directory}"):
        if (cache := build.load()) is None:
            build.delete_outdated()
            build.run(workers or os.cpu_count() or 1)
            cache = build.load()
    if cache is None:
        raise UserError("another program changed the image cache while it was built: start again")
    return cache


class _Row(NamedTuple):
    """A written image."""

    image: int
    height: int
    width: int
    checksum: int


@dataclass(frozen=True)
class _Build:
    """The build of one cache."""

    files: ImageFiles
    directory: Path
    side: int | None
    contents: FileContents
    key: str
    state: str

    def path(self, suffix: str) -> Path:
        return self.directory / f"{self.key}-{self.state}{suffix}"

    def load(self) -> CachedImages | None:
        """The cache, if it is complete and up to date."""
        if not self.path(".npz").is_file():
            return None
        try:
            with np.load(self.path(".npz")) as index:
                offsets, shapes = index["offsets"], index["shapes"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # damaged: it is built again
            return None
        pixels = self.path(".pixels")
        if not pixels.is_file() or pixels.stat().st_size != offsets[-1]:
            return None
        return CachedImages(self.files.paths, pixels, offsets, shapes)

    def delete_outdated(self) -> None:
        """Delete caches of the same files in an earlier state, and an index without its pixels."""
        outdated = [p for p in self.directory.glob(f"{self.key}-*") if not p.name.startswith(self.path("").name)]
        if any(path.suffix == ".npz" for path in outdated):
            log.info("image files changed since the cache in %s was built: it is built again", self.directory)
        for path in [*outdated, self.path(".npz")]:
            path.unlink(missing_ok=True)

    def run(self, workers: int) -> None:
        """Decode the missing images and write the index."""
        pool = ThreadPoolExecutor(workers)
        try:
            sizes = np.array(list(pool.map(self._size, range(len(self.files)))), np.int64).reshape(-1, 2)
            offsets = np.concatenate([[0], np.cumsum(3 * sizes.prod(axis=1))])
            shapes = sizes[:, ::-1].copy()
            with _open_or_create(self.path(".pixels")) as pixels, _open_or_create(self.path(".rows")) as rows:
                done = [row for row in _read_rows(rows) if row.image < len(sizes)]
                intact = list(pool.map(lambda row: _is_intact(pixels, row, offsets), done))
                done = list(itertools.compress(done, intact))
                for row in done:
                    shapes[row.image] = row.height, row.width
                missing = sorted(set(range(len(sizes))) - {row.image for row in done})
                self._check_disk_space(int((3 * sizes[missing].prod(axis=1)).sum()))
                pixels.truncate(int(offsets[-1]))
                for row in self._write(pool, missing, pixels, offsets):
                    shapes[row.image] = row.height, row.width
                    rows.write(_ROW.pack(*row))
                    rows.flush()
                os.fsync(pixels.fileno())
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise UserError(f"the disk of the image cache in {self.directory} is full: {_REMEDY}") from error
        finally:
            pool.shutdown(cancel_futures=True)
        if _state(self.files.paths, self.contents) != self.state:
            raise UserError(f"image files changed while their cache in {self.directory} was built: start again")
        write_atomically(self.path(".npz"), lambda path: np.savez(path, offsets=offsets, shapes=shapes))
        self.path(".rows").unlink()

    def _size(self, index: int) -> tuple[int, int]:
        """Width and height of the cached image, from the file's header."""
        try:
            with Image.open(self.files.paths[index]) as image:
                turned = orientation_of(image, self.files.reading) != 1
                return _scaled(self.files[index].size if turned else image.size, self.side)
        except (OSError, SyntaxError, EOFError, Image.DecompressionBombError):
            return _scaled(self.files[index].size, self.side)  # raises the right error if it cannot be read

    def _check_disk_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.directory).free
        if needed > free:
            raise UserError(
                f"the image cache in {self.directory} needs {needed:,} bytes, but only {free:,} are free: {_REMEDY}"
            )

    def _write(
        self, pool: ThreadPoolExecutor, indices: Sequence[int], pixels: BinaryIO, offsets: NDArray[np.int64]
    ) -> Iterator[_Row]:
        """Decode and write images; yields each one after its pixels are in the file."""

        def write(index: int) -> _Row:
            image = self.files[index]
            if (size := _scaled(image.size, self.side)) != image.size:
                image = image.resize(size, Image.Resampling.BILINEAR)
            width, height = image.size
            content = image.tobytes()
            if len(content) != offsets[index + 1] - offsets[index]:
                raise UserError(f"{self.files.paths[index]} does not have the size given in its header: replace it")
            _write_at(pixels, content, int(offsets[index]))
            return _Row(index, height, width, zlib.crc32(content))

        with Progress(transient=True) as progress:
            task = progress.add_task("decoding images", total=len(indices))
            for start in range(0, len(indices), _CHUNK):
                for row in pool.map(write, indices[start : start + _CHUNK]):
                    yield row
                    progress.advance(task)


def _key(files: ImageFiles, side: int | None) -> str:
    return _digest([str(side), files.reading.key, *(str(path.absolute()) for path in files.paths)])


def _state(paths: Sequence[Path], contents: FileContents) -> str:
    known = contents.digests(paths, "images")
    return _digest([known[path] for path in paths])


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def _scaled(size: tuple[int, int], side: int | None) -> tuple[int, int]:
    shorter = min(size)
    if side is None or shorter <= side:
        return size
    width, height = (max(side, round(length * side / shorter)) for length in size)
    return width, height


def _open_or_create(path: Path) -> BinaryIO:
    """Open a file for reading and writing, keeping its content; create it if missing."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")


def _read_rows(file: BinaryIO) -> list[_Row]:
    """The rows of an earlier build; an incomplete last row is cut off, so that more rows can be appended."""
    content = file.read()
    complete = len(content) - len(content) % _ROW.size
    file.seek(complete)
    file.truncate()
    return [_Row(*values) for values in _ROW.iter_unpack(content[:complete])]


def _is_intact(pixels: BinaryIO, row: _Row, offsets: NDArray[np.int64]) -> bool:
    start, end = offsets[row.image : row.image + 2].tolist()
    if end - start != 3 * row.height * row.width:
        return False
    return zlib.crc32(os.pread(pixels.fileno(), end - start, start)) == row.checksum


def _write_at(file: BinaryIO, content: bytes, start: int) -> None:
    while content:  # one call writes at most 2 GB, and less if the disk is full
        written = os.pwrite(file.fileno(), content, start)
        content, start = content[written:], start + written
