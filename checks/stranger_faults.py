"""Runs, configurations and files from strangers: what they name is not executed, and what is wrong is one line."""

import random
from collections.abc import Callable
from pathlib import Path

from disturbed import Runs

Fault = Callable[[Runs, Path, random.Random], tuple[bool, str]]

# By name: the fault, and how often it is tried. Names begin with "strangers:", so that --only strangers selects them.
STRANGER_FAULTS: dict[str, tuple[Fault, int]] = {}
