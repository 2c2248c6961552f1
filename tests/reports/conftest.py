"""Synthetic runs: folders with a `result.json` as training writes it."""

import json
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

REPRESENTATIONS = ("rnc", "simclr", "dino", "supcon", "supremix")
OWN_HEADS = ("l2cs_net", "lde", "balanced_mse")


def write_run(root: Path, dataset: str, name: str, seed: int, mae: float | None = 5.0, /, **changes: Any) -> Path:
    """Write a run of the row `name` (such as mse, rnc_mse, lde, simclr_l1) and return the path of its `result.json`.

    `options` adds overrides; `added` is the value of `with`; any `status` other than finished omits what only finished
    runs have.
    """
    options: dict[str, str] = changes.pop("options", {})
    added: list[str] = changes.pop("added", [])
    representation = next((one for one in REPRESENTATIONS if name.startswith(f"{one}_")), None)
    alone = representation is None
    head = name.removeprefix(f"{representation}_")
    method = changes.pop("method", representation or (head if head in OWN_HEADS else "l1"))
    scheme = changes.pop("scheme", "end_to_end" if alone else "linear_probe")
    overrides = dict(sorted({"head": head, "scheme": scheme, "seed": str(seed), **options}.items()))
    identity = (dataset, name, scheme, sorted(options.items()), *added)
    result: dict[str, Any] = {
        "experiment": f"{dataset}_{'_'.join(added) or method}",
        "overrides": overrides,
        "dataset": dataset,
        "method": method,
        "scheme": scheme,
        "head": head,
        "seed": seed,
        "with": added,
        "setting": f"{zlib.crc32(repr(identity).encode()):08x}00000000",
        "status": "finished",
    }
    if changes.get("status", "finished") == "finished":
        encoder = {} if alone else {"pretrain": {"epochs": 1, "encoder": f"encoder{seed}", "reused": head != "l1"}}
        result |= {
            "units": ["years"],
            "test": {"mae": mae, "rmse": 6.0, "r2": None if mae is None else 1 - mae / 20},
            "constant": {"mae": 12.5, "r2": -0.001},
            "stages": {**encoder, "regress": {"epochs": 1}},
            "data_fingerprint": "d50b9760dc04a343",
            "code": "c0ffee0000000000",
            "git_revision": "e932ab3fcccd",
            "machine": {"processor": "synthetic", "threads": 1},
        }
    result |= changes
    folder = changes.pop("folder", None) or ",".join(f"{key}={value}" for key, value in overrides.items())
    directory = root / result["experiment"] / folder
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "result.json"
    path.write_text(json.dumps({key: value for key, value in result.items() if key != "folder"}), encoding="utf-8")
    return path


def write_png(path: Path, shade: int = 200) -> None:
    """A grey picture of 2 x 2 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    pixels = zlib.compress(bytes([0, shade, shade] * 2))
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """An empty folder for runs."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def write(runs: Path) -> Callable[..., Path]:
    """Writes runs into the folder `runs`."""
    return partial(write_run, runs)


@pytest.fixture
def png() -> Callable[..., None]:
    """Writes small pictures."""
    return write_png
