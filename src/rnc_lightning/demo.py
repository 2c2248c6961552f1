"""L1 against Rank-N-Contrast on rotated digits, from one command: `python -m rnc_lightning.demo` (or `make demo`).

Trains `digits_l1` and `digits_rnc` with their default settings and seed 0, or reuses those runs, and prints one table.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnc_lightning.command_line.compose import compose_config, resolve_config
from rnc_lightning.command_line.identity import run_path
from rnc_lightning.command_line.options import run_command
from rnc_lightning.command_line.quoting import quoted
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.run import run

EXPERIMENTS = {"L1, end to end": "digits_l1", "RnC, linear probe": "digits_rnc"}


def demo(out: Path, overrides: list[str]) -> None:
    """Train what is missing, print the table, draw the two maps side by side."""
    console = Console()
    directories: dict[str, Path] = {}
    for title, experiment in EXPERIMENTS.items():
        chosen = [f"+experiment={experiment}", *overrides]
        console.rule(Text(f"{title}: python -m rnc_lightning.train {' '.join(chosen)}"))
        cfg = compose_config([*chosen, f"paths.output_dir={quoted(out)}", "print_config=false"])
        run(cfg, chosen)
        directories[title] = run_path(resolve_config(cfg), chosen)
    results = {title: _result(path) for title, path in directories.items()}
    console.rule("rotated digits: real images, a synthetic target (the angle they were turned by)")
    console.print(comparison_table(results))
    picture = out / "digits_comparison.png"
    draw_maps(directories, results, picture)
    print(f"the two feature spaces side by side: {picture}")
    for title, path in directories.items():
        print(f"plots of {title}: {path / 'plots'}")


def comparison_table(results: Mapping[str, Mapping[str, Any]]) -> Table:
    """Test error, R2, feature ordinality, epochs and training time of each method, the constant predictor first."""
    table = Table(caption="MAE in degrees; Spearman and Kendall: feature ordinality")
    for column in ("method", "test MAE", "R2", "Spearman", "Kendall", "epochs", "training"):
        table.add_column(column, justify="left" if column == "method" else "right")
    constant = next(iter(results.values()))["constant"]
    table.add_row("constant (median)", f"{constant['mae']:.2f}", f"{constant['r2']:.3f}", "-", "-", "-", "-")
    for title, result in results.items():
        test, stages = result["test"], result["stages"].values()
        epochs = " + ".join(str(stage["epochs"]) for stage in stages)
        seconds = sum(stage["seconds"] for stage in stages)
        numbers = (
            f"{test['mae']:.2f}",
            f"{test['r2']:.3f}",
            f"{test['spearman']:.3f}",
            f"{test['kendall']:.3f}",
        )
        table.add_row(title, *numbers, epochs, f"{seconds:.0f} s")
    return table


def draw_maps(directories: Mapping[str, Path], results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """The test features of each run as a map coloured by the angle, side by side."""
    from rnc_lightning.plots.maps import save_projection_comparison

    panels, subtitles = {}, {}
    for title, directory in directories.items():
        panels[title] = RunDirectory(directory).features()
        subtitles[title] = f"test MAE {results[title]['test']['mae']:.1f} degrees"
    save_projection_comparison(panels, path, "angle (degrees)", subtitles)


def _result(directory: Path) -> dict[str, Any]:
    result = RunDirectory(directory).finished()
    assert result is not None, f"{directory} has just been finished"
    return result


def _work(options: dict[str, Any], of_training: list[str]) -> None:
    demo(options["out"], of_training)


def main() -> None:
    """Entry point."""
    run_command("demo", _work, resumes=True)


if __name__ == "__main__":
    main()
