"""The report as LaTeX with booktabs tables, to be included in a document."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from rnc_lightning.reports.table import MetricTable, Report
from rnc_lightning.reports.text import LEGEND, Line, columns, groups, lines, matrices, table_title

# Our own: pandas escapes LaTeX only inside whole tables (Styler.to_latex), and leaves the characters beyond ASCII.
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
    for matrix in matrices(report):
        rows = [[_label(label, details), *map(escape, texts)] for label, details, texts in matrix.body]
        parts.append(_table(escape(matrix.title), ["method", *map(escape, matrix.headings)], [rows[:1], rows[1:]]))
    parts += [_metric_table(table) for table in report.tables]
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


def _metric_table(table: MetricTable) -> str:
    shown = columns(table)
    constants, methods = lines(table)
    parts = [[_cells(line, table) for line in constants]]
    for title, group in groups(methods):
        heading = [[rf"\multicolumn{{{len(shown) + 1}}}{{l}}{{\itshape {escape(title)}}}"]] if title else []
        parts.append([*heading, *(_cells(line, table) for line in group)])
    return _table(escape(table_title(table)), ["method", *map(escape, shown.values())], parts)


def _cells(line: Line, table: MetricTable) -> list[str]:
    texts = [_number(line.texts.get(key, "")) for key in columns(table)]
    return [_label(line.label, line.details), *texts]


def _number(text: str) -> str:
    """Escape a cell; if it contains numbers, typeset their minus signs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escape(text)) if re.match(r"[-+\d]", text) else escape(text)


def _table(caption: str, headings: Sequence[str], groups: Iterable[Sequence[Sequence[str]]]) -> str:
    body = "\\midrule\n".join("".join(f"{' & '.join(cells)} \\\\\n" for cells in group) for group in groups)
    return (
        "\\begin{table}[htbp]\n\\centering\\small\n"
        f"\\caption{{{caption}}}\n\\begin{{tabular}}{{l{'r' * (len(headings) - 1)}}}\n\\toprule\n"
        f"{' & '.join(headings)} \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}"
    )


def _label(label: str, details: str) -> str:
    return escape(label) + (f" {{\\footnotesize {escape(details)}}}" if details else "")


def _list(entries: Iterable[str]) -> str:
    items = "\n".join(f"\\item {escape(entry)}" for entry in entries)
    return f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}"
