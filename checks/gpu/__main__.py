"""All sections, one after the other: `checks/gpu.sh [OUT] [--seconds 450] [--only loss,step]`."""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gpu.machine import MACHINE, has_gpu
from gpu.report import exit_code, page
from gpu.running import FAILED, OUT_OF_TIME, RUNNING, SKIPPED, end, last_lines, run_limited
from gpu.setting import read_json, write_json

SECONDS = 450.0  # of the 480 that there are: starting Python and ending what runs take some
_CLOSING = 5.0  # seconds to end a section and write
_PATIENCE = 4.0  # times as long for a rehearsal, perhaps on two busy cores


@dataclass(frozen=True)
class Section:
    """A module of this package and the time that it gets: at most, and what it needs to be worth a start."""

    module: str
    title: str
    most: float
    least: float


SECTIONS = (
    Section("machine", "The machine", 120, 5),
    Section("marked_tests", "(a) The tests marked `gpu`", 90, 15),
    Section("loss", "(b) The RnC loss", 60, 10),
    Section("step", "(c) A training step", 60, 15),
    Section("loader", "(d) The loader before the step", 80, 20),
    Section("faces", "(e) `+experiment=agedb_rnc` on synthetic faces", 100, 30),
    Section("digits", "(e) `+experiment=digits_rnc`: GPU, CPU, two processes on one GPU", 80, 25),
    Section("resume", "(f) A run that is killed and goes on", 80, 30),
    Section("compiled", "(c) The training step, compiled", 90, 25),
)


class Check:
    """What was found so far, and the files that hold it.

    Args:
        out: The folder for the report.
        folder: Where everything else goes.
        seconds: For all sections together.
    """

    def __init__(self, out: Path, folder: Path, seconds: float) -> None:
        self.out, self.folder = out, folder
        self.log = out / "gpu.log"
        self.log.write_bytes(b"")
        self.began, self.seconds, self.patience = time.monotonic(), seconds, 1.0
        self.sections: dict[str, dict[str, Any]] = {}

    def run(self, section: Section) -> None:
        """Give a section its time, keep what it finds, and report."""
        began = time.monotonic()
        limit = min(section.most * self.patience, self.began + self.seconds - began - _CLOSING)
        notes = self.folder / f"{section.module}.json"
        found = {"title": section.title, "state": RUNNING, "seconds": 0.0, "last_lines": []}
        self.sections[section.module] = found
        if limit < section.least:
            found["state"] = SKIPPED
            self.write(section.module)
            return
        print(f"{section.title} ...", flush=True)
        with self.log.open("ab") as log:
            log.write(f"\n==== {section.module}\n".encode())
            start = log.tell()
        arguments = (section.module, str(notes), str(self.folder), f"{began + limit:.1f}")
        command = [sys.executable, "-u", "-m", "gpu.section", *arguments]
        try:
            found["state"] = run_limited(command, limit, self.log, lambda: self.write(section.module))
        finally:
            found["seconds"] = time.monotonic() - began
            if found["state"] in (FAILED, OUT_OF_TIME):
                found["last_lines"] = last_lines(self.log, offset=start)
            self.write(section.module)
        print(f"    {found['state']}, {found['seconds']:.0f} s", flush=True)

    def write(self, module: str) -> None:
        """Take up what a section has noted, and write the report anew."""
        empty: dict[str, Any] = {"tables": {}, "failures": [], "remarks": []}
        self.sections[module].update(read_json(self.folder / f"{module}.json") or empty)
        findings = {
            "on_gpu": self.on_gpu(),
            "date": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
            "seconds": time.monotonic() - self.began,
            "sections": self.sections,
        }
        write_json(self.out / "gpu.json", findings)
        (self.out / "gpu.md").write_text(page(findings), encoding="utf-8")

    def on_gpu(self) -> bool:
        """Whether the machine has one, as its section found."""
        rows = self.sections.get("machine", {}).get("tables", {}).get(MACHINE, [])
        return any(row["GPU"] for row in rows) if rows else has_gpu()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="checks/gpu.sh", description=__doc__)
    parser.add_argument("out", type=Path, help="folder for gpu.md, gpu.json and gpu.log")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="for everything, on a GPU (default: %(default).0f)"
    )
    parser.add_argument("--only", help="sections, with commas; machine is always there")
    given = parser.parse_args()
    chosen = [section for section in SECTIONS if _is_chosen(section, given.only)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended then too
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpu_check_", ignore_cleanup_errors=True) as folder:
        check = Check(out, Path(folder), given.seconds)
        command = [sys.executable, "-m", "gpu.face_files", str(Path(folder) / "faces")]
        with (Path(folder) / "faces.log").open("wb") as log:  # they are drawn while the first sections run
            drawing = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            for section in chosen:
                check.run(section)
                if section is SECTIONS[0] and not check.on_gpu():
                    check.patience = _PATIENCE
                    check.seconds *= _PATIENCE
        finally:
            end(drawing)
    print((out / "gpu.md").read_text(encoding="utf-8"))
    sys.exit(exit_code(check.sections.values()))


def _is_chosen(section: Section, only: str | None) -> bool:
    return only is None or section.module in ("machine", *only.split(","))


if __name__ == "__main__":
    main()
