"""What the encoder of a finished run takes: its shape, and how the data set says that a raw input becomes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnc_lightning.finished_runs.finished_run import FinishedRun


@dataclass(frozen=True)
class PreparedInput:
    """What goes into the encoder.

    Attributes:
        shape: Of one input.
        facts: How it is made of a raw one, as plain values; empty where the data set does not say it.
        words: The same in sentences.
    """

    shape: tuple[int, ...]
    facts: Mapping[str, Any]
    words: str


def prepared_input(run: FinishedRun) -> PreparedInput:
    """What the encoder of a run takes; the run's data are read only where without them the shape is unknown.

    Raises:
        UserError: Where they would have to be read and are missing, or are not what they were.
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
        "prepared: its code and its transform (`training.data.eval_transform` in config.json) say it."
    )
    return PreparedInput(shape, {}, words)
