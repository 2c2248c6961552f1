"""The run that a command asks for, read once: no other code looks at the composed configuration or the options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rnc_lightning.command_line.compose import check_keys, resolve_config
from rnc_lightning.command_line.identity import run_identity, run_name, run_path, setting_hash
from rnc_lightning.runs.source_encoder import encoder_file, pretrained_weights, setting_with_source, source_of


@dataclass(frozen=True)
class RunRequest:
    """One requested run.

    Attributes:
        config: The configuration, resolved and checked, as plain values.
        options: The options of the command line; they name the run.
        name: `<experiment>/<options>`: the same command gives the same name.
        path: The run directory; it need not exist yet.
    """

    config: Mapping[str, Any]
    options: tuple[str, ...]
    name: str
    path: Path

    @classmethod
    def read(cls, cfg: DictConfig | Mapping[str, Any], options: Sequence[str]) -> "RunRequest":
        """Create a request from a composed configuration, or from one that is already resolved.

        Args:
            cfg: The configuration.
            options: The options of the command line.

        Raises:
            UserError: For a value that is missing or wrong, or an unknown key.
        """
        config = resolve_config(cfg) if isinstance(cfg, DictConfig) else {str(key): value for key, value in cfg.items()}
        check_keys(config)
        return cls(config, tuple(options), run_name(config, options), run_path(config, options))

    @property
    def trainer(self) -> Mapping[str, Any]:
        """Arguments of the Trainer."""
        return self.config["trainer"]

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
        """Folder of the shared stage-one encoders; None: encoders are not shared."""
        folder = self.config["paths"].get("encoder_dir")
        return Path(folder) if folder else None

    @property
    def encoder_file(self) -> Path | None:
        """File of another run's encoder that this run starts from; None: it does not start from one."""
        source = self.config.get("encoder_from")
        return encoder_file(source) if source else None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What identifies the run in `result.json`: experiment, data, method, seed and so on.

        Raises:
            UserError: If the run starts from another run's encoder and that does not exist.
        """
        config = self.config
        experiment, overrides = run_identity(config, self.options)
        added = [config.get("weighting_name"), config.get("calibration_name"), *config["regularizers"]]
        source = source_of(config.get("encoder_from"))
        weights = pretrained_weights(config["encoder"])
        return {
            "experiment": experiment,
            "overrides": overrides,
            "dataset": config.get("dataset"),
            "method": config.get("method"),
            "scheme": config.get("scheme"),
            "head": config.get("head_name"),
            "seed": config.get("seed"),
            "with": [name for name in added if name and name != "objective"],  # the scheme adds that one
            "setting": setting_with_source(setting_hash(config), source),
            **({} if source is None else {"encoder_from": source}),
            **({} if weights is None else {"encoder_weights": weights}),
        }
