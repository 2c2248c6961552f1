"""Who may import whom among the rooms of src/rnc_lightning; docs/structure.md says the same in words."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import rnc_lightning

HOUSE = Path(rnc_lightning.__file__).parent
ROOMS = {path.parent.name for path in HOUSE.glob("*/__init__.py")}
DOORS = {path.stem for path in HOUSE.glob("*.py")} - {"__init__"}
GROUND = {"system", "numerics", "targets"}  # import no other room
PLAIN = {"objectives", "heads", "regularizers", "encoders", "metrics", "synthetic"}  # import only those of the ground
SEE_A_CONFIG = {"command_line", "runs", "sweeps"}  # sweeps are callbacks and launchers of Hydra
MOST_FLOORS = 7


@cache
def imports() -> dict[str, set[str]]:
    """By module of the package (dotted, without the package), the full names that it imports anywhere in its text."""
    found: dict[str, set[str]] = {}
    for path in sorted(HOUSE.rglob("*.py")):
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: a relative import"
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        module = ".".join(path.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")
        found[module] = names
    return found


@cache
def edges() -> dict[str, dict[str, str]]:
    """By room or door, the other rooms and doors that it imports, each with a module that does."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for module, names in imports().items():
        here = module.partition(".")[0]
        for name in names:
            package, _, rest = name.partition(".")
            there = rest.partition(".")[0]
            if package == "rnc_lightning" and there in ROOMS | DOORS and there != here:
                found[here][there] = module
    return found


def test_the_ground_imports_no_other_room() -> None:
    assert not {(room, there, module) for room in GROUND for there, module in edges()[room].items()}


def test_plain_rooms_import_only_the_ground() -> None:
    assert not {
        (room, there, module) for room in PLAIN for there, module in edges()[room].items() if there not in GROUND
    }


def test_stages_and_datasets_do_not_know_each_other() -> None:
    assert "datasets" not in edges()["stages"]
    assert "stages" not in edges()["datasets"]


def test_nobody_imports_a_door() -> None:
    assert not {(here, there) for here, found in edges().items() for there in found if there in DOORS}


def test_only_these_rooms_and_the_doors_see_a_configuration() -> None:
    seen = {
        module
        for module, names in imports().items()
        if module.partition(".")[0] not in SEE_A_CONFIG | DOORS
        and any(name.partition(".")[0] in ("hydra", "omegaconf") for name in names)
    }
    assert not seen


def test_plain_rooms_need_no_lightning() -> None:
    heavy = {"lightning", "hydra", "omegaconf", "wandb"}
    assert not {
        (module, name)
        for module, names in imports().items()
        if module.partition(".")[0] in GROUND | PLAIN
        for name in names
        if name.partition(".")[0] in heavy
    }


def floor(room: str, below: tuple[str, ...] = ()) -> int:
    """The floor of a room: one above the highest that it imports. Fails where rooms import in a circle."""
    assert room not in below, f"a circle: {' -> '.join((*below, room))}"
    return 1 + max((floor(there, (*below, room)) for there in edges()[room]), default=0)


def test_the_house_has_few_floors_and_no_import_runs_back_up() -> None:
    floors = {room: floor(room) for room in ROOMS}
    assert max(floors.values()) <= MOST_FLOORS, floors


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = set(imports())
    needs = {
        module: {found for name in names if (found := _module(name, modules)) and found != module}
        for module, names in imports().items()
    }
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            pytest.fail(f"a circle: {' -> '.join((*path[path.index(module) :], module))}")
        if module not in done:
            for there in sorted(needs[module]):
                walk(there, (*path, module))
            done.add(module)

    for module in sorted(modules):
        walk(module, ())


def _module(name: str, modules: set[str]) -> str | None:
    """The module of this package that an imported name is or comes from; the package itself is none."""
    package, _, rest = name.partition(".")
    if package != "rnc_lightning":
        return None
    return next((found for found in (rest, rest.rpartition(".")[0]) if found in modules), None)


@pytest.mark.parametrize(("pattern", "most"), [("**/*.py", 300), ("*.py", 100)])
def test_files_are_short_and_doors_shorter(pattern: str, most: int) -> None:
    long = {str(path.relative_to(HOUSE)): _lines(path) for path in HOUSE.glob(pattern) if _lines(path) > most}
    assert not long


def test_functions_fit_a_screen() -> None:
    longest = max(
        (node.end_lineno - node.lineno + 1, path.name, node.name)
        for path in HOUSE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None
    )
    assert longest[0] <= 90, longest


def test_every_room_says_what_it_is_for_and_what_it_offers() -> None:
    for room in sorted(ROOMS):
        tree = ast.parse((HOUSE / room / "__init__.py").read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), room
        assert any(
            isinstance(node, ast.Assign | ast.AnnAssign) and "__all__" in ast.unparse(node).partition("=")[0]
            for node in tree.body
        ), f"{room} has no __all__"


def test_the_page_names_every_room() -> None:
    page = (HOUSE.parents[1] / "docs/structure.md").read_text(encoding="utf-8")
    assert not [room for room in ROOMS if f"{room}/" not in page]


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
