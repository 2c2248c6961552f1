import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from rnc_lightning.command_line.compose import compose_config, resolve_config
from rnc_lightning.command_line.identity import config_differences, run_path
from rnc_lightning.studies.bench import QUIET, Bench, format_options
from rnc_lightning.system.errors import UserError


def test_formatted_options_are_parsed_to_the_same_values() -> None:
    options = {
        "a": None,
        "b": True,
        "c": 0.5,
        "d": -3,
        "e": "negative_l1",
        "f": [1, 2.5, "x"],
        "+g.h": {"low": -30, "high": 16.5, "dimension": "age"},
        "i": Path("my runs, (1)=é"),
    }
    parsed = OverridesParser.create().parse_overrides(format_options(options))
    values = [str(option.value()) if isinstance(options.get("i"), str) else option.value() for option in parsed]
    expected = [str(value) if isinstance(value, Path) else value for value in options.values()]
    assert values == expected
    assert [option.key_or_group for option in parsed] == ["a", "b", "c", "d", "e", "f", "g.h", "i"]


def test_a_run_s_command_is_that_run(tmp_path: Path) -> None:
    """Given to a shell it composes what the study trains, and names the same directory."""
    folder = tmp_path / "my runs, (1)"
    bench = Bench("digits", ["recipe.pretrain.epochs=2", "data.digits=[3,4]"], folder)
    options = {
        "scheme": "transfer_probe",
        "+data.subset.unseen.gap": {"low": -10, "high": 5.5},
        "encoder_from": folder / "digits_l1" / "a b=1,seed=0",
    }
    first, second = (bench.run("rnc", seed, options, direction="there") for seed in (0, 7))
    assert (first.method, first.seed, first.levels) == ("rnc", 0, {"direction": "there"})
    assert first.path.is_relative_to(folder / "digits_rnc")
    assert first.path != second.path
    python, dash, module, *given = shlex.split(second.command)
    assert (python, dash, module) == ("python", "-m", "rnc_lightning.train")
    config = resolve_config(compose_config([*given, *format_options({"paths.output_dir": folder})]))
    assert run_path(config, given) == second.path
    assert list(config_differences(config, second.request.config)) == []
    assert second.request.config["data"]["subset"]["unseen"] == {"gap": {"low": -10, "high": 5.5}}
    assert first.request.config["seed"] == 0
    assert config["recipe"]["pretrain"]["epochs"] == 2
    assert config["recipe"]["head_lr"]["l1"] == 0.005  # conf/budget/digits.yaml
    assert not second.request.config["plots"]
    assert not any(option in second.request.options for option in QUIET)


def test_a_run_can_have_data_and_method_of_its_own(tmp_path: Path) -> None:
    bench = Bench("digits", [], tmp_path)
    run = bench.run("shown", 0, {"data": "skyfinder", "method": "l1"})
    assert run.request.options == ("data=skyfinder", "method=l1", "seed=0")
    assert run.method == "shown"
    assert run.path == tmp_path / "skyfinder_l1" / "seed=0"


def test_results_are_of_finished_runs_only(tmp_path: Path) -> None:
    run = Bench("digits", [], tmp_path).run("l1", 0)
    assert not run.finished
    with pytest.raises(UserError, match="this run of the study is not finished"):
        _ = run.result
    run.path.mkdir(parents=True)
    (run.path / "result.json").write_text('{"status": "failed", "test": {"mae": 1}}')
    assert not run.finished
    (run.path / "result.json").write_text('{"status": "finished", "test": {"mae": 1}}')
    assert run.result["test"] == {"mae": 1}
