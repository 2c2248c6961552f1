from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from rnc_lightning.command_line.commands import names_in
from rnc_lightning.command_line.compose import compose_config, config_directory
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.studies.bench import Bench, StudyRun
from rnc_lightning.studies.settings import ChosenStudy, load_study
from rnc_lightning.system.errors import UserError

HERE = Path("runs")


def choices() -> Iterator[tuple[str, str]]:
    """Each study with each data set that it names, and with AgeDB where it needs to know nothing of the data."""
    for name in names_in("study"):
        loaded = OmegaConf.load(config_directory() / "study" / f"{name}.yaml")
        for data in loaded.get("by_data") or {"agedb": None}:
            yield name, str(data)


class Listing(Bench):
    """Only records the options of the runs, since composing is slow."""

    def run(self, method: str, seed: int, options: Mapping[str, Any] | None = None, **levels: Any) -> StudyRun:
        name = f"{method},{seed},{options},{levels}".replace("/", "_")
        options = dict(options or {})
        data = options.pop("data", self.data)
        assert (config_directory() / "data" / f"{data}.yaml").is_file()
        texts = (f"data={data}", f"method={options.pop('method', method)}", *map(str, options))
        return StudyRun(method, seed, levels, RunRequest({}, texts, name, Path(name)))


def listed(chosen: ChosenStudy) -> list[list[StudyRun]]:
    return chosen.study.phases(Listing(chosen.bench.data, [], HERE))


@pytest.fixture(scope="module")
def configs() -> list[DictConfig]:
    """Configurations whose options a study may change: of one scheme, and of one that starts from another run."""
    return [compose_config(["data=digits"]), compose_config(["data=digits", "scheme=transfer_probe", "encoder_from=x"])]


@pytest.mark.parametrize(("name", "data"), list(choices()))
def test_every_study_lists_its_runs(name: str, data: str, configs: list[DictConfig]) -> None:
    chosen = load_study(name, [f"data={data}"], HERE, seeds=2)
    assert chosen.study.title
    assert chosen.study.question.endswith("?")
    runs = [run for phase in listed(chosen) for run in phase]
    assert {run.seed for run in runs} == {0, 1}
    assert len({run.path for run in runs}) == len(runs)
    for run in runs:
        method = run.request.options[1].removeprefix("method=")
        assert (config_directory() / "method" / f"{method}.yaml").is_file()
        for option in run.request.options[2:]:
            known = option.removeprefix("+").partition(".unseen.")[0] if option.startswith("+") else option
            assert any(OmegaConf.select(config, known, default="none") != "none" for config in configs), option


@pytest.mark.slow
@pytest.mark.parametrize(("name", "data"), list(choices()))
def test_every_run_of_every_study_composes(name: str, data: str, tmp_path: Path) -> None:
    chosen = load_study(name, [f"data={data}"], tmp_path, seeds=1)
    paths = [run.path for phase in chosen.study.phases(chosen.bench) for run in phase]
    assert len(set(paths)) == len(paths) > 0


def test_a_study_needs_no_more_options_if_its_yaml_knows_the_data() -> None:
    chosen = load_study("robustness", ["recipe.pretrain.epochs=2"], HERE)
    assert (chosen.bench.data, chosen.bench.options, chosen.bench.folder) == (
        "digits",
        ["recipe.pretrain.epochs=2"],
        HERE,
    )
    assert vars(chosen.study)["side"] == 64  # by_data
    assert vars(load_study("robustness", ["data=agedb"], HERE).study)["side"] is None
    assert load_study("robustness", ["data=agedb", "data=imdb_wiki"], HERE).bench.data == "imdb_wiki"


def test_options_replace_settings() -> None:
    options = ["data=digits", "study.sizes={50: {data.subset.size: 50, seed: 1}}", "study.methods={l1: A, simclr: B}"]
    study = load_study("reduced_data", options, HERE, seeds=1).study
    runs = [run for phase in study.phases(Listing("digits", [], HERE)) for run in phase]
    assert [(run.method, run.levels) for run in runs] == [(m, {"train_size": 50}) for m in ("l1", "simclr")]
    numbers = load_study("reduced_data", ["data=tuab", "study.sizes=[100,200]"], HERE, seeds=1).study
    assert [run.levels["train_size"] for run in listed(ChosenStudy(numbers, Bench("tuab", [], HERE)))[0]] == [
        *[200] * 2,
        *[100] * 2,
    ]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "robustness",
            ["study.corruption=[fog]"],
            r"study\.corruption: unknown option; did you mean study\.corruptions\?",
        ),
        ("robustness", ["study.corruptions=[fogg]"], "study robustness: corruption=fogg: .*did you mean fog"),
        ("robustness", ["study.methods={l1: L1}"], "study robustness: methods: two or more are compared, got l1"),
        ("robustness", ["study.seeds"], "study.seeds: an option is key=value"),
        ("robustness", ["study.corruptions=[fog"], r"study\.corruptions=\[fog: "),
        ("robustness", ["data=agedb,imdb_wiki"], "data=agedb,imdb_wiki: a study takes one data set"),
        ("reduced_data", ["data=tuab"], r"sizes for data=tuab: set study\.sizes=\.\.\., or add by_data\.tuab to "),
        ("unseen_targets", ["data=tuab"], "has no value of ranges .*; it has digits, imdb_wiki, agedb"),
    ],
)
def test_errors_are_one_line(name: str, options: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_study(name, options, HERE)
