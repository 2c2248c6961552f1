"""A directory whose run differs from the one asked for only in its number of epochs."""

import re
from collections.abc import Sequence
from pathlib import Path


def other_epochs(path: Path, changes: Sequence[str]) -> str | None:
    """Why such a run is not continued, and what to do instead; None if the configurations differ in more.

    With another number of epochs every learning rate of a cosine changes, from the first epoch on: a finished run that
    was trained on would have numbers that no run from the start has.

    Args:
        path: Directory of the run.
        changes: From `config_differences`.

    >>> print(other_epochs(Path("run"), ["recipe.pretrain.epochs: 2 -> 4", "stages.pretrain.epochs: 2 -> 4"]))
    run holds this run with another number of epochs (pretrain: 2 -> 4), ...
    >>> other_epochs(Path("run"), ["stages.pretrain.epochs: 2 -> 4", "seed: 0 -> 1"])
    """
    found = [re.fullmatch(r"(recipe|stages)\.(\w+)\.epochs: (.*)", change) for change in changes]
    stages = [f"{match[2]}: {match[3]}" for match in found if match is not None and match[1] == "stages"]
    if not stages or not all(found):
        return None
    return (
        f"{path} holds this run with another number of epochs ({', '.join(stages)}), and its learning rates follow a "
        "cosine over all epochs, so that training on would not equal a run of that length: choose another directory "
        f"(paths.run_dir=...; by default there is one for each number), or start a new run from its encoder "
        f"(+encoder_from={path})"
    )
