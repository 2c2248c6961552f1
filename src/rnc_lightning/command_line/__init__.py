"""From the options of a command to a configuration, and back to what a person reads."""

from typing import TYPE_CHECKING

from rnc_lightning.system.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from rnc_lightning.command_line.compose import composed, config_directory, plain

__all__ = ["composed", "config_directory", "plain"]

__getattr__ = lazy_exports(
    __name__,
    {"composed": "compose", "config_directory": "compose", "plain": "compose"},
)
