"""Hooks of mkdocs: add pages from the whole repository to the site, and one for each room of the package."""

import fnmatch
from typing import Any

from doctests import Doctests
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from repository import PICTURES, ROOT, page_text, room_pages, shown_files, with_site_links

_addresses: dict[str, str] = {}  # by file of the repository
_rooms: dict[str, str] = {}  # text of each page of the reference, by address


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Find the pages and put them into the navigation in place of its patterns."""
    _addresses.clear()
    try:
        _addresses.update(shown_files())
    except ValueError as error:  # a broken link: one line instead of a traceback
        raise PluginError(str(error)) from error
    _rooms.clear()
    _rooms.update(room_pages(ROOT / "src" / "rnc_lightning"))
    pages = sorted(path for path in (*_addresses.values(), *_rooms) if path.endswith(".md"))
    named = set(_nav_pages(config.nav))
    config.markdown_extensions.append(Doctests())
    config.nav = _fill_patterns(config.nav, [page for page in pages if page not in named])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    in_navigation = set(_nav_pages(config.nav))
    for path, address in _addresses.items():
        if address.endswith(".md"):
            content, pictures = page_text(path)
            level = InclusionLevel.INCLUDED if address in in_navigation else InclusionLevel.NOT_IN_NAV
            _add(files, File.generated(config, address, content=content, inclusion=level))
            for name, picture in pictures.items():
                _add(files, File.generated(config, f"notebooks/{name}", content=picture))
        elif address.endswith(tuple(PICTURES)):
            _add(files, File.generated(config, address, abs_src_path=str(ROOT / path)))
    for address, content in _rooms.items():
        _add(files, File.generated(config, address, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links between files of the repository into links between pages."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]  # it would be a column with one entry
    origin = next((path for path, address in _addresses.items() if address == page.file.src_uri), None)
    return markdown if origin is None else with_site_links(markdown, origin, _addresses)


def _add(files: Files, file: File) -> None:
    """Add a file, in place of the one that mkdocs itself found in docs/."""
    existing = files.get_file_from_path(file.src_uri)
    if existing is not None:
        files.remove(existing)
    files.append(file)


def _nav_pages(nav: Any) -> list[str]:
    """The pages and patterns in the navigation."""
    if isinstance(nav, str):
        return [nav]
    return [page for entry in (nav.values() if isinstance(nav, dict) else nav) for page in _nav_pages(entry)]


def _fill_patterns(nav: Any, pages: list[str]) -> Any:
    """The navigation with each pattern replaced by the pages that match it and are not in it yet."""
    filled: list[Any] = []
    for entry in nav:
        if isinstance(entry, dict):
            ((title, below),) = entry.items()
            below = _fill_patterns(below, pages) if isinstance(below, list) else below
            if below:
                filled.append({title: below})
        elif "*" in entry:
            fitting = [page for page in pages if fnmatch.fnmatch(page, entry) and page.count("/") == entry.count("/")]
            pages[:] = [page for page in pages if page not in fitting]
            filled += fitting
        else:
            filled.append(entry)
    return filled
