"""The report as LaTeX with booktabs tables, to be included in a document."""

import re
import unicodedata
from collections.abc import Iterable

from rnc_lightning.reports.table import Report
from rnc_lightning.reports.text import LEGEND, Line, TextTable, text_tables

# pandas has no public function that escapes a text for LaTeX (only Styler, for whole tables), and none for non-ASCII.
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # not an optional argument of \\ or \item
    "]": "{]}",
    "±": r"$\pm$",
    "²": r"$^2$",
    "\N{EN DASH}": "--",
    "…": r"\dots{}",
    "°": r"$^\circ$",
    "µ": r"$\mu$",
}

_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030a": "r", "\u030c": "v"}


def latex(report: Report) -> str:
    """Return the whole report; the document has to load booktabs."""
    parts = ["% needs \\usepackage{booktabs}; include it with \\input{report.tex}"]
    parts += [rf"\noindent\textbf{{Warning:}} {escape(warning)}\par" for warning in report.warnings]
    parts += map(_table, text_tables(report))
    parts.append(rf"\noindent {escape(LEGEND)}\par")
    listed = [*report.notes, *(f"problem: {problem.path}: {problem.reason}" for problem in report.problems)]
    parts.append(_list([*listed, *(f"{title}: {text}" for title, text in report.facts.items())]))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Escape text for LaTeX, as ASCII; characters that fonts may lack become question marks.

    >>> print(escape("50% of_x & {y}"))
    50\% of\_x \& \{y\}
    """
    return "".join(map(_character, " ".join(text.split())))


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isascii():
        return character if character.isprintable() else "?"
    base, *marks = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        return f"\\{_ACCENTS[marks[0]]}{{{base}}}"
    return "?"


def _table(table: TextTable) -> str:
    width = len(table.columns)
    parts = []
    for heading, lines in (("", table.constants), *table.groups):
        rows = [[rf"\multicolumn{{{width + 1}}}{{l}}{{\itshape {escape(heading)}}}"]] if heading else []
        rows += [[_label(line), *map(_number, table.cells(line))] for line in lines]
        parts.append("".join(f"{' & '.join(cells)} \\\\\n" for cells in rows))
    body = "\\midrule\n".join(parts)
    return (
        "\\begin{table}[htbp]\n\\centering\\small\n"
        f"\\caption{{{escape(table.title)}}}\n\\begin{{tabular}}{{l{'r' * width}}}\n\\toprule\n"
        f"{' & '.join(['method', *map(escape, table.columns.values())])} \\\\\n\\midrule\n"
        f"{body}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}"
    )


def _number(text: str) -> str:
    """Escape a cell; if it contains numbers, typeset their minus signs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escape(text)) if re.match(r"[-+\d]", text) else escape(text)


def _label(line: Line) -> str:
    return escape(line.label) + (f" {{\\footnotesize {escape(line.details)}}}" if line.details else "")


def _list(entries: Iterable[str]) -> str:
    items = "\n".join(f"\\item {escape(entry)}" for entry in entries)
    return f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}"
