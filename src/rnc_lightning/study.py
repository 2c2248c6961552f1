"""A study of the paper: `python -m rnc_lightning.study robustness data=agedb`.

Trains what is missing, reuses what is there, measures, and writes table and figure beside the published numbers.
Words are those of the training command, for all runs; `study.sizes=[100,200]` and its like change the study itself
(its settings: conf/study/). The same command goes on where it was stopped.
"""

import argparse
import logging
import os
from pathlib import Path
from typing import Any

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.command_line.messages import run_plain
from rnc_lightning.studies.study import study


def main() -> None:
    """Entry point."""
    arguments = _parser().parse_intermixed_args()  # options may stand between words
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if arguments.name not in studies():
        raise SystemExit(f"error: there is no study {arguments.name!r}; there are {', '.join(studies())}")
    settings: dict[str, Any] = {key: getattr(arguments, key) for key in ("seeds", "slots", "runs", "out")}
    well = True

    def go() -> None:
        nonlocal well
        well = study(arguments.name, arguments.words, **settings)

    run_plain(go)
    raise SystemExit(0 if well else 1)


def studies() -> list[str]:
    """Names of the studies there are."""
    return sorted(path.stem for path in (config_directory() / "study").glob("*.yaml"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rnc_lightning.study",
        description=__doc__,
        epilog=f"studies: {', '.join(studies())}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="which study")
    parser.add_argument("words", nargs="*", help="data=..., and words of the training command for all runs")
    parser.add_argument("--seeds", type=int, help="number of seeds, from 0 up (default: as many as the study says)")
    parser.add_argument("--slots", type=int, default=1, help="runs at once (default: 1)")
    folder = Path(os.environ.get("RNC_RUNS", "runs")) / "studies"
    parser.add_argument("--runs", type=Path, default=folder, help=f"folder of the runs (default: {folder})")
    parser.add_argument("--out", type=Path, help="where results are written (default: <runs>/<study>_<data>)")
    return parser


if __name__ == "__main__":
    main()
