"""The input of a finished run's encoder: its shape, and how it is prepared from a raw input."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnc_lightning.finished_runs.finished_run import FinishedRun


@dataclass(frozen=True)
class PreparedInput:
    """The input of an encoder.

    Attributes:
        shape: Shape of one input, without the batch.
        facts: How it is prepared from a raw input, as plain values; empty if the data set does not describe it.
        words: The same in sentences.
    """

    shape: tuple[int, ...]
    facts: Mapping[str, Any]
    words: str


def prepared_input(run: FinishedRun) -> PreparedInput:
    """The input of a run's encoder; the run's data are read only if the shape is unknown without them.

    Raises:
        UserError: If the data must be read, and are missing or have changed.
    """
    datamodule = run.unread_data()
    example = datamodule.example_input()
    if example is None:
        datamodule = run.data_of_run
        example = datamodule.example_input()
    shape = tuple(datamodule.eval_transform(example).shape)
    description = datamodule.describe_input()
    if description is not None:
        return PreparedInput(shape, description.facts, description.words)
    words = (
        f"The data set ({type(datamodule).__module__}.{type(datamodule).__name__}) does not describe how an input is "
        "prepared: see its code and its transform (`training.data.eval_transform` in config.json)."
    )
    return PreparedInput(shape, {}, words)
