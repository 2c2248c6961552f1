"""What a run with logger=wandb writes, read back from the file that W&B's client left offline."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import wandb
from omegaconf import DictConfig
from wandb_file import IDENTITY, WrittenRun, written_runs

from rnc_lightning.command_line.compose import compose_config
from rnc_lightning.runs.run import run
from rnc_lightning.sweeps.callback import Sweep
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import sha256
from rnc_lightning.tracking import dashboard
from rnc_lightning.tracking import weights_and_biases as wandb_run
from rnc_lightning.tracking.wandb_variables import refuse_one_id_for_many, with_variables

SHORT = ["recipe.pretrain.epochs=2", "recipe.linear_probe.epochs=3"]
ENDING = "test/mae"


@pytest.fixture(scope="module")
def sweep(tiny_digits_shown: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The run directories of two runs in one process; the second one uses the first one's encoder."""
    place = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_MODE", raising=False)  # no key, no word: offline is what it must choose
        patch.setenv("NETRC", str(place / "none"))
        for head in ("l1", "mse"):
            words = ["+experiment=digits_rnc", f"head={head}", "seed=3"]
            more = ["logger=[wandb,tensorboard]", "logger.wandb.log_encoder=true", f"paths.run_dir={place / head}"]
            run(compose_config([*words, *more, f"paths.output_dir={place}", *SHORT, *tiny_digits_shown]), words)
        yield {head: place / head for head in ("l1", "mse")}


@pytest.fixture(scope="module")
def written(sweep: dict[str, Path]) -> dict[str, WrittenRun]:
    """The one file that each of them left."""
    found = {head: written_runs(place) for head, place in sweep.items()}
    assert [len(runs) for runs in found.values()] == [1, 1]
    return {head: runs[0] for head, runs in found.items()}


def _result(place: Path) -> dict[str, Any]:
    return json.loads((place / "result.json").read_text())


def test_each_run_of_a_sweep_has_its_own_grouped_by_study_and_seed(
    sweep: dict[str, Path], written: dict[str, WrittenRun]
) -> None:
    assert written["l1"].run.run_id != written["mse"].run.run_id
    for head, found in written.items():
        assert (found.run.run_group, found.run.job_type) == ("digits_rnc", "seed_3")
        assert found.run.display_name == f"digits_rnc/head={head},seed=3 (synthetic target)"
        assert list(found.run.tags) == sorted({"digits", "rnc", head, "linear_probe", "synthetic target"})
        result = _result(sweep[head])
        for key in ("experiment", "dataset", "method", "scheme", "seed", "setting"):  # what one groups by
            assert found.config[key] == result[key]
        assert found.config["head_name"] == head
        assert found.config["synthetic_data"] is False
        assert found.config["stages"]["pretrain"]["epochs"] == 2  # the composed one, whole and resolved
        assert found.exit_code == 0


def test_both_stages_have_their_own_steps(sweep: dict[str, Path], written: dict[str, WrittenRun]) -> None:
    for head, found in written.items():  # the second run trained no stage one: its history is the encoder's
        assert found.step_metrics == {"pretrain/*": "pretrain/step", "regress/*": "regress/step"}
        for stage, key in (("pretrain", "train/excess"), ("regress", "val/mae"), ("regress", "train/loss")):
            rows = [row for row in found.history if f"{stage}/{key}" in row]
            told = pd.read_csv(sweep[head] / f"stages/{stage}/metrics.csv")
            assert [row[f"{stage}/{key}"] for row in rows] == pytest.approx(told[key].tolist())
            assert [row[f"{stage}/step"] + 1 for row in rows] == told["step"].tolist()
            assert [row[f"{stage}/epoch"] + 1 for row in rows] == told["epoch"].tolist()


def test_the_results_are_sent(sweep: dict[str, Path], written: dict[str, WrittenRun]) -> None:
    for head, found in written.items():
        result = _result(sweep[head])
        for name, value in result["test"].items():
            assert found.summary[f"test/{name}"] == value
        for stage, told in result["stages"].items():  # those of the chosen epoch, whatever the last one had
            for name, value in told["metrics"].items():
                assert found.summary[f"{stage}/{name}"] == pytest.approx(value)
        assert found.summary["constant/mae"] == result["constant"]["mae"]
        for key, name in (("plots/projection_pca", "projection_pca"), ("plots/predictions", "predictions")):
            (sent,) = found.column(f"{key}/sha256")
            assert sent == sha256(sweep[head] / f"plots/{name}.png")
        assert found.column("predictions/nrows") == [result["counts"]["test"]]
        assert {artifact.split("-")[0] for artifact in found.artifacts} == {"run", "encoder"}


def test_the_dashboard_asks_only_for_what_a_run_wrote(written: dict[str, WrittenRun], tmp_path: Path) -> None:
    found = dashboard.specification(dashboard.dashboard("project", "entity"))
    keys = set(_metric_keys(found))
    assert {"regress/val/mae", "pretrain/train/excess", "test/spearman", "plots/projection_pca"} <= keys
    for run_ in written.values():
        media = {key.removesuffix("/_type") for key in run_.summary if key.endswith("/_type")}
        assert keys <= {*run_.summary, *media}
        assert set(dashboard.METHOD) <= set(run_.config)


def _metric_keys(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("columnVisible", "columnPinned"):
                yield from (column.removeprefix("summary:") for column in inner if column.startswith("summary:"))
            else:
                yield from _metric_keys(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _metric_keys(inner, key)
    elif key in ("metrics", "mediaKeys") or (key in ("xAxis", "yAxis") and value != "_step"):
        yield value.removeprefix("summary:")


@pytest.fixture
def start(compose_config: Callable[..., DictConfig], tiny_digits: list[str]) -> Callable[..., Any]:
    """Starts the same run in the same directory."""
    words = ["+experiment=digits_rnc", "logger=wandb", "paths.run_dir=run", *SHORT, *tiny_digits]
    return lambda: run(compose_config(*words), words)


def test_failed_stopped_and_finished_are_one_run(
    start: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    for error in (RuntimeError("no luck"), KeyboardInterrupt()):
        with monkeypatch.context() as patch:
            patch.setattr("rnc_lightning.runs.execute.evaluate_regressor", _raising(error))
            with pytest.raises(type(error)):
                start()
    start()
    start()  # is only read
    found = written_runs(tmp_path)
    assert [part.exit_code for part in found] == [1, 255, 0]
    assert len({part.run.run_id for part in found}) == 1
    assert [len(part.column("regress/val/mae")) for part in found] == [3, 0, 0]  # trained at the first start
    assert ENDING in found[-1].summary
    said = [message for message in caplog.messages if "wandb sync" in message]
    assert len(said) == 3
    folders = [str(path.parent) for path in sorted(tmp_path.rglob("run-*.wandb"), key=lambda path: path.parent.name)]
    assert said[-1].endswith(f"wandb sync {' '.join(folders)}")


def test_what_wandb_raises_is_one_warning(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wandb.Run, "log", _raising(ConnectionResetError("the service is gone")))
    assert start()["test/mae"] > 0
    warned = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert [message for message in warned if "logging metrics" in message] == [
        "W&B: logging metrics failed, the run continues: ConnectionResetError: the service is gone"
    ]
    assert len([message for message in warned if "W&B" in message]) == 3  # metrics, results, predictions


def test_a_sweep_hears_of_a_run_that_was_finished_before(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "of_the_agent")
    start()
    first, second = written_runs(tmp_path)
    assert second.run.run_id == "of_the_agent" != first.run.run_id
    assert second.exit_code == 0
    for key in ("regress/val/mae", "pretrain/train/excess"):
        assert second.column(key) == pytest.approx(first.column(key))
    assert second.summary[ENDING] == first.summary[ENDING]


@pytest.mark.slow
def test_two_processes_are_one_run(
    compose_config: Callable[..., DictConfig], tiny_digits: list[str], tmp_path: Path
) -> None:
    words = ["+experiment=digits_rnc", "logger=[wandb,tensorboard]", "trainer=ddp_cpu", "paths.run_dir=run"]
    run(compose_config(*words, *SHORT, *tiny_digits), words)
    (found,) = written_runs(tmp_path)
    assert len(found.column("regress/val/mae")) == 3
    assert found.summary[ENDING] == _result(tmp_path / "run")["test"]["mae"]
    assert found.exit_code == 0


def test_synthetic_data_are_named_and_tagged(tmp_path: Path) -> None:
    identity = {
        "experiment": "agedb_rnc",
        "seed": 0,
        "dataset": "agedb_synthetic",
        "setting": "s",
        "synthetic_data": True,
        "synthetic_parts": ["inputs", "target"],
    }
    config = {"stages": {}, "dataset": "agedb"}
    wandb_run.open_run(tmp_path, name="agedb_rnc/seed=0 (synthetic data)", config=config, identity=identity,
                       project="p",
                       entity=None, tags=["agedb", None, "x" * 99], init_timeout=1, finish_timeout=1)  # fmt: skip
    wandb_run.finish(0)
    (found,) = written_runs(tmp_path)
    assert (found.config["dataset"], found.config["synthetic_data"]) == ("agedb_synthetic", True)
    assert list(found.run.tags) == ["agedb", "synthetic data", "x" * 64]


def test_the_environment_says_what_the_configuration_leaves_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"entity": None, "tags": ["digits"], "init_timeout": 1, "finish_timeout": 1}
    (tmp_path / "elsewhere").mkdir()
    for name, value in (
        ("PROJECT", "theirs"), ("ENTITY", "team"), ("NAME", "my run"), ("RUN_GROUP", "my group"),
        ("TAGS", "first,second"), ("DIR", str(tmp_path / "elsewhere")),
    ):  # fmt: skip
        monkeypatch.setenv(f"WANDB_{name}", value)
    (tmp_path / "run").mkdir()
    wandb_run.open_run(
        tmp_path / "run", name="e/seed=0", config={"stages": {}}, identity=IDENTITY, project=None, **settings
    )
    wandb_run.finish(0)
    (found,) = written_runs(tmp_path / "elsewhere")
    assert (found.run.project, found.run.entity) == ("theirs", "team")
    assert (found.run.display_name, found.run.run_group) == ("my run", "my group")
    assert list(found.run.tags) == ["digits", "first", "second"]
    assert not (tmp_path / "run/wandb").exists()


def test_the_command_line_says_more_than_the_environment() -> None:
    given = {"project": "mine", "entity": "me", "name": "run", "group": "g", "tags": ["a"], "dir": "run"}
    environment = {"WANDB_PROJECT": "theirs", "WANDB_ENTITY": "team", "WANDB_NAME": "", "WANDB_TAGS": ""}
    assert with_variables(given, environment) == given
    open_ = {**given, "project": None, "entity": None}
    assert with_variables(open_, {})["project"] == "rnc_lightning"
    assert with_variables(open_, {})["entity"] is None
    found = with_variables(open_, {**environment, "WANDB_JOB_TYPE": "trial"})
    assert (found["project"], found["entity"], found["job_type"]) == ("theirs", "team", "trial")


def test_the_configuration_names_no_project_so_that_the_environment_can() -> None:
    assert compose_config(["logger=wandb"]).logger.wandb.project is None
    assert compose_config(["logger=wandb", "logger.wandb.project=p"]).logger.wandb.project == "p"


def test_one_id_is_refused_for_many_runs() -> None:
    chosen = list(compose_config(["logger=[wandb,tensorboard]"]).logger.values())
    refuse_one_id_for_many(chosen, {})
    refuse_one_id_for_many(compose_config(["logger=tensorboard"]).logger.values(), {"WANDB_RUN_ID": "x"})
    with pytest.raises(UserError, match=r"^WANDB_RUN_ID=x: all runs would write into one W&B run; unset it"):
        refuse_one_id_for_many(chosen, {"WANDB_RUN_ID": "x"})


def test_a_sweep_with_one_id_ends_before_its_first_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = compose_config(["logger=wandb"])
    monkeypatch.setenv("WANDB_RUN_ID", "x")
    with pytest.raises(SystemExit):
        Sweep().on_multirun_start(config)
    assert capsys.readouterr().err.startswith("error: WANDB_RUN_ID=x: ")


def test_a_key_is_found_where_wandb_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert not wandb_run.has_key()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert wandb_run.has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert not wandb_run.has_key()
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert wandb_run.has_key()


def _raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: Any, **__: Any) -> None:
        raise error

    return function
