"""One section, in this process: `python -m gpu.section NAME NOTES FOLDER DEADLINE`."""

import faulthandler
import os
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

from gpu.setting import Notes, Setting


def main() -> None:
    """Entry point."""
    name, notes, folder, deadline = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    faulthandler.dump_traceback_later(max(1.0, float(deadline) - time.monotonic() - 1))  # where it was, if it is ended
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    import_module(f"gpu.{name}").measure(Setting(device, Path(folder), float(deadline)), Notes(Path(notes)))
    faulthandler.cancel_dump_traceback_later()


def _end_with(parent: int) -> None:
    """End this process and all that it started as soon as the check is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
