"""Files of a run that are damaged, removed or cannot be written: each is computed again, or refused in one line."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from data_faults import command, refusal
from disturbed import ONE, WORDS, Runs, wait_for_epoch, wait_until_gone

Fault = Callable[[Runs, Path, random.Random], tuple[bool, str]]

OF_A_FINISHED_RUN = ("config.yaml", "result.json", "encoder.safetensors", "encoder.json", "predictions.csv")
OF_A_STOPPED_RUN = (
    "config.yaml", "data_fingerprint.txt", "stages/pretrain/stage.json", "stages/pretrain/encoder.safetensors",
    "stages/regress/stage.json", "stages/regress/encoder.safetensors", "stages/regress/encoder.json",
    "stages/regress/best.ckpt", "stages/regress/metrics.csv",
)  # fmt: skip


def damaged(files: tuple[str, ...], finished: bool) -> Fault:
    """Empty, halve or delete one file, a different one each time."""

    def fault(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
        runs.undisturbed(ONE)
        shutil.copytree(runs.folder / "undisturbed0", place)
        if not finished:
            text = (place / "result.json").read_text(encoding="utf-8")
            (place / "result.json").write_text(text.replace('"finished"', '"unfinished"'), encoding="utf-8")
        path, how = place / draw.choice(files), draw.choice(["emptied", "halved", "deleted"])
        content = path.read_bytes()
        if how == "deleted":
            path.unlink()
        else:
            path.write_bytes(content[: len(content) // 2 if how == "halved" else 0])
        equal = runs.again(place, ONE)
        return equal and path.is_file() and path.stat().st_size > 0, f"{path.relative_to(place)} {how}: written again"

    return fault


def removed(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """Remove or move the run's directory while it is being trained."""
    running = runs.start(place, *ONE)
    wait_for_epoch(place, "pretrain", 3, running)
    place.rename(place.with_name(f"{place.name}-moved"))
    said = runs.end(running, 1)
    wait_until_gone(place)
    return "was removed" in said and not place.exists() and runs.again(place, ONE), said


def unusable_paths(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """Run directories that cannot be: a file, a device, a link to nothing, links in a circle, a name too long."""
    place.mkdir()
    (place / "file").touch()
    (place / "link").symlink_to(place / "nothing")
    (place / "circle").symlink_to(place / "circle")
    said = ""
    for path in (
        place / "file",
        place / "file/run",
        "/dev/full",
        place / "link",
        place / "circle",
        place / ("x" * 300),
    ):
        said = refusal(command(place, "train", *WORDS, *ONE, f"paths.run_dir={path}"))
    return True, said


def leaving_names(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """Names that become folders and would leave the folder of the runs."""
    (place / "here").mkdir(parents=True)
    words = ["data=digits", "method=l1", *ONE, "paths.output_dir=runs"]
    said = ""
    for word in ("dataset=../../../x", "method=../x", "dataset=/x", "dataset=.."):
        said = refusal(command(place / "here", "train", *words, word))
    return [path.name for path in place.iterdir()] == ["here"], said


def left_by_a_kill(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """Temporary files of a killed process are in the run's directory."""
    (place / "plots").mkdir(parents=True)
    names = [".result.4711.json", "plots/.umap.4711.png"]
    for name in names:
        (place / name).write_text("half", encoding="utf-8")
    equal = runs.again(place, ONE)
    return equal and not any((place / name).exists() for name in names), "deleted at the next start"


FILE_FAULTS: dict[str, tuple[Fault, int]] = {
    "files: one file of a finished run is emptied, halved or deleted": (damaged(OF_A_FINISHED_RUN, True), 5),
    "files: one file of a run stopped before its test is emptied, halved or deleted": (
        damaged(OF_A_STOPPED_RUN, False), 9,
    ),
    "files: the run directory is moved while the run is working": (removed, 1),
    "files: run directories that cannot be (refused, nothing to recover)": (unusable_paths, 1),
    "files: names that would leave the folder of the runs (refused, nothing to recover)": (leaving_names, 1),
    "files: temporary files of a killed process": (left_by_a_kill, 1),
}  # fmt: skip
