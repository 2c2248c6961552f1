"""Two processes that share the samples, forked so that the imports are done once; run by test_distributed.py.

Arguments: rendezvous file, file of samples, file for the results, to which each process adds its rank.
"""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from forked import run_forked

from rnc_lightning.metrics import FeatureOrdinality, regression_metrics


def main(rank: int, world: int, rendezvous: str, samples: str, result: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=world)
    data = torch.load(samples)
    metrics, ordinality = regression_metrics(2, angular_unit="radian"), FeatureOrdinality()
    values = []
    for parts in data["divisions"]:
        for part in parts[rank]:
            metrics.update(data["predictions"][part], data["targets"][part])
            ordinality.update(data["features"][part], data["targets"][part])
        found = metrics.compute() | ordinality.compute()
        values.append({name: value.item() for name, value in found.items()})
        metrics.reset()
        ordinality.reset()
    Path(f"{result}.{rank}").write_text(json.dumps(values))
    dist.destroy_process_group()


if __name__ == "__main__":
    run_forked(main, 2, *sys.argv[1:])
