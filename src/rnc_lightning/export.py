"""Export what a finished run has learnt: `python -m rnc_lightning.export RUN [out=DIR] [onnx=true]`.

In a program, `rnc_lightning.finished_runs.export.export_run` does the same.
"""

import logging
from typing import Any

from rnc_lightning.command_line.messages import show_log
from rnc_lightning.command_line.options import run_command


def _work(options: dict[str, Any], _: list[str]) -> None:
    from rnc_lightning.finished_runs.export import export_run

    run, out, trust = (options.pop(key) for key in ("run", "out", "trust"))
    place = export_run(run, out, trust=trust or (), **options)
    for path in sorted(place.iterdir()):
        print(f"{path.stat().st_size:12,} bytes  {path.name}")
    print(f"export: {place}")


def main() -> None:
    """Entry point."""
    show_log(logging.INFO)
    run_command("export", _work)


if __name__ == "__main__":
    main()
