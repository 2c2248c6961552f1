"""What README.md and the other pages point to is there: files, headings, modules, configurations, targets."""

import importlib.util
import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_links import anchors, is_relative, links, replaced_links

from rnc_lightning.command_line.commands import load_command
from rnc_lightning.command_line.options import read_options

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "checks", "docs", "experiments", "src", "tests")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
EVERY_PAGE = [*TEXTS, *NOTEBOOKS]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *NOTEBOOKS]
CONFIGURED = ("experiment", "data", "method", "head", "objective", "regularizer", "weighting", "calibration", "encoder")
CONFIGURED += ("scheme", "recipe", "budget", "trainer", "logger", "search", "debug", "hydra/launcher")
# docs/sweeps.md shows what is refused, docs/own_data.md files of your own
NOT_HERE = {"head=crn", "experiment=ink", "data=brightness"}


def _names(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


@pytest.mark.parametrize("page", EVERY_PAGE, ids=_names(EVERY_PAGE))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in filter(is_relative, links(_text(page))):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or not there.resolve().is_relative_to(ROOT):
            broken.append(target)
        elif anchor and anchor not in anchors(_text(there)):
            broken.append(f"{target}: no such heading")
    assert not broken


@pytest.mark.parametrize("page", GUIDES, ids=_names(GUIDES))
def test_commands_name_what_exists(page: Path) -> None:
    text = _text(page)
    missing = [name for name in re.findall(r"python -m (rnc_lightning[\w.]*)", text) if not _runs(name.rstrip("."))]
    for group in CONFIGURED:
        for values in re.findall(rf"(?<![\w./-]){group}=\[?([a-z]\w*(?:,\w+)*)", text):
            words = [f"{group}={value}" for value in values.split(",") if not _configured(group, value)]
            missing += [word for word in words if word not in NOT_HERE]
    studies = {word: f"study {word}" for word in re.findall(r"rnc_lightning\.study ([a-z_]+)", text)}
    missing += [told for word, told in studies.items() if not _configured("study", word)]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    missing += [f"make {word}" for word in re.findall(r"(?:`|^ {4})make ([a-z-]+)", text, re.M) if word not in targets]
    assert not missing


@pytest.mark.parametrize("page", EVERY_PAGE, ids=_names(EVERY_PAGE))
def test_commands_are_written_as_they_are_read(page: Path) -> None:
    """Every command of a page but those of training, which Hydra composes: no unknown option, no `--option`."""
    for program, arguments in _commands(_text(page)):
        name = f"{program}_{arguments.pop(0)}" if program == "data" and arguments else program.rpartition(".")[2]
        if name != "train" and arguments and "--help" not in arguments:
            read_options(load_command(name), arguments)


def test_links_in_code_are_none_and_headings_become_anchors() -> None:
    text = "# A `b` of C\n\n[x](y.md) `[z](w.md)`\n\n    [u](v.md)\n\n```\n[s](t.md)\n# no heading\n```\n"
    text += "\n## Twice\n\n## Twice\n"
    assert links(text) == ["y.md"]
    assert anchors(text) == {"a-b-of-c", "twice", "twice-1"}
    assert replaced_links(text, lambda target: target + "#there") == text.replace("y.md", "y.md#there")


def _text(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    return text if page.suffix == ".md" else "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def _commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """What is called on a page, and its arguments; a comment or `...` ends them, NAME is any name."""
    joined = text.replace("\\\n", " ")
    for program, rest in re.findall(r"python -m rnc_lightning\.([a-z.]+)([^`\n]*)", joined):
        arguments = shlex.split(rest.replace(" NAME", " agedb").partition("#")[0])
        needed = ["inputs=x", "out=x"] if "..." in arguments and program == "predict" else []
        yield program, [*itertools.takewhile(lambda argument: argument != "...", arguments), *needed]


def _runs(module: str) -> bool:
    """Whether `python -m` finds a program there."""
    found = importlib.util.find_spec(module)
    if found is not None and found.submodule_search_locations is not None:
        found = importlib.util.find_spec(f"{module}.__main__")
    return found is not None and "__main__" in Path(found.origin).read_text(encoding="utf-8") + found.name


def _configured(group: str, value: str) -> bool:
    return value == "null" or (ROOT / "conf" / group / f"{value}.yaml").is_file()
