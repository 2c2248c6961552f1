"""Plain values from JSON and YAML files that anybody may have written: small, shallow, and nothing but values."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 64_000_000  # a result.json with the statistics of a million inputs has less
MOST_YAML_BYTES = 8_000_000  # PyYAML reads about 200 kB a second
MOST_VALUES = 200_000  # with aliases written out
MOST_LEVELS = 100
_TOO_DEEP = f"nested more than {MOST_LEVELS} levels deep"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ValueError: In one line, without the name of the file: if it is not text, not JSON, no object, or too large.
        OSError: If it cannot be opened.
    """
    try:
        found = json.loads(read_text(path, MOST_BYTES))
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error})") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if not isinstance(found, dict):
        raise ValueError(f"not a JSON object, but {_kind(found)}")
    if problem := _depth_problem(found):
        raise ValueError(problem)
    return found


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, its keys as text.

    Raises:
        ValueError: In one line, without the name of the file: if it is not text, not YAML, no mapping, too large, or
            holds anything but plain values (such as `!!python/object`).
        OSError: If it cannot be opened.
    """
    return read_yaml_text(read_text(path))


def read_yaml_text(text: str) -> dict[str, Any]:
    """The same from a text."""
    try:
        found = check_yaml(text)
    except yaml.YAMLError as error:
        raise ValueError(f"not plain YAML ({yaml_reason(error)})") from None
    if not isinstance(found, dict):
        raise ValueError(f"not a mapping, but {_kind(found)}")
    return {str(key): value for key, value in found.items()}


def check_yaml(text: str) -> Any:
    """The plain values of a YAML document; None for an empty one.

    Raises:
        yaml.YAMLError: If it is not YAML, or holds anything but plain values.
        ValueError: If it is nested too deeply, or has too many values once its aliases are written out.
    """
    loader = _ShallowLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if problem := yaml_problem(node):
            raise ValueError(problem)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def read_text(path: Path, most: int = MOST_YAML_BYTES) -> str:
    """A text file (UTF-8) of at most so many bytes.

    Raises:
        ValueError: In one line, without the name of the file: if it is not a regular file, too large, or not text.
        OSError: If it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a FIFO without a writer would wait
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"more than {most / 1e6:g} MB, which no run writes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text ({error.reason} at byte {error.start})") from None


def yaml_reason(error: yaml.YAMLError) -> str:
    """What PyYAML found wrong, with the line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f"{' '.join(error.problem.split())}, line {error.problem_mark.line + 1}"
    return " ".join(str(error).split())


class _ShallowLoader(yaml.SafeLoader):
    """Stops where a document becomes too deep, long before Python does."""

    level = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As in the base class."""
        self.level += 1
        if self.level > MOST_LEVELS:
            raise ValueError(_TOO_DEEP)
        node = super().compose_node(parent, index)
        self.level -= 1
        return node


def yaml_problem(node: yaml.Node) -> str | None:
    """Why a composed document is refused: too many values once its aliases are written out, or too deep."""
    sizes: dict[int, tuple[int, int]] = {}  # by node: values and levels below it
    open_nodes: set[int] = set()

    def measure(node: yaml.Node) -> tuple[int, int]:
        if id(node) in open_nodes:
            raise ValueError("an alias that contains itself")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            inside = [measure(child) for child in _children(node)]
            open_nodes.remove(id(node))
            sizes[id(node)] = 1 + sum(size for size, _ in inside), 1 + max((depth for _, depth in inside), default=0)
        return sizes[id(node)]

    try:
        values, levels = measure(node)
    except ValueError as error:
        return str(error)
    if values > MOST_VALUES:
        return f"{values:.3g} values once its aliases are written out, more than {MOST_VALUES:,}"
    return None if levels <= MOST_LEVELS else _TOO_DEEP


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _depth_problem(value: Any) -> str | None:
    level: list[Any] = [value]
    for _ in range(MOST_LEVELS):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return None
    return _TOO_DEEP


def _inside(value: Any) -> list[Any]:
    return [one for one in (value.values() if isinstance(value, dict) else value) if isinstance(one, dict | list)]


def _kind(value: object) -> str:
    names = {list: "a list", str: "text", type(None): "nothing", bool: "true or false", int: "a number"}
    return names.get(type(value), "a value")
