"""From the options of a command to a configuration, and the messages and tables that commands print."""

from typing import TYPE_CHECKING

from rnc_lightning.system.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from rnc_lightning.command_line.compose import compose_config, config_directory, resolve_config

__all__ = ["compose_config", "config_directory", "resolve_config"]

__getattr__ = lazy_exports(
    __name__,
    {"compose_config": "compose", "config_directory": "compose", "resolve_config": "compose"},
)
