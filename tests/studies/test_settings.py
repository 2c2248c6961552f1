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
    """Composes nothing, which takes long: it remembers the words of the runs."""

    def run(self, method: str, seed: int, words: Mapping[str, Any] | None = None, **levels: Any) -> StudyRun:
        named = f"{method},{seed},{words},{levels}".replace("/", "_")
        words = dict(words or {})
        data = words.pop("data", self.data)
        assert (config_directory() / "data" / f"{data}.yaml").is_file()
        kept = (f"data={data}", f"method={words.pop('method', method)}", *map(str, words))
        return StudyRun(method, seed, levels, RunRequest({}, kept, named, Path(named)))


def listed(chosen: ChosenStudy) -> list[list[StudyRun]]:
    return chosen.study.phases(Listing(chosen.bench.data, [], HERE))


@pytest.fixture(scope="module")
def configs() -> list[DictConfig]:
    """What a study's words may change: of one scheme, or of one that starts from another run."""
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
        for word in run.request.options[2:]:
            known = word.removeprefix("+").partition(".unseen.")[0] if word.startswith("+") else word
            assert any(OmegaConf.select(config, known, default="none") != "none" for config in configs), word


@pytest.mark.slow
@pytest.mark.parametrize(("name", "data"), list(choices()))
def test_every_run_of_every_study_composes(name: str, data: str, tmp_path: Path) -> None:
    chosen = load_study(name, [f"data={data}"], tmp_path, seeds=1)
    paths = [run.path for phase in chosen.study.phases(chosen.bench) for run in phase]
    assert len(set(paths)) == len(paths) > 0


def test_a_study_needs_no_more_words_where_its_yaml_knows_the_data() -> None:
    chosen = load_study("robustness", ["recipe.pretrain.epochs=2"], HERE)
    assert (chosen.bench.data, chosen.bench.words, chosen.bench.folder) == (
        "digits",
        ["recipe.pretrain.epochs=2"],
        HERE,
    )
    assert vars(chosen.study)["side"] == 64  # by_data
    assert vars(load_study("robustness", ["data=agedb"], HERE).study)["side"] is None
    assert load_study("robustness", ["data=agedb", "data=imdb_wiki"], HERE).bench.data == "imdb_wiki"


def test_words_take_the_place_of_settings() -> None:
    words = ["data=digits", "study.sizes={50: {data.subset.size: 50, seed: 1}}", "study.methods={l1: A, simclr: B}"]
    study = load_study("reduced_data", words, HERE, seeds=1).study
    runs = [run for phase in study.phases(Listing("digits", [], HERE)) for run in phase]
    assert [(run.method, run.levels) for run in runs] == [(m, {"train_size": 50}) for m in ("l1", "simclr")]
    numbers = load_study("reduced_data", ["data=tuab", "study.sizes=[100,200]"], HERE, seeds=1).study
    assert [run.levels["train_size"] for run in listed(ChosenStudy(numbers, Bench("tuab", [], HERE)))[0]] == [
        *[200] * 2,
        *[100] * 2,
    ]


@pytest.mark.parametrize(
    ("name", "words", "told"),
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
def test_what_is_wrong_is_told_in_one_line(name: str, words: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        load_study(name, words, HERE)
