"""Data sets on disk.

python -m rnc_lightning.data verify NAME [key=value ...]    what is there, what is wrong, what the paper used
python -m rnc_lightning.data imitate NAME --out DIR         a small synthetic data set in the official layout
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from rnc_lightning.command_line.compose import composed, config_directory
from rnc_lightning.command_line.messages import run_plain
from rnc_lightning.runs.parts import Parts
from rnc_lightning.system.files import write_text


def main() -> None:
    """Entry point."""
    run_plain(_main, resumes=False)


def _main() -> None:
    arguments = _parser().parse_args()
    sys.exit(arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    names = sorted(path.stem for path in (config_directory() / "data").glob("*.yaml"))
    parser = argparse.ArgumentParser(prog="python -m rnc_lightning.data", description="Data sets on disk.")
    commands = parser.add_subparsers(required=True, metavar="verify | imitate")
    verify = commands.add_parser(
        "verify",
        help="count and check what is on disk",
        description="Read a data set as training would, open every file, and list what is wrong: missing, unreadable "
        "and repeated files, bad labels; counts and labels of each split beside the paper's; a fingerprint. "
        "Exit code 1 where samples cannot be used.",
        epilog="examples:\n  verify agedb paths.data_dir=/data\n"
        "  verify table data.csv=my.csv data.input=path 'data.target=[age]'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.add_argument("name", help=f"a choice of the group data: {', '.join(names)}")
    verify.add_argument("overrides", nargs="*", help="configuration values, as for training: data.root=...")
    verify.add_argument("--json", type=Path, metavar="FILE", help="also write all that was found to a file")
    verify.set_defaults(run=_verify)
    _add_imitate(commands)
    return parser


def _add_imitate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from rnc_lightning.synthetic import MARKER, WRITERS

    imitate = commands.add_parser(
        "imitate",
        help="write a small synthetic data set in the official layout",
        description="Write synthetic data where the real ones would lie, to try an experiment without them. "
        f"A file {MARKER} marks them, and every run on them says that its data are made.",
        epilog="then:\n  RNC_DATA=DIR python -m rnc_lightning.data verify NAME\n"
        "  RNC_DATA=DIR python -m rnc_lightning.train +experiment=NAME_rnc recipe=small",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    imitate.add_argument("name", help=", ".join(WRITERS), metavar="NAME")
    imitate.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for synthetic data only")
    imitate.add_argument("--samples", type=int, metavar="N", help="labelled samples")
    imitate.add_argument("--size", type=int, metavar="PIXELS", help="side of the pictures")
    imitate.add_argument("--seconds", type=float, metavar="S", help="length of a recording (tuab)")
    imitate.add_argument(
        "--layout", help="v3 or v2 (tuab); gazehub, raw or hdf5 (mpiifacegaze); images or zip (skyfinder)"
    )
    imitate.add_argument("--seed", type=int, default=0, help="the same seed gives the same files (default: 0)")
    imitate.add_argument("--no-traps", action="store_true", help="without the official data's irregularities")
    imitate.add_argument("--overwrite", action="store_true", help="in place of the one made before")
    imitate.set_defaults(run=_imitate)


def _imitate(arguments: argparse.Namespace) -> int:
    from rnc_lightning.synthetic import synthetic_data_sets, write_synthetic

    options = ("samples", "size", "seed", "seconds", "layout", "overwrite")
    given = {name: getattr(arguments, name) for name in options}
    write_synthetic(arguments.name, arguments.out, traps=not arguments.no_traps, **given)
    console = Console()
    console.print(
        f"{arguments.out}: synthetic data, {synthetic_data_sets(arguments.out)[arguments.name]}", soft_wrap=True
    )
    console.print(f"next: python -m rnc_lightning.data verify {arguments.name} paths.data_dir={arguments.out}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from rnc_lightning.datasets.inspection import as_json, print_inspection

    found = Parts(composed([f"data={arguments.name}", *arguments.overrides])).inspection()
    print_inspection(arguments.name, found, Console())
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(as_json(found), indent=1))
    return 1 if len(found.problems) or found.refusal is not None else 0


if __name__ == "__main__":
    main()
