"""Data sets on disk.

python -m rnc_lightning.data verify NAME [key=value ...]       what is there, what is wrong, what the paper used
python -m rnc_lightning.data synthesize NAME out=DIR           a small synthetic data set in the official layout
"""

import json
import sys
from typing import Any

from rnc_lightning.command_line.options import run_subcommands


def _verify(options: dict[str, Any], of_training: list[str]) -> None:
    from rich.console import Console

    from rnc_lightning.command_line.compose import compose_config
    from rnc_lightning.datasets.inspection import as_json, print_inspection
    from rnc_lightning.runs.parts import Parts
    from rnc_lightning.system.files import write_text

    name, file = options["data_set"], options["json"]
    found = Parts(compose_config([f"data={name}", *of_training])).inspection()
    print_inspection(name, found, Console())
    if file is not None:
        write_text(file, json.dumps(as_json(found), indent=1))
    if len(found.problems) or found.refusal is not None:
        sys.exit(1)


def _synthesize(options: dict[str, Any], _: list[str]) -> None:
    from rnc_lightning.synthetic import synthetic_data_sets, write_synthetic

    name, out = options.pop("data_set"), options.pop("out")
    write_synthetic(name, out, **options)
    print(f"{out}: synthetic data, {synthetic_data_sets(out)[name]}")
    print(f"next: python -m rnc_lightning.data verify {name} paths.data_dir={out}")


def main() -> None:
    """Entry point."""
    run_subcommands("data", "Data sets on disk.", {"verify": _verify, "synthesize": _synthesize})


if __name__ == "__main__":
    main()
