"""A hash of the syntax tree of code, so that comments, docstrings and formatting do not change it."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

# The rooms whose code can change a result; `test_code_version` checks that every other room is known not to.
SHAPING = frozenset(
    {
        "numerics", "targets", "objectives", "heads", "regularizers", "encoders", "metrics", "datasets", "stages",
        "runs",
    }
)  # fmt: skip


def code_version(targets: Iterable[str]) -> str:
    """Hash of the modules that define `targets`, and of the modules of the same package that these import.

    For a module of an installed package other than this one, the package's version is hashed instead.

    Args:
        targets: Dotted names of classes or functions, as in `_target_`.

    Returns:
        16 hexadecimal digits.

    >>> names = ["rnc_lightning.objectives.rnc.RnCLoss", "rnc_lightning.objectives.rnc.rnc_loss"]  # one module
    >>> code_version(names[:1]) == code_version(names)
    True
    """
    parts: dict[str, str] = {}
    waiting = [_module_of(target) for target in targets]
    while waiting:
        module = waiting.pop()
        if module is None or module in parts:
            continue
        path, package = _file(module), module.partition(".")[0]
        if path is None:
            continue
        if "site-packages" in path.parts and package != "rnc_lightning":
            parts[module] = _installed_version(package)
            continue
        parts[module], imports = _read(path.read_text(encoding="utf-8"))
        waiting += [_module_of(name) for name in imports if name.partition(".")[0] == package]
    return _digest(f"{module}\n{text}" for module, text in sorted(parts.items()))


@cache  # takes about a second, and the code of a process does not change
def training_code_version() -> str:
    """Hash of all code of this package that can change a result, 16 hexadecimal digits."""
    return hash_rooms(Path(__file__).parents[1])


def hash_rooms(root: Path) -> str:
    """Hash of the code in the rooms that can change a result.

    Args:
        root: Folder of the package.
    """
    return _digest(
        f"{path.relative_to(root).as_posix()}\n{_read(path.read_text(encoding='utf-8'))[0]}"
        for room in sorted(SHAPING)
        for path in sorted((root / room).rglob("*.py"))
    )


def _module_of(name: str) -> str | None:
    """The longest leading part of a dotted name that is a module."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        module = ".".join(parts[:end])
        try:
            if importlib.util.find_spec(module) is not None:
                return module
        except (ModuleNotFoundError, ValueError):  # its parent is not a package
            continue
    return None


def _file(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _installed_version(package: str) -> str:
    names = packages_distributions().get(package, [])
    return " ".join(f"{name}=={version(name)}" for name in sorted(set(names)))


@cache  # the runs of a sweep read the same modules
def _read(code: str) -> tuple[str, tuple[str, ...]]:
    """The syntax tree of a module as text, and the names that it imports."""
    tree = _parse(code)
    imports = tuple(_imports(tree))
    return _dump_without_docstrings(tree), imports


def _parse(code: str) -> ast.Module:
    """The syntax tree; Python 3.11 fails by chance if other code is parsed meanwhile (cpython issue 106905)."""
    try:
        return ast.parse(code)
    except SystemError:
        return ast.parse(code)


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _dump_without_docstrings(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree)


def _digest(pieces: Iterable[str]) -> str:
    return hashlib.sha256("\n\n".join(pieces).encode()).hexdigest()[:16]
