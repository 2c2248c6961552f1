"""Show examples in docstrings (`>>> ...`) as blocks of code; plain Markdown would show them as quotations."""

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor


class _Fences(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        """Put a fence around each example and its output."""
        fenced: list[str] = []
        fence = inside = False
        for line in [*lines, ""]:
            if not inside and line.lstrip().startswith("```"):
                fence = not fence
            if not inside and not fence and line.startswith(">>> "):
                fenced += ["", "```pycon"]
                inside = True
            elif inside and not line.strip():
                fenced.append("```")
                inside = False
            fenced.append(line)
        return fenced


class Doctests(Extension):
    """The Markdown extension."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name is Markdown's
        """Run before the fences are read."""
        md.preprocessors.register(_Fences(md), "doctests", 29)
