"""Names that a package exports without importing the modules behind them."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for a package that imports a name's module when the name is first used.

    So `--help` needs no PyTorch, and importing one name of a package does not load the others.

    Args:
        package: The package, its `__name__`.
        modules: For each exported name, the module of the package that defines it.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return get
