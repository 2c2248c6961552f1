import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from safetensors.torch import load_file

from rnc_lightning.command_line.quoting import path_quoted
from rnc_lightning.runs.run import run
from rnc_lightning.system.errors import UserError

Start = Callable[..., dict[str, Any]]


@pytest.fixture
def start(compose_config: Callable[..., DictConfig], tiny_digits: list[str]) -> Start:
    """Trains on tiny digits in a place of its own and returns the result."""

    def go(place: str, *words: str) -> dict[str, Any]:
        short = ("recipe.linear_probe.epochs=1", "recipe.fine_tune.epochs=1", "recipe.end_to_end.epochs=1")
        chosen = ["data=digits", *tiny_digits, *short, *words]
        run(compose_config(*chosen, f"paths.run_dir={place}"), chosen)
        found: dict[str, Any] = json.loads(Path(place, "result.json").read_text())
        return found

    return go


def test_an_encoder_goes_from_one_run_to_another(start: Start) -> None:
    source = start("source", "method=l1")
    probed = start("probed", "method=l1", "scheme=transfer_probe", "data.digits=[4]", "encoder_from=source")
    tuned = start("tuned", "method=l1", "scheme=transfer_fine_tune", "data.digits=[4]", "encoder_from=source")
    assert (probed["scheme"], tuned["scheme"]) == ("linear_probe", "fine_tune")
    assert list(probed["stages"]) == ["regress"]
    assert probed["encoder_from"]["setting"] == source["setting"]
    before, frozen, moved = (load_file(f"{place}/encoder.safetensors") for place in ("source", "probed", "tuned"))
    assert all(torch.equal(before[name], frozen[name]) for name in before)
    assert not all(torch.equal(before[name], moved[name]) for name in before)


def test_the_setting_knows_where_the_encoder_is_from(start: Start) -> None:
    settings = []
    for seed, width in ((0, 4), (1, 4), (0, 5)):
        words = ("method=l1", f"seed={seed}", f"encoder.width={width}")
        start(f"source{seed}{width}", *words, *(("data.eval_angles=2",) if width == 5 else ()))
        words = (*words, "scheme=transfer_probe", f"encoder_from=source{seed}{width}")
        settings.append(start(f"target{seed}{width}", *words)["setting"])
    assert settings[0] == settings[1] != settings[2]


def test_stage_one_can_go_on_from_another_run_s_encoder(start: Start) -> None:
    start("source", "method=l1")
    one = ("recipe.pretrain.epochs=1", "recipe.pretrain.lr=1e-12")
    start("fresh", "method=rnc", *one)
    start("warm", "method=rnc", *one, "+encoder_from=source")
    source, fresh, warm = (load_file(f"{place}/encoder.safetensors") for place in ("source", "fresh", "warm"))
    weights = [name for name in source if name.endswith("weight") and source[name].ndim == 4]
    assert all(torch.allclose(source[name], warm[name], atol=1e-6) for name in weights)
    assert not all(torch.allclose(source[name], fresh[name], atol=1e-3) for name in weights)


def test_encoders_that_are_not_there_or_do_not_fit(start: Start) -> None:
    with pytest.raises(UserError, match="encoder_from: Missing mandatory value"):
        start("a", "method=l1", "scheme=transfer_probe")
    with pytest.raises(UserError, match=r"encoder_from=nowhere: there is no finished encoder.*directory of a finished"):
        start("b", "method=l1", "scheme=transfer_probe", "encoder_from=nowhere")
    start("source", "method=l1")
    with pytest.raises(UserError, match=r"does not fit this encoder.*encoder=\.\.\. and input"):
        start("c", "method=l1", "scheme=transfer_probe", "encoder_from=source", "encoder.width=5")


def test_a_run_s_directory_needs_no_quotes(tmp_path: Path) -> None:
    place = tmp_path / "a=1,b=[2]"
    place.mkdir()
    assert path_quoted(f"encoder_from={place}") == f'encoder_from="{place}"'
    for word in (f"encoder_from='{place}'", f"encoder_from={place},{place}x", f"other={place}"):
        assert path_quoted(word) == word


def test_unseen_targets_are_told_apart(start: Start) -> None:
    result = start("run", "method=l1", "+data.subset.unseen.gap={low: -20, high: 20}")
    parts = result["targets"]
    counts = {part: parts[part]["count"] for part in parts}
    assert sum(counts.values()) == result["counts"]["test"]
    together = sum(parts[part]["mae"] * counts[part] for part in parts) / sum(counts.values())
    assert together == pytest.approx(result["test"]["mae"], rel=1e-5)
    lines = Path("run/subset.csv").read_text().splitlines()[1:]
    assert sum(line.startswith("train,") for line in lines) == result["counts"]["train"]
