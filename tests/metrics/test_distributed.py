import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnc_lightning.metrics import FeatureOrdinality, regression_metrics


def test_uneven_processes_give_the_value_of_the_whole(tmp_path):
    """Batches of different sizes on two processes, and then all samples on one of them."""
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(14, 2, generator=generator) * 5).round() / 5
    data = {
        "targets": targets,
        "predictions": targets + torch.rand(14, 2, generator=generator) / 5,
        "features": torch.rand(14, 6, generator=generator),
        "divisions": [
            [[torch.arange(9), torch.arange(9, 11)], [torch.arange(11, 14)]],
            [[torch.arange(9), torch.arange(9, 14)], []],
        ],
    }
    torch.save(data, tmp_path / "samples.pt")
    worker = Path(__file__).with_name("distributed_worker.py")
    paths = [str(tmp_path / name) for name in ("rendezvous", "samples.pt", "result")]
    subprocess.run([sys.executable, str(worker), *paths], check=True)

    metrics, ordinality = regression_metrics(2, angular_unit="radian"), FeatureOrdinality()
    metrics.update(data["predictions"], data["targets"])
    ordinality.update(data["features"], data["targets"])
    expected = {name: value.item() for name, value in (metrics.compute() | ordinality.compute()).items()}
    for rank in range(2):
        divided, one_sided = json.loads((tmp_path / f"result.{rank}").read_text())
        assert divided == pytest.approx(expected, rel=1e-10)
        assert one_sided == pytest.approx(expected, rel=1e-10)
