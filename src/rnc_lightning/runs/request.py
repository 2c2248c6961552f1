"""What a command asks for, read once: below it nobody looks at the composed configuration or at options again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rnc_lightning.command_line.compose import check_keys, resolve_config
from rnc_lightning.command_line.identity import run_identity, run_name, run_path, setting_hash
from rnc_lightning.runs.source_encoder import encoder_file, setting_from, source_of


@dataclass(frozen=True)
class RunRequest:
    """One run that is asked for.

    Attributes:
        config: The configuration, resolved and checked, as plain values.
        options: The command line's options, which name the run.
        name: `<experiment>/<options>`: the same command gives the same name.
        path: Where the run lies or will lie.
    """

    config: Mapping[str, Any]
    options: tuple[str, ...]
    name: str
    path: Path

    @classmethod
    def read(cls, cfg: DictConfig | Mapping[str, Any], options: Sequence[str]) -> "RunRequest":
        """From a composed configuration, or from one that is resolved already.

        Raises:
            UserError: For a value that is missing or wrong, or a key that nothing would read.
        """
        config = resolve_config(cfg) if isinstance(cfg, DictConfig) else {str(key): value for key, value in cfg.items()}
        check_keys(config)
        return cls(config, tuple(options), run_name(config, options), run_path(config, options))

    @property
    def trainer(self) -> Mapping[str, Any]:
        """Arguments of the Trainer."""
        trainer: Mapping[str, Any] = self.config["trainer"]
        return trainer

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.config["seed"])

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages, in order."""
        return tuple(self.config["stages"])

    @property
    def encoder_dir(self) -> Path | None:
        """Where encoders of stage one are shared; None: they are not."""
        folder = self.config["paths"].get("encoder_dir")
        return Path(folder) if folder else None

    @property
    def encoder_file(self) -> Path | None:
        """The encoder of another run that this one starts from; None: it starts from none."""
        source = self.config.get("encoder_from")
        return encoder_file(source) if source else None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What `result.json` calls the run by.

        Raises:
            UserError: Where it starts from another run's encoder and there is none.
        """
        config = self.config
        experiment, kept = run_identity(config, self.options)
        added = [config.get("weighting_name"), config.get("calibration_name"), *config["regularizers"]]
        source = source_of(config.get("encoder_from"))
        return {
            "experiment": experiment,
            "overrides": kept,
            "dataset": config.get("dataset"),
            "method": config.get("method"),
            "scheme": config.get("scheme"),
            "head": config.get("head_name"),
            "seed": config.get("seed"),
            "with": [name for name in added if name and name != "objective"],  # that one is the scheme's
            "setting": setting_from(setting_hash(config), source),
            **({} if source is None else {"encoder_from": source}),
        }
