"""Report: `python -m rnc_lightning.report runs` prints the paper's tables and writes them to `runs/report`."""

from typing import Any

from rnc_lightning.command_line.options import run_command


def _work(options: dict[str, Any], _: list[str]) -> None:
    from rnc_lightning.reports.write import report_runs

    report_runs(options["runs"], options["out"], options["escape_formulas"])


def main() -> None:
    """Entry point."""
    run_command("report", _work)


if __name__ == "__main__":
    main()
