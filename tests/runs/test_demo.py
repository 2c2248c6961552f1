from pathlib import Path

import pytest

from rnc_lightning.demo import demo


def test_the_demo_prints_one_table_draws_the_maps_and_reuses_what_exists(
    tiny_digits_shown: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for word in tiny_digits_shown if not word.startswith("print_config")]
    words += ["recipe.pretrain.epochs=1", "recipe.linear_probe.epochs=1", "recipe.end_to_end.epochs=2"]
    demo(tmp_path / "runs", words)
    printed = capsys.readouterr().out
    for word in ("constant", "L1, end to end", "RnC, linear", "Spearman", "1 + 1", "digits_comparison.png"):
        assert word in printed
    assert (tmp_path / "runs/digits_comparison.png").stat().st_size > 10_000
    checkpoints = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.ckpt")}
    assert len(checkpoints) == 5  # last and best of each regressor, last of stage one
    demo(tmp_path / "runs", words)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.ckpt")} == checkpoints
