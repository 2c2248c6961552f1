"""JSON and YAML that anybody may have written."""

import os
from pathlib import Path

import pytest

from rnc_lightning.system.plain_files import read_json, read_yaml, read_yaml_text

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join(10 * [f'*{before}'])}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED = "a: &a {k: 1}\n" + "".join(
    f"{after}: &{after} {{<<: [{', '.join(20 * [f'*{before}'])}]}}\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, "values once its aliases are written out"),
        (MERGED, "values once its aliases are written out"),
        ("a: &a [*a]", "an alias that contains itself"),
        ("a: " + "[" * 200 + "]" * 200, "nested more than 100 levels deep"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested more than 100 levels deep"),
        ("a: !!python/object/apply:os.system [touch mark]", "not plain YAML .*python/object.*, line 1"),
        ("a: !include x.yaml", "not plain YAML .*!include"),
        ("a: [", "not plain YAML .*line 1"),
        ("a\nb: 1", "not plain YAML"),
        ("- 1", "not a mapping, but a list"),
        ("", "not a mapping, but nothing"),
    ],
)
def test_yaml_that_is_no_plain_mapping_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        read_yaml_text(text)
    assert "\n" not in str(error.value)
    assert not Path("mark").exists()


def test_ordinary_aliases_are_read() -> None:
    assert read_yaml_text("a: &a {x: 1}\nb: {<<: *a, y: [*a]}\n3: c") == {
        "a": {"x": 1},
        "b": {"x": 1, "y": [{"x": 1}]},
        "3": "c",
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe", "not UTF-8 text .*at byte 0"),
        (b"[1]", "not a JSON object, but a list"),
        (b"null", "not a JSON object, but nothing"),
        (b"{", "not valid JSON"),
        (b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", "nested more than 100 levels deep"),
        (b'{"a": ' + b"[" * 100_000, "nested more than 100 levels deep|not valid JSON"),
    ],
)
def test_json_that_is_no_object_is_refused(content: bytes, reason: str) -> None:
    Path("x.json").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_json(Path("x.json"))


def test_large_files_and_pipes_are_not_read() -> None:
    with Path("x.json").open("wb") as file:
        file.truncate(64_000_001)
    with pytest.raises(ValueError, match="more than 64 MB"):
        read_json(Path("x.json"))
    os.mkfifo("pipe.yaml")
    for path in ("pipe.yaml", "/dev/zero"):
        with pytest.raises(ValueError, match="not a regular file"):
            read_yaml(Path(path))
