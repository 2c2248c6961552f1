"""A run that is killed in the middle and goes on, beside undisturbed ones: are the numbers equal to the last digit?"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from disturbed import Runs, wait_for_epoch

from gpu.setting import Notes, Setting

EPOCHS = {True: (20, 10), False: (4, 3)}
_KILLED_AFTER = 2  # epochs of stage one
EXACT = ("trainer.deterministic=true", "trainer.benchmark=false")
_FULL = (  # `Runs` starts tiny ones; on a GPU the experiment as it is
    "data.digits=[1,2,3,4,5,6,7,9]", "data.size=32", "encoder.width=16", "encoder.stages=4",
    "recipe.pretrain.batch_size=64",
)  # fmt: skip


def measure(setting: Setting, notes: Notes) -> None:
    """With deterministic operations, where they must be equal, and by default, where they may not."""
    one, two = EPOCHS[setting.on_gpu]
    size = _FULL if setting.on_gpu else ("trainer=cpu",)
    options = [*size, f"recipe.pretrain.epochs={one}", f"recipe.linear_probe.epochs={two}", "plots=false"]
    settings = {"deterministic": [*options, *EXACT]} | ({"default": options} if setting.on_gpu else {})
    notes.remark(
        f"digits_rnc, {one} + {two} epochs; SIGKILL after epoch {_KILLED_AFTER} of stage one, then the same command. "
        f"Deterministic: `{' '.join(EXACT)}`, where anything but equal is a failure. Equal: test metrics, metrics of "
        "both stages and every prediction, to the last digit."
    )
    began = time.monotonic()
    kinds = ("undisturbed", "again", "killed") if setting.on_gpu else ("undisturbed", "killed")
    ends = _ends(Runs(setting.folder), settings, kinds, notes)
    notes.remark(f"all runs at once, {time.monotonic() - began:.0f} s")
    for name, found in ends.items():
        _compare(notes, name, found)


def _ends(
    runs: Runs, settings: Mapping[str, Sequence[str]], kinds: Sequence[str], notes: Notes
) -> dict[str, dict[str, str]]:
    """What each kind of run with each of the settings ends with; they are started together."""
    places = {(name, kind): runs.folder / f"{name}_{kind}" for name in settings for kind in kinds}
    running = {(name, kind): runs.start(place, *settings[name]) for (name, kind), place in places.items()}
    try:
        for name in settings:
            place, process = places[name, "killed"], running[name, "killed"]
            wait_for_epoch(place, "pretrain", _KILLED_AFTER, process)
            process.kill()
            process.communicate()
            if (place / "stages/pretrain/stage.json").is_file():
                notes.fail(f"{name}: stage one was finished before the run was killed, so this says nothing")
            running[name, "killed"] = runs.start(place, *settings[name])
        for process in running.values():
            runs.end(process, 0)
    finally:
        for process in running.values():
            process.kill()
    return {name: {kind: runs.outcome(places[name, kind]) for kind in kinds} for name in settings}


def _compare(notes: Notes, name: str, ends: Mapping[str, str]) -> None:
    undisturbed = ends["undisturbed"]
    row = {
        "undisturbed_once_more": ends["again"] == undisturbed if "again" in ends else None,
        "killed_and_gone_on_with": ends["killed"] == undisturbed,
    }
    difference = max(largest_difference(json.loads(end), json.loads(undisturbed)) for end in ends.values())
    notes.row("Equal to the undisturbed run", operations=name, **row, largest_relative_difference=difference)
    if name == "deterministic" and False in row.values():
        notes.fail(f"{name}: not equal, by up to {difference:.1e}")


def largest_difference(a: Any, b: Any) -> float:
    """The largest relative difference of numbers at the same place of two nested structures."""
    if isinstance(a, dict) and isinstance(b, dict):
        return max((largest_difference(a[key], b[key]) for key in a.keys() & b.keys()), default=0.0)
    if isinstance(a, list) and isinstance(b, list):
        return max((largest_difference(x, y) for x, y in zip(a, b, strict=False)), default=0.0)
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) / max(abs(a), abs(b), 1e-12)
    return 0.0
