"""Images with more than 8 bits per channel: their values, the range that a set of them uses, conversion to 8 bits."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rnc_lightning.datasets.images.reading import MOST_PIXELS
from rnc_lightning.system.files import check_regular, write_text

_EIGHT_BIT_FORMATS = (".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".pbm")  # cannot hold more
_LEVELS = 1 << 16
_CHUNK = 256  # histograms in memory, of half a megabyte each


def bits_of(image: Image.Image) -> int:
    """Bits per channel of an opened image: 8 (or fewer), 16 or 32.

    Raises:
        ValueError: For a kind of 16 bits that would be cut to 8 without notice.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):  # PPM: up to 65535
        return 16
    if image.mode in ("I", "F"):
        return 32
    tiles: Any = getattr(image, "tile", ())
    arguments = tiles[0].args if tiles else ""
    first = arguments if isinstance(arguments, str) else next(iter(arguments or ()), "")
    if isinstance(first, str) and ";16" in first:
        if image.mode not in ("RGB", "RGBA"):
            raise ValueError(f"16 bits per channel in mode {image.mode}: save it as RGB or with 8 bits")
        return 16
    return 16 if isinstance(arguments, tuple) and arguments[1:] == (_LEVELS - 1,) else 8  # a colour PPM of 16 bits


def wide_values(image: Image.Image, path: Path) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """Values (H, W) or (H, W, 3) of an image of 16 or 32 bits, and its opacity (H, W).

    Args:
        image: The opened image.
        path: Its file, since Pillow reads several channels of 16 bits only as 8.

    Raises:
        ValueError: If they cannot be read, or some are not finite.
    """
    if image.mode not in ("RGB", "RGBA"):
        if "transparency" in image.info:
            raise ValueError("a transparent grey value in more than 8 bits: save it with 8 bits")
        values = np.asarray(image)
        if not np.isfinite(values).all():
            raise ValueError("pixels that are NaN or infinite")
        return values.astype(np.uint16) if bits_of(image) == 16 else values, None
    decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
        raise ValueError("16 bits per channel that cannot be decoded: save it with 8 bits")
    opacity = None if decoded.shape[2] < 4 else np.rint(decoded[..., 3] / 257).astype(np.uint8)
    return np.ascontiguousarray(decoded[..., 2::-1]), opacity


def to_eight_bits(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Scale values so that `low` becomes 0 and `high` 255; values beyond are cut off.

    >>> to_eight_bits(np.array([-1, 0, 2048, 4095]), 0, 4095).tolist()
    [0, 0, 128, 255]
    """
    if values.dtype == np.uint16:
        return to_eight_bits(np.arange(_LEVELS), low, high)[values]
    scaled = (values.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


@dataclass(frozen=True)
class UsedRange:
    """What a set of images holds, of which some have 16 bits per channel.

    Attributes:
        eight: Number of images of 8 bits.
        sixteen: Number of images of 16 bits.
        high: The highest value of the numbers of 8, 9, ... or 16 bits that hold every value.
        low_used: 0.1 percent of all values are below it.
        high_used: 0.1 percent of all values are above it.
    """

    eight: int
    sixteen: int
    high: int
    low_used: int
    high_used: int

    @property
    def few_levels(self) -> bool:
        """Whether nearly all values lie in less than a quarter of the range, so that few grey levels remain."""
        return 4 * (self.high_used - self.low_used) < self.high


def find_used_range(paths: Sequence[Path], cache_dir: Path | None = None) -> UsedRange | None:
    """The range that images of 16 bits use; None if there are none. Files that cannot be read are not counted.

    Args:
        paths: The images.
        cache_dir: Folder of the record, so that unchanged files are not read again; None keeps no record.
    """
    candidates = sorted({path for path in paths if path.suffix.lower() not in _EIGHT_BIT_FORMATS})
    if not candidates:
        return None
    record = None if cache_dir is None else cache_dir / "checked" / f"range-{_state(candidates)}.json"
    if record is not None and record.is_file():
        with suppress(ValueError, TypeError, OSError):
            known = json.loads(record.read_text(encoding="utf-8"))
            return None if known is None else UsedRange(**known)
    total, sixteen, unreadable = np.zeros(_LEVELS, np.int64), 0, 0
    with ThreadPoolExecutor(max(1, min(16, len(os.sched_getaffinity(0))))) as pool:
        for start in range(0, len(candidates), _CHUNK):
            for found in pool.map(_histogram, candidates[start : start + _CHUNK]):
                unreadable += found is None
                if found is not None and found.size:
                    sixteen, total = sixteen + 1, total + found
    used = None
    if sixteen:
        low, high = (int(np.searchsorted(np.cumsum(total), share * total.sum())) for share in (0.001, 0.999))
        bits = max(8, int(np.flatnonzero(total)[-1]).bit_length())
        used = UsedRange(len(set(paths)) - sixteen - unreadable, sixteen, (1 << bits) - 1, low, high)
    if record is not None and not unreadable:
        with suppress(OSError):  # without a record the files are only read again next time
            write_text(record, json.dumps(None if used is None else asdict(used)))
    return used


def _histogram(path: Path) -> NDArray[np.int64] | None:
    """How often each value occurs in an image of 16 bits (65536,); empty for other images, None if unreadable."""
    try:
        check_regular(path)
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            if bits_of(image) != 16:
                return np.zeros(0, np.int64)
            return np.bincount(wide_values(image, path)[0].ravel(), minlength=_LEVELS)
    except Exception:  # the check of the files says what is wrong with it
        return None


def _state(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        stamp = ""
        with suppress(OSError):
            found = path.stat()
            stamp = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
        digest.update(f"{path.absolute()}\0{stamp}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
