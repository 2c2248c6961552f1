"""Which files of the repository the site shows, and at which address each."""

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
    """The address, below the site's root, of a file that is given from the repository's root."""
    where = PurePosixPath(path)
    if path == "README.md":
        return "index.md"
    if where.suffix == ".md" or where.suffix in PICTURES:
        return path.removeprefix("docs/")
    if where.suffix == ".ipynb":
        return str(where.with_suffix(".md"))
    return f"source/{path}.md"  # code and data that a page links to get a page of their own


def linked_file(origin: str, target: str) -> str:
    """The file that a relative link leads to, from the repository's root; of a folder, what is to be read in it.

    Raises:
        ValueError: The link leads to nothing, or out of the repository.
    """
    path = os.path.normpath(PurePosixPath(origin).parent / target.split("#")[0]) if target[0] != "#" else origin
    here = ROOT / path
    if path.startswith(".."):
        raise ValueError(f"{origin}: the link {target} leads out of the repository")
    if here.is_dir() and (here / "README.md").is_file():
        return f"{path}/README.md"
    if not here.is_file():
        raise ValueError(f"{origin}: the link {target} leads to nothing that the site could show")
    return path


def shown_files() -> dict[str, str]:
    """Address of each file that the site shows: the pages and all that they link to."""
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
    """What a page for a file of the repository says, in Markdown, and the pictures that lie beside it."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".ipynb"):
        return notebook_markdown(text, PurePosixPath(path).stem)
    if path.endswith(".md"):
        return text, {}
    language = {".py": "python", ".yaml": "yaml", ".toml": "toml"}.get(PurePosixPath(path).suffix, "text")
    return f"# {path}\n\n````{language}\n{text}\n````\n", {}


def with_site_links(markdown: str, origin: str, addresses: Mapping[str, str]) -> str:
    """A page's text with the links of the repository turned into those of the site."""
    own = PurePosixPath(addresses[origin]).parent

    def address(target: str) -> str:
        if not is_relative(target) or target.startswith("#"):
            return target
        if not (ROOT / PurePosixPath(origin).parent / target.split("#")[0]).exists():
            return target  # a picture of a notebook, which lies beside its page
        there = os.path.relpath(addresses[linked_file(origin, target)], own)
        anchor = target.partition("#")[2]
        return f"{there}#{anchor}" if anchor else there

    return replaced_links(markdown, address)


def room_pages(package: Path) -> dict[str, str]:
    """Address and text of a page for each room of the package, and of one for the modules that are in none."""
    rooms = sorted(init.parent for init in package.glob("*/__init__.py"))
    pages = {f"api/{room.name}.md": _room_page(room.name, _modules(room, package)) for room in rooms}
    loose = (path for path in sorted(package.glob("*.py")) if not path.name.startswith("_"))
    targets, others = [], []
    for path in loose:
        (targets if path.stem in ("targets", "distances") else others).append(f"{package.name}.{path.stem}")
    pages["api/targets.md"] = _room_page("targets and distances", targets)
    pages["api/others.md"] = _room_page("entry points and the rest", others)
    return pages


def _modules(room: Path, package: Path) -> list[str]:
    """The room itself and its modules, by their dotted names."""
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
    """Nothing is shown twice: a room that only hands on what its modules define shows its own words alone."""
    init = ROOT / "src" / Path(*module.split(".")) / "__init__.py"
    hands_on = init.is_file() and not re.search(r"^(def|class) ", init.read_text(encoding="utf-8"), re.MULTILINE)
    return "    options: {members: false}\n" if hands_on else ""
