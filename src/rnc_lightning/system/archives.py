"""The size of archives, found before they are unpacked."""

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from rnc_lightning.system.errors import UserError

LIMIT_GB = 1.0  # what a small file may unpack to; larger files may become 50 times their size
_MOST_TIMES = 50
_OPTION = "RNC_UNPACK_GB"


def check_npz(path: Path, keys: Iterable[str] | None = None) -> None:
    """Check that the arrays of an .npz file are no larger than they may be, from its directory and their headers.

    Args:
        path: The file.
        keys: The arrays that will be read; None: all.

    Raises:
        ValueError: If they are larger, or a header promises more than the file holds. The variable `RNC_UNPACK_GB`
            raises the limit.
        zipfile.BadZipFile: If it is no such file.
    """
    wanted = None if keys is None else {f"{key}.npy" for key in keys} | set(keys)
    with zipfile.ZipFile(path) as archive:
        parts = [part for part in archive.infolist() if wanted is None or part.filename in wanted]
        packed, unpacked = path.stat().st_size, sum(part.file_size for part in parts)
        if unpacked > max(unpack_limit(), _MOST_TIMES * packed):
            raise ValueError(
                f"{packed / 1e6:.3g} MB that would become {unpacked / 1e9:.3g} GB: if it is your own, "
                f"{_OPTION}={unpacked / 1e9 + 0.05:.1f} allows that"
            )
        for part in parts:
            if part.filename.endswith(".npy"):
                _check_header(archive, part)


def unpack_limit() -> float:
    """The number of bytes that any archive may unpack to.

    Raises:
        UserError: If the variable that sets it is no number.
    """
    text = os.environ.get(_OPTION, "")
    try:
        limit = float(text) if text else LIMIT_GB
    except ValueError:
        limit = -1.0
    if not limit > 0:
        raise UserError(f"{_OPTION}={text}: must be a number of gigabytes above 0, such as {_OPTION}=8")
    return limit * 1e9


def _check_header(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    import numpy as np

    form = np.lib.format
    with archive.open(part) as file:
        read = form.read_array_header_1_0 if form.read_magic(file)[0] == 1 else form.read_array_header_2_0
        shape, _, dtype = read(file)
        promised = dtype.itemsize
        for length in shape:
            promised *= length
        if not dtype.hasobject and promised > part.file_size - file.tell():
            raise ValueError(f"{part.filename}: its header promises {promised:,} bytes, more than it holds")
