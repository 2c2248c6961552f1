"""YAML files of a folder that `--config-dir` names."""

import os
from pathlib import Path

import pytest

from rnc_lightning.command_line.config_files import check_config_files
from rnc_lightning.system.errors import UserError

LEVELS = "\n".join(f"{b}: &{b} [{', '.join(8 * [f'*{a}'])}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"seed: !!python/object/apply:os.system [touch mark]", "python/object/apply.*, line 1"),
        (f"a: &a [x, x]\n{LEVELS}".encode(), "values once its aliases are written out"),
        (b"a: " + b"[" * 300, "nested more than 100 levels deep"),
        (b"a: " + b"- " * 300 + b"1", "nested more than 100 levels deep|sequence"),
        (b"a: \xff", "not UTF-8 text"),
    ],
)
def test_what_is_no_plain_yaml_is_one_line(content: bytes, reason: str) -> None:
    Path("conf/experiment").mkdir(parents=True)
    Path("conf/experiment/mine.yaml").write_bytes(content)
    with pytest.raises(UserError, match=rf"conf/experiment/mine\.yaml: .*{reason}") as error:
        check_config_files(["--config-dir", "conf", "+experiment=mine"])
    assert "\n" not in str(error.value)
    assert not Path("mark").exists()
    for flag in ("-cd=conf", "--config-dir=conf"):
        with pytest.raises(UserError):
            check_config_files([flag])
    check_config_files(["+experiment=mine"])


def test_ordinary_files_pass_and_pipes_are_not_waited_for() -> None:
    Path("conf").mkdir()
    Path("conf/a.yaml").write_text("# @package _global_\na: &a [1, 2]\nb: *a\nc: ${a}\nd: ??? # !\n", encoding="utf-8")
    Path("conf/empty.yaml").touch()
    os.mkfifo("conf/pipe.yaml")
    check_config_files(["--config-dir=conf", "--config-dir=missing"])
