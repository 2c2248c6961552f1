"""The learning rates that come with digits: every head learns in every scheme, none collapses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from rnc_lightning.runs.run import run

EPOCHS = {"pretrain": 4, "linear_probe": 8, "fine_tune": 8, "end_to_end": 8, "regularization": 4}
QUIET = ["trainer.enable_progress_bar=false", "callbacks.model_summary=null", "print_config=false"]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the encoder that linear_probe and fine_tune share."""
    return tmp_path_factory.mktemp("encoders")


@pytest.mark.slow
@pytest.mark.parametrize("head", ["l1", "mse", "huber", "dex", "dldl_v2", "or", "corn"])
@pytest.mark.parametrize("scheme", list(EPOCHS)[1:])
def test_a_head_learns_at_its_default_rate(
    compose_config: Callable[..., DictConfig], encoders: Path, head: str, scheme: str
) -> None:
    words = ["+experiment=digits_rnc", f"head={head}", f"scheme={scheme}", "data.eval_angles=1", *QUIET]
    words += [f"recipe.{name}.epochs={epochs}" for name, epochs in EPOCHS.items()]
    run(compose_config(*words, "paths.run_dir=run", f"paths.encoder_dir={encoders}"), words)
    result = json.loads(Path("run/result.json").read_text())
    assert result["test"]["mae"] < 0.5 * result["constant"]["mae"]
