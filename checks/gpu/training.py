"""Runs of the suite, each in a process of its own, as a user starts them."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

QUIET = (
    "print_config=false", "trainer.enable_progress_bar=false", "callbacks.model_summary=null", "paths.encoder_dir=null",
)  # fmt: skip
TINY_DIGITS = ("data.digits=[3]", "data.size=16", "data.eval_angles=1", "encoder.width=4", "encoder.stages=2")


class RunFailedError(Exception):
    """A run did not end well; the message says how, with its last lines."""


class Run:
    """One training.

    Args:
        place: Its directory; what it prints goes into a file beside it.
        options: The command's options.
        environment: Variables beside this process' own.
    """

    def __init__(self, place: Path, *options: str, **environment: str) -> None:
        self.place = place
        self.log = place.with_name(f"{place.name}.log")
        command = [sys.executable, "-m", "rnc_lightning.train", *options, *QUIET, f"paths.run_dir={place}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=place.parent, env={**os.environ, **environment}
            )
        self.began = time.monotonic()

    def result(self, seconds: float) -> dict[str, Any]:
        """What it ended with, and `wall`, the seconds of all of it.

        Raises:
            RunFailedError: Where it did not end well within so many seconds.
        """
        try:
            code = self.process.wait(timeout=max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RunFailedError(f"ended after {time.monotonic() - self.began:.0f} s; {self._said()}") from None
        if code:
            raise RunFailedError(f"exit code {code}; {self._said()}")
        found: dict[str, Any] = json.loads((self.place / "result.json").read_text(encoding="utf-8"))
        return {**found, "wall": time.monotonic() - self.began}

    def history(self, stage: str) -> pd.DataFrame:
        """A stage's metrics, a row an epoch."""
        return pd.read_csv(self.place / "stages" / stage / "metrics.csv")

    def _said(self) -> str:
        """The end of what it printed; of several processes, of each."""
        logs = [self.log, *sorted((self.place / "processes").glob("rank_*.log"))]
        said = []
        for log in logs:
            with suppress(OSError):
                said.append(" ".join(log.read_text(encoding="utf-8", errors="replace").split())[-600:])
        return " // ".join(said)
