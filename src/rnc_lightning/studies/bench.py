"""The runs of a study: their options, directories and results."""

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

# None of these changes a result; a study draws its own figure.
QUIET = ("plots=false", "print_config=false", "trainer.enable_progress_bar=false", "callbacks.model_summary=null")


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Attributes:
        method: Which of the study's methods it is.
        seed: Its seed.
        levels: What else distinguishes it in the study, such as `train_size`.
        request: The training run.
    """

    method: str
    seed: int
    levels: Mapping[str, Any]
    request: RunRequest = field(repr=False)

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.request.path

    @property
    def result(self) -> dict[str, Any]:
        """The contents of its `result.json`.

        Raises:
            UserError: If it is not finished.
        """
        result = RunDirectory(self.path).finished()
        if result is None:
            raise UserError(f"{self.path}: this run of the study is not finished")
        return result

    @property
    def finished(self) -> bool:
        """Whether it has finished successfully."""
        return RunDirectory(self.path).finished() is not None

    @property
    def command(self) -> str:
        """The command that trains only this run."""
        return " ".join(["python -m rnc_lightning.train", *map(shlex.quote, self.request.options)])


class Bench:
    """Makes the runs of a study on one data set.

    If `conf/budget/` has a file with the name of the data set, all runs use it.

    Args:
        data: Name of the data set in `conf/data/`.
        options: Options of every run.
        folder: Folder of the runs; all studies share it, so that no run is trained twice.
    """

    def __init__(self, data: str, options: Sequence[str], folder: Path) -> None:
        self.data = data
        self.options = list(options)
        self.folder = folder
        self._composed: dict[tuple[str, ...], ComposedConfig] = {}

    def run(self, method: str, seed: int, options: Mapping[str, Any] | None = None, **levels: Any) -> StudyRun:
        """Make one run.

        Args:
            method: Its name in `conf/method/`.
            seed: Its seed.
            options: Key -> value of its own options; `data` and `method` replace those of the study.
            **levels: What distinguishes it in the study's tables.
        """
        options = dict(options or {})
        data = options.pop("data", self.data)
        texts = [f"data={data}", f"method={options.pop('method', method)}"]
        if (config_directory() / "budget" / f"{data}.yaml").is_file():
            texts.append(f"+budget={data}")
        texts += [*self.options, *format_options(options)]
        config = self._config(tuple(texts), seed)
        return StudyRun(method, seed, levels, RunRequest.read(config, [*texts, f"seed={seed}"]))

    def runs(
        self, methods: Iterable[str], seeds: int, options: Mapping[str, Any] | None = None, **levels: Any
    ) -> list[StudyRun]:
        """Make a run of each method with each seed; see `run` for the arguments."""
        return [self.run(method, seed, options, **levels) for method in methods for seed in range(seeds)]

    def _config(self, options: tuple[str, ...], seed: int) -> ComposedConfig:
        """Compose once for all seeds, since composing takes longer than everything else here."""
        if options not in self._composed:
            folder = format_options({"paths.output_dir": self.folder})
            self._composed[options] = compose_config([*options, *QUIET, *folder])
        config = copy.deepcopy(self._composed[options])
        config.seed = seed
        return config


def format_options(options: Mapping[str, Any]) -> list[str]:
    """Format keys and values as options of a command line.

    >>> format_options({"data.size": 16, "data.digits": [1, 2], "+data.subset.unseen.a": {"low": 1}})
    ['data.size=16', 'data.digits=[1,2]', '+data.subset.unseen.a={low:1}']
    """
    return [f"{key}={_format_value(value)}" for key, value in options.items()]


def result_rows(runs: Iterable[StudyRun]) -> list[dict[str, Any]]:
    """Return one row per run: method, seed, levels, and the test metrics by name."""
    return [{"method": run.method, "seed": run.seed, **run.levels, **run.result["test"]} for run in runs]


def _format_value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_format_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(_format_value, value)) + "]"
    return str(value) if not isinstance(value, Path) else json.dumps(str(value), ensure_ascii=False)
