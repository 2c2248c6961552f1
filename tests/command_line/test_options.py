"""One dialect: every command but training reads `key=value` options in the same way."""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from rnc_lightning.command_line.commands import help_text, load_command, names_in
from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.command_line.hydra_errors import ADDED
from rnc_lightning.command_line.options import read_options, several
from rnc_lightning.command_line.quoting import path_quoted, quoted
from rnc_lightning.command_line.usage import UsageError
from rnc_lightning.command_line.values import TYPES
from rnc_lightning.synthetic import WRITERS
from rnc_lightning.system.errors import UserError

COMMANDS = {  # the YAML in conf/, the module, and what comes before the options
    "evaluate": ("evaluate", []),
    "predict": ("predict", []),
    "export": ("export", []),
    "report": ("report", []),
    "study": ("study", []),
    "demo": ("demo", []),
    "dashboard": ("tracking.dashboard", []),
    "data_verify": ("data", ["verify"]),
    "data_synthesize": ("data", ["synthesize"]),
}
NEEDS = {name for name in COMMANDS if name not in ("demo", "dashboard")}
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls a command in this process: its exit code and what it wrote to both outputs."""
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)

    def go(name: str, *arguments: str) -> tuple[int, str, str]:
        module, first = COMMANDS.get(name, (name, []))
        monkeypatch.setattr(sys, "argv", [module, *first, *arguments])
        code: object = 0
        try:
            import_module(f"rnc_lightning.{module}").main()
        except SystemExit as ended:
            code = ended.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return go


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_every_option_and_has_examples(name: str, call: Call) -> None:
    code, shown, _ = call(name, "--help")
    assert code == 0
    assert call(name, "-h")[1] == shown
    described = OmegaConf.load(config_directory() / f"{name}.yaml")
    for key, option in described.options.items():
        written = key.upper() if key == described.get("positional") else f"{key}="
        assert re.search(rf"^  {written}", shown, re.MULTILINE), key
        if option.get("default") is not None and option.get("type") != "ranges":
            assert "(default:" in shown
    assert shown.index("usage: python -m rnc_lightning.") < shown.index("options:") < shown.index("examples:")
    assert all(f"python -m rnc_lightning.{line}" for line, _ in described.examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_read(name: str) -> None:
    """What the help shows is understood, every key of it known."""
    command = load_command(name)
    for arguments, _ in command.examples:
        read_options(command, [argument.strip("'") for argument in arguments.split()])


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_help_fits_the_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for name in COMMANDS:
        lines = help_text(load_command(name)).splitlines()
        assert all(len(line) <= int(columns) for line in lines if "-m rnc_lightning" not in line)


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_nothing_given_where_something_is_needed_shows_the_help(name: str, call: Call) -> None:
    code, out, err = call(name)
    assert (code, out) == (2, "")
    assert err == call(name, "--help")[1]


def test_a_program_of_several_commands(call: Call) -> None:
    code, shown, _ = call("data", "--help")
    assert code == 0
    assert re.findall(r"^  (\w+)  ", shown, re.MULTILINE)[:2] == ["verify", "synthesize"]
    assert call("data")[::2] == (2, shown)
    assert call("data", "verfy") == (2, "", "error: verfy: unknown command; did you mean verify?\n")


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("evaluate", ["run", "sevrity=3"], "sevrity: unknown option; did you mean severity?"),
        ("predict", ["run", "input=x", "ovrwrite=true"], "ovrwrite: unknown option; did you mean overwrite?"),
        ("export", ["run", "data=agedb"], "data: unknown option; known here: run, out, onnx, tolerance, overwrite"),
        ("export", ["run", "out.x=3"], "out.x: unknown option; did you mean out?"),
        ("report", ["runs", "uot=x"], "uot: unknown option; did you mean out?"),
        ("study", ["robustness", "seedz=3"], "seedz: unknown option; did you mean seeds?"),
        ("study", ["robustness", "recip.pretrain.lr=1"], "recip.pretrain.lr: unknown option; did you mean recipe?"),
        (
            "study",
            ["robustness", "recipe.pretrian.lr=1"],
            "recipe.pretrian: unknown option; did you mean recipe.pretrain?",
        ),
        ("study", ["robustnes"], "robustnes: unknown study; did you mean robustness?"),
        ("study", ["robustness", "data=agebd"], "data=agebd: unknown option; did you mean data=agedb? ("),
        ("demo", ["sed=1"], "sed: unknown option; did you mean seed?"),
        ("dashboard", ["projct=x"], "projct: unknown option; did you mean project?"),
        ("data_verify", ["agebd"], "data=agebd: unknown option; did you mean data=agedb? ("),
        ("data_verify", ["agedb", "jsn=x"], "jsn: unknown option; did you mean json?"),
        ("data_synthesize", ["agebd", "out=x"], "agebd: unknown data set; did you mean agedb?"),
        ("data_synthesize", ["agedb", "out=x", "smaples=3"], "smaples: unknown option; did you mean samples?"),
    ],
)
def test_what_is_unknown_is_one_line_with_the_nearest(name: str, arguments: list[str], told: str, call: Call) -> None:
    code, out, err = call(name, *arguments)
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith(f"error: {told}")


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("evaluate", ["--run", "a"], "--run a: write run=a"),
        ("evaluate", ["a", "--features"], "--features: write features=true"),
        ("report", ["runs", "--out=x y"], "--out=x y: write out=x y"),
        ("report", ["runs", "-o"], "-o: unknown option; options are written key=value; --help lists all"),
        ("study", ["robustness", "--seeds", "3"], "--seeds 3: write seeds=3"),
        (
            "study",
            ["robustness", "--sots", "3"],
            "--sots: unknown option; options are written key=value; did you mean slots?",
        ),
        ("demo", ["--out"], "--out: write out=..."),
        ("dashboard", ["--project", "mine"], "--project mine: write project=mine"),
        ("data_verify", ["agedb", "--json", "x"], "--json x: write json=x"),
        ("data_synthesize", ["agedb", "out=x", "--no-traps"], "--no-traps: write traps=false"),
        ("data_synthesize", ["agedb", "out=x", "--overwrite"], "--overwrite: write overwrite=true"),
        ("evaluate", ["a", "b"], "b: an option is key=value, such as features=...; --help shows all"),
        ("evaluate", ["a", "features"], "features: an option is key=value; write features=true"),
        ("export", ["=3"], "=3: an option is key=value; --help lists all"),
        ("predict", ["a"], "inputs, out: not given; usage: python -m rnc_lightning.predict RUN inputs=PATH out=PATH"),
    ],
)
def test_another_way_of_writing_is_refused_with_the_right_one(
    name: str, arguments: list[str], told: str, call: Call
) -> None:
    code, out, err = call(name, *arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(f"error: {told}")


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("evaluate", ["a", "severity=x"], "severity=x: must be a whole number, a list of them, such as [1,3], or all"),
        ("evaluate", ["a", "corruption=[fog"], "corruption=[fog: must be a name or a list of names, such as [a,b]"),
        ("evaluate", ["a", "part=tset"], "part=tset: must be test, val or train"),
        ("evaluate", ["a", "corruption_side=0"], "corruption_side=0: must be a whole number from 1 up"),
        ("evaluate", ["a", "features=null"], "features=null: must be true or false"),
        ("evaluate", ["a", "targets.age.low=[1"], "targets.age.low=[1: cannot be read ("),
        ("predict", ["a", "out=", "inputs=b"], "out=: must be a path"),
        ("predict", ["a", "batch_size=1.5"], "batch_size=1.5: must be a whole number from 1 up"),
        ("export", ["a", "tolerance=small"], "tolerance=small: must be a number"),
        ("export", ["a", "onnx=maybe"], "onnx=maybe: must be true or false"),
        ("study", ["theory", "slots=0"], "slots=0: must be a whole number from 1 up"),
    ],
)
def test_values_are_checked(name: str, arguments: list[str], told: str) -> None:
    with pytest.raises(UserError, match=re.escape(told)) as refused:
        read_options(load_command(name), arguments)
    assert not isinstance(refused.value, UsageError)


PATHS = (
    "runs/digits_l1/data.digits=[3],seed=0",
    "a b/{c}=$d,(e)#",
    "[1]",
    "=x/y",
    "ab/run=3",
    "ümlaut 'quoted' \"twice\"",
)


@pytest.mark.parametrize("path", PATHS)
def test_paths_arrive_as_they_were_typed(path: str) -> None:
    options, _ = read_options(load_command("predict"), [f"run={path}", f"inputs={path}", f"out={path}", f"root={path}"])
    assert {str(options[key]) for key in ("run", "inputs", "out", "root")} == {path}
    assert str(read_options(load_command("report"), [f"runs={path}", f"out={path}"])[0]["out"]) == path
    assert str(read_options(load_command("data_verify"), ["agedb", f"json={path}"])[0]["json"]) == path


@pytest.mark.parametrize(
    "path", ["a", "run", "runs/x/data.digits=[3],seed=0", "data.size=16,seed=0", "./run=x", "[1],2"]
)
def test_a_run_is_named_by_its_path_alone(path: str, tmp_path: Path) -> None:
    (tmp_path / path).mkdir(parents=True)  # which tells data.size=16,seed=0 from an option
    assert str(read_options(load_command("evaluate"), [path, "part=val"])[0]["run"]) == str(Path(path))
    assert str(read_options(load_command("evaluate"), ["part=val", f"run={path}"])[0]["run"]) == str(Path(path))


def test_values_become_what_they_mean() -> None:
    arguments = [
        "a",
        "corruption=fog,snow",
        "severity=[1,3]",
        "corruption_side=64",
        "targets.age.low=20",
        "+features=True",
    ]
    options, passed_on = read_options(
        load_command("evaluate"), [*arguments, "data=agedb", "data.root=/d", "input.size=3"]
    )
    assert options["corruption"] == ["fog", "snow"]
    assert options["severity"] == [1, 3]
    assert (options["corruption_side"], options["features"], options["ordinality"]) == (64, True, True)
    assert options["targets"] == {"age": {"low": 20}}
    assert passed_on == ["data=agedb", "data.root=/d", "input.size=3"]
    assert read_options(load_command("evaluate"), ["a", "corruption=null"])[0]["corruption"] is None
    assert several(
        read_options(load_command("evaluate"), ["a", "severity=all"])[0]["severity"], (1, 2), "severity"
    ) == [1, 2]


def test_a_study_takes_options_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNC_RUNS", "elsewhere")
    training = [
        "data=agedb",
        "recipe.pretrain.lr=0.1",
        "study.sizes=[1,2]",
        "+experiment=x",
        "~seed",
        "hydra/launcher=basic",
    ]
    options, passed_on = read_options(load_command("study"), ["seeds=2", "robustness", *training])
    assert passed_on == training
    assert options == {"study": "robustness", "seeds": 2, "slots": 1, "runs": Path("elsewhere/studies"), "out": None}


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith("=")])
def test_paths_of_training_need_no_quotes(path: str, compose_config: Callable[..., OmegaConf]) -> None:
    assert compose_config(path_quoted(f"paths.output_dir={path}")).paths.output_dir == path
    assert compose_config(f"paths.output_dir={quoted(path)}").paths.output_dir == path
    Path(path).mkdir(parents=True)
    assert compose_config(path_quoted(f"+data.root={path}")).data.root == path


def test_what_may_be_meant_for_hydra_is_left_alone() -> None:
    for argument in ("data.csv=a.csv,b.csv", "paths.run_dir=null", "paths.output_dir=${oc.env:HOME}/x", "seed=0,1"):
        assert path_quoted(argument) == argument


def test_the_descriptions_agree_with_what_there_is() -> None:
    synthetic = load_command("data_synthesize").options["data_set"]
    assert synthetic.choices == tuple(WRITERS)
    listed = load_command("data_verify").options["data_set"].about
    assert all(re.search(rf"\b{name}\b", listed) for name in names_in("data"))
    assert all(option.type in TYPES for name in COMMANDS for option in load_command(name).options.values())
    chosen = {
        key
        for entry in OmegaConf.load(config_directory() / "train.yaml").defaults
        for key in entry
        if entry != "_self_"
    }
    groups = {path.name for path in config_directory().iterdir() if path.is_dir()}
    assert set(ADDED) == groups - {str(key) for key in chosen} - {"hydra", "stage", "study"}
