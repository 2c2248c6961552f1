"""Findings as Markdown."""

from collections.abc import Iterable, Mapping
from typing import Any

from gpu.running import DONE, FAILED, OUT_OF_TIME, RUNNING, SKIPPED

Findings = Mapping[str, Any]
_SAID = {
    FAILED: "**The section itself failed.** What it had found until then stands; its last lines:",
    OUT_OF_TIME: "**Ended after its time.** What it had found until then stands.",
    RUNNING: "*Not finished yet.*",
    SKIPPED: "**Not tried**: too little time was left.",
}


def page(findings: Findings) -> str:
    """All findings as one page.

    Args:
        findings: `on_gpu`, `date`, `seconds`, and `sections` in their order: each with `title`, `state`, `seconds`,
            `tables`, `failures`, `remarks`, `last_lines`.
    """
    sections = findings["sections"].values()
    lines = ["# What a GPU does with this suite", ""]
    if not findings["on_gpu"]:
        lines += ["**No GPU was there: this is a rehearsal at tiny sizes on a CPU, and measures nothing.**", ""]
    lines += [f"`checks/gpu.sh`, {findings['date']}, {findings['seconds']:.0f} s. {verdict(sections)}", ""]
    for section in sections:
        lines += _section(section)
    return "\n".join(lines)


def verdict(sections: Iterable[Findings]) -> str:
    """What went wrong, in a sentence."""
    found = list(sections)
    bad = [section["title"] for section in found if failed(section)]
    late = [section["title"] for section in found if section["state"] in (OUT_OF_TIME, SKIPPED, RUNNING)]
    said = [f"Failures in: {'; '.join(bad)}." if bad else "No failure."]
    if late:
        said.append(f"Not finished: {'; '.join(late)}.")
    return " ".join(said)


def failed(section: Findings) -> bool:
    """Whether a section found a failure, or broke down itself."""
    return bool(section["failures"]) or section["state"] == FAILED


def exit_code(sections: Iterable[Findings]) -> int:
    """0 where all went well, 1 where something failed, 2 where something was not finished."""
    found = list(sections)
    if any(failed(section) for section in found):
        return 1
    return 0 if all(section["state"] == DONE for section in found) else 2


def _section(section: Findings) -> list[str]:
    lines = [f"## {section['title']}", ""]
    if section["state"] in _SAID:
        lines += [_SAID[section["state"]], ""]
    if section["state"] in (FAILED, OUT_OF_TIME) and section["last_lines"]:
        lines += ["```", *section["last_lines"], "```", ""]
    for name, rows in section["tables"].items():
        lines += [f"{name}:", "", *_table(rows), ""]
    lines += [f"- **failed**: {what}" for what in section["failures"]]
    lines += [f"- {what}" for what in section["remarks"]]
    if section["failures"] or section["remarks"]:
        lines.append("")
    if section["state"] != SKIPPED:
        lines += [f"({section['seconds']:.0f} s)", ""]
    return lines


def _table(rows: list[Findings]) -> list[str]:
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    words = [any(isinstance(row.get(heading), str) for row in rows) for heading in headings]
    lines = [f"| {' | '.join(headings)} |", f"|{'|'.join('---' if word else '--:' for word in words)}|"]
    return lines + [f"| {' | '.join(cell(row.get(heading)) for heading in headings)} |" for row in rows]


def cell(value: Any) -> str:
    """A value as a person reads it.

    >>> [cell(value) for value in (None, True, 12, 1234.5, 12.345, 0.01234, 1.5e-7)]
    ['-', 'yes', '12', '1234', '12.3', '0.0123', '1.5e-07']
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value).replace("|", "\\|")
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
