"""The links and headings of a Markdown text, except those in code."""

import re
from collections.abc import Callable, Iterator

_FENCE = re.compile(r"^( {0,3}|\* +)(`{3,}|~{3,})")
_CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_LINK = re.compile(r"(?P<before>!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\()(?P<target>[^()\s]+)(?P<after>\))")
_HEADING = re.compile(r"^#{1,6} +(?P<title>.+?)(?: +#+)?$")


def prose(markdown: str) -> Iterator[tuple[str, bool]]:
    """The lines of a text, each with whether it is prose and not part of a code block."""
    fence, before = "", ""
    for line in markdown.splitlines(keepends=True):
        opened = _FENCE.match(line)
        indented = line.startswith("    ") and not before.strip()
        if fence:
            yield line, False
            if line.strip() == fence:
                fence = ""
        elif opened:
            fence = opened[2]
            yield line, False
        elif indented:
            yield line, False
            continue  # a block of indented code ends at a line that is not indented
        else:
            yield line, True
        before = line


def replaced_links(markdown: str, replacement: Callable[[str], str]) -> str:
    """The text with the target of each link and picture replaced."""

    def replaced(line: str) -> str:
        spans = [match.span() for match in _CODE_SPAN.finditer(line)]

        def target(match: re.Match[str]) -> str:
            inside = any(start <= match.start() and match.end() <= end for start, end in spans)
            return match[0] if inside else match["before"] + replacement(match["target"]) + match["after"]

        return _LINK.sub(target, line)

    return "".join(replaced(line) if is_prose else line for line, is_prose in prose(markdown))


def links(markdown: str) -> list[str]:
    """The targets of all links, in order."""
    found: list[str] = []
    replaced_links(markdown, lambda target: found.append(target) or target)
    return found


def is_relative(target: str) -> bool:
    """Whether a link leads to a file of this repository."""
    return not re.match(r"[a-z][a-z0-9+.-]*:|//|/", target)


def anchors(markdown: str) -> set[str]:
    """The anchors of the headings, in the form used by code hosts."""
    seen: dict[str, int] = {}
    found: set[str] = set()
    for line, is_prose in prose(markdown):
        heading = _HEADING.match(line.rstrip()) if is_prose else None
        if heading:
            title = re.sub(r"\[([^\[\]]*)\]\([^()]*\)", r"\1", heading["title"])
            anchor = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
            times = seen[anchor] = seen.get(anchor, -1) + 1
            found.add(f"{anchor}-{times}" if times else anchor)
    return found
