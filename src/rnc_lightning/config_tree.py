"""The composed configuration as a tree for people."""

from collections.abc import Mapping
from typing import Any

from rich.tree import Tree


def config_tree(config: Mapping[str, Any], title: str = "configuration") -> Tree:
    """A tree with a branch for each group and a leaf for each value."""
    tree = Tree(title, guide_style="dim")
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            tree.add(config_tree(value, str(key)))
        else:
            tree.add(f"{key}: [bold]{value}[/bold]" if not isinstance(value, list) else f"{key}: {value}")
    return tree
