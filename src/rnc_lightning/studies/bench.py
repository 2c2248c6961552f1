"""The runs of a study: which they are, where they lie, what they ended with."""

import copy
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnc_lightning.command_line.compose import ComposedConfig, compose_config, config_directory
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.system.errors import UserError

# Nothing of this changes a result; a study draws its own figure.
QUIET = (
    "plots=false",
    "print_config=false",
    "trainer.enable_progress_bar=false",
    "callbacks.model_summary=null",
)


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Attributes:
        method: Which of the study's methods it is.
        seed: Its seed.
        levels: What else tells it apart in the study, such as `train_size`.
        request: What training it takes.
    """

    method: str
    seed: int
    levels: Mapping[str, Any]
    request: RunRequest = field(repr=False)

    @property
    def path(self) -> Path:
        """Its run directory."""
        return self.request.path

    @property
    def result(self) -> dict[str, Any]:
        """What it ended with.

        Raises:
            UserError: Where it has not ended well.
        """
        result = RunDirectory(self.path).finished()
        if result is None:
            raise UserError(f"{self.path}: this run of the study is not finished")
        return result

    @property
    def finished(self) -> bool:
        """Whether it has ended well."""
        return RunDirectory(self.path).finished() is not None

    @property
    def command(self) -> str:
        """The command that trains it alone."""
        return " ".join(["python -m rnc_lightning.train", *map(shlex.quote, self.request.options)])


class Bench:
    """Makes the runs of a study on one data set.

    Where `conf/budget/` has a file of the data set's name, all runs get it.

    Args:
        data: The data set's name in `conf/data/`.
        words: What every run gets, the user's own words last.
        folder: Where runs lie; the runs of all studies share it, so that none is trained twice.
    """

    def __init__(self, data: str, words: Sequence[str], folder: Path) -> None:
        self.data = data
        self.words = list(words)
        self.folder = folder
        self._composed: dict[tuple[str, ...], ComposedConfig] = {}

    def run(self, method: str, seed: int, words: Mapping[str, Any] | None = None, **levels: Any) -> StudyRun:
        """One run.

        Args:
            method: Its name in `conf/method/`.
            seed: Its seed.
            words: What it differs in, as key and value; `data` takes the place of the study's own.
            **levels: What tells it apart in the study's tables.
        """
        words = dict(words or {})
        data = words.pop("data", self.data)
        kept = [f"data={data}", f"method={words.pop('method', method)}"]
        if (config_directory() / "budget" / f"{data}.yaml").is_file():
            kept.append(f"+budget={data}")
        kept += [*self.words, *spelled(words)]
        config = self._config(tuple(kept), seed)
        kept.append(f"seed={seed}")
        return StudyRun(method, seed, levels, RunRequest.read(config, kept))

    def _config(self, words: tuple[str, ...], seed: int) -> ComposedConfig:
        """Composed once for all seeds: a composition takes longer than all else here."""
        if words not in self._composed:
            self._composed[words] = compose_config([*words, *QUIET, *spelled({"paths.output_dir": self.folder})])
        config = copy.deepcopy(self._composed[words])
        config.seed = seed
        return config


def spelled(words: Mapping[str, Any]) -> list[str]:
    """Keys and values as the words of a command line.

    >>> spelled({"data.size": 16, "scheme": "fine_tune", "data.digits": [1, 2], "+data.subset.unseen.a": {"low": 1}})
    ['data.size=16', 'scheme=fine_tune', 'data.digits=[1,2]', '+data.subset.unseen.a={low:1}']
    """
    return [f"{key}={_spelled(value)}" for key, value in words.items()]


def rows(runs: Iterable[StudyRun]) -> list[dict[str, Any]]:
    """A row a run: method, seed, levels, and the test metrics by name."""
    return [{"method": run.method, "seed": run.seed, **run.levels, **run.result["test"]} for run in runs]


def _spelled(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_spelled(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(_spelled, value)) + "]"
    return str(value) if not isinstance(value, Path) else json.dumps(str(value), ensure_ascii=False)
