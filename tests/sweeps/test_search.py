"""A search over a run's settings: every process trains the same trial, and the same command is only read."""

import json
import shlex
from pathlib import Path

import pytest
import yaml
from sweep_runs import records, results, sweep

optuna = pytest.importorskip("optuna")

SEARCH = ("+search=rnc", "hydra.sweeper.n_trials=3")


@pytest.mark.slow
def test_all_processes_train_the_same_trial_and_the_same_command_reads_it(
    tiny_digits: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "checks"), prepend=":")
    place = tmp_path / "runs"
    words = ["+experiment=digits_rnc", *tiny_digits, "trainer=ddp_cpu", *SEARCH]
    words.append(f"+callbacks.seen={{_target_: seen_rates.RecordLearningRates, folder: {tmp_path / 'seen'}}}")
    ended = sweep(place, *words)
    assert ended.returncode == 0, ended.stderr
    held = {}
    for path in place.glob("digits_rnc/*/config.yaml"):
        config = yaml.safe_load(path.read_text())
        held[config["stages"]["pretrain"]["optimizer"]["lr"]] = json.loads(path.with_name("result.json").read_text())
    assert len(held) == 3
    seen = [json.loads(path.read_text()) for path in (tmp_path / "seen").iterdir()]
    assert sorted((s["rank"], s["lr"]) for s in seen) == sorted((rank, lr) for rank in range(2) for lr in held)

    best = min(held.values(), key=lambda result: result["stages"]["regress"]["metrics"]["val/mae"])
    value = best["stages"]["regress"]["metrics"]["val/mae"]
    assert f"best: val/mae {value:.6g}" in ended.stdout
    latest = max((place / "sweeps").iterdir())
    found = yaml.safe_load((latest / "optimization_results.yaml").read_text())
    assert found["best_value"] == pytest.approx(value)
    again = sweep(place, *words)
    assert again.returncode == 0
    assert [record["status"] for record in records(place)] == ["finished before"] * 3
    assert len(list((place / "sweeps").iterdir())) == 2
    assert len(results(place)) == 3


@pytest.mark.slow
def test_a_failing_trial_ends_no_search_and_is_listed(tiny_digits: list[str], tmp_path: Path) -> None:
    words = ["+experiment=digits_l1", *tiny_digits, "+search=seeded", "hydra.sweeper.n_trials=4"]
    ended = sweep(tmp_path / "runs", *words, "head=huber", "head.delta=choice(0,1)")
    statuses = {record["overrides"][0]: record["status"] for record in records(tmp_path / "runs")}
    assert len(records(tmp_path / "runs")) == 4
    assert set(statuses) == {"head.delta=0", "head.delta=1"}, "another seed of the sampler is needed"
    assert statuses["head.delta=0"] == "failed"
    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout + ended.stderr
    (command,) = [line for line in ended.stdout.splitlines() if line.startswith("  python -m rnc_lightning.train")]
    assert "head.delta=1" in shlex.split(command)


def test_without_the_extra_the_remedy_is_one_line(capfd: pytest.CaptureFixture) -> None:
    from rnc_lightning.command_line import messages as cli

    def no_group() -> None:
        from hydra.errors import ConfigCompositionException

        raise ConfigCompositionException("In 'hydra/sweeper/optuna': Could not find 'hydra/sweeper/sampler/tpe'")

    with pytest.raises(SystemExit):
        cli.run_plain(no_group)
    assert "pip install 'rnc-lightning[sweep]'" in capfd.readouterr().err
