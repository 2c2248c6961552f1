"""The files of the repository that the site shows, and the address of each."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from markdown_links import is_relative, links, replaced_links
from notebook_page import notebook_markdown

ROOT = Path(__file__).parents[2]
FIRST_PAGES = ("README.md", "docs/**/*.md", "experiments/README.md", "experiments/*/README.md", "benchmarks/README.md")
NOTEBOOKS = "notebooks/*.ipynb"
PICTURES = {".png", ".svg", ".jpg", ".gif"}


def site_path(path: str) -> str:
    """The address (relative to the site's root) of a file (relative to the repository's root)."""
    where = PurePosixPath(path)
    if path == "README.md":
        return "index.md"
    if where.suffix == ".md" or where.suffix in PICTURES:
        return path.removeprefix("docs/")
    if where.suffix == ".ipynb":
        return str(where.with_suffix(".md"))
    return f"source/{path}.md"  # code and data that pages link to get their own page


def linked_file(origin: str, target: str) -> str:
    """The file that a relative link leads to, relative to the repository's root; for a folder, its README.md.

    Raises:
        ValueError: If the link is broken or leads out of the repository.
    """
    path = os.path.normpath(PurePosixPath(origin).parent / target.split("#")[0]) if target[0] != "#" else origin
    here = ROOT / path
    if path.startswith(".."):
        raise ValueError(f"{origin}: the link {target} leads out of the repository")
    if here.is_dir() and (here / "README.md").is_file():
        return f"{path}/README.md"
    if not here.is_file():
        raise ValueError(f"{origin}: the link {target} leads to no file that the site can show")
    return path


def shown_files() -> dict[str, str]:
    """Address of each file that the site shows: the pages and every file that they link to."""
    waiting = [path.relative_to(ROOT).as_posix() for pattern in FIRST_PAGES for path in sorted(ROOT.glob(pattern))]
    waiting += [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob(NOTEBOOKS))]
    found: dict[str, str] = {}
    while waiting:
        path = waiting.pop(0)
        if path in found:
            continue
        found[path] = site_path(path)
        if path.endswith((".md", ".ipynb")):
            text, pictures = page_text(path)
            elsewhere = (target for target in links(text) if is_relative(target) and target not in pictures)
            waiting += [linked_file(path, target) for target in elsewhere]
    return found


def page_text(path: str) -> tuple[str, dict[str, bytes]]:
    """The page of a file of the repository in Markdown, and the pictures that belong to it, by file name."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".ipynb"):
        return notebook_markdown(text, PurePosixPath(path).stem)
    if path.endswith(".md"):
        return text, {}
    language = {".py": "python", ".yaml": "yaml", ".toml": "toml"}.get(PurePosixPath(path).suffix, "text")
    return f"# {path}\n\n````{language}\n{text}\n````\n", {}


def with_site_links(markdown: str, origin: str, addresses: Mapping[str, str]) -> str:
    """The text of a page, with links between files of the repository replaced by links between pages of the site."""
    own = PurePosixPath(addresses[origin]).parent

    def address(target: str) -> str:
        if not is_relative(target) or target.startswith("#"):
            return target
        if not (ROOT / PurePosixPath(origin).parent / target.split("#")[0]).exists():
            return target  # a picture of a notebook, in the same folder as its page
        there = os.path.relpath(addresses[linked_file(origin, target)], own)
        anchor = target.partition("#")[2]
        return f"{there}#{anchor}" if anchor else there

    return replaced_links(markdown, address)


def room_pages(package: Path) -> dict[str, str]:
    """Address and text of a page for each room of the package, and of one for its commands."""
    rooms = sorted(init.parent for init in package.glob("*/__init__.py"))
    pages = {f"api/{room.name}.md": _room_page(room.name, _modules(room, package)) for room in rooms}
    commands = [f"{package.name}.{path.stem}" for path in sorted(package.glob("*.py")) if path.stem != "__init__"]
    return {**pages, "api/commands.md": _room_page("commands", commands)}


def _modules(room: Path, package: Path) -> list[str]:
    """Dotted names of the room itself and its modules."""
    names = []
    for path in sorted(room.rglob("*.py"), key=lambda path: path.relative_to(room).parts):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if parts[-1] == "__init__":
            names.append(".".join(parts[:-1]))
        elif not parts[-1].startswith("_"):
            names.append(".".join(parts))
    return sorted(names)


def _room_page(title: str, modules: Iterable[str]) -> str:
    return f"# {title}\n\n" + "\n".join(f"::: {module}\n{_options(module)}" for module in modules)


def _options(module: str) -> str:
    """Options of a module's page: the members of a room that only re-exports are shown with its modules, not twice."""
    init = ROOT / "src" / Path(*module.split(".")) / "__init__.py"
    reexports = init.is_file() and not re.search(r"^(def|class) ", init.read_text(encoding="utf-8"), re.MULTILINE)
    return "    options: {members: false}\n" if reexports else ""
