"""The README.md of an exported encoder: what it is, how to load it, its test metrics, the terms of its data."""

from collections.abc import Mapping
from typing import Any

from rnc_lightning.command_line.tables import explain_worse, metric_label
from rnc_lightning.datasets.reading.data_source import DataSource
from rnc_lightning.finished_runs.finished_run import FinishedRun, describe_target
from rnc_lightning.finished_runs.input_description import PreparedInput
from rnc_lightning.numerics.number_text import format_number


def model_card(
    run: FinishedRun,
    prepared: PreparedInput,
    data: DataSource,
    features: int,
    backbone: Mapping[str, Any] | None,
    differences: Mapping[str, float] | None,
) -> str:
    """The model card as Markdown.

    Args:
        run: The run.
        prepared: The input of the encoder.
        data: The training data; they need not have been read.
        features: Number F of features.
        backbone: Arguments of `timm.create_model`; None for an encoder that is not from timm.
        differences: By kind of inputs, largest difference between ONNX Runtime and PyTorch (see `largest_difference`);
            None without an ONNX file.
    """
    result = run.result
    parts = [
        f"# {result['experiment']}, seed {result['seed']}",
        _summary(run, data, features),
        "## Inputs\n\n" + prepared.words + f" One input has the shape {prepared.shape}.",
        "## Load\n\n" + (_own_code(run) if backbone is None else _timm_code(backbone)),
        *([] if differences is None else [_onnx(run, differences)]),
        "## Measured on the test set\n\n" + _metrics(run),
        "## Data\n\n" + _data(run, data.terms),
        "## Training\n\n" + _training(run),
        "## Versions\n\n" + _versions(result),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(run: FinishedRun, data: DataSource, features: int) -> str:
    result = run.result
    encoder = run.config["encoder"]
    name = encoder.get("name") or str(encoder["_target_"]).rpartition(".")[2]
    if result.get("synthetic_data"):
        note = " **The data are synthetic: a program generated them. Do not use the encoder on real data.**"
    else:
        note = f" **Of the data, this is synthetic: {parts}.**" if (parts := ", ".join(data.synthetic_parts)) else ""
    return (
        f"An encoder ({name}, {features} features), trained by rnc_lightning: method {result['method']}, scheme "
        f"{result['scheme']}, head {result['head']}, to predict {describe_target(run.target)} on {result['dataset']}."
        f"{note} config.json has the content of this page for programs."
    )


def _timm_code(backbone: Mapping[str, Any]) -> str:
    arguments = {key: value for key, value in backbone.items() if key != "name"}
    more = "".join(f", {key}={value!r}" for key, value in arguments.items())
    return (
        "`model.safetensors` has the backbone with timm's parameter names, `encoder.safetensors` the same with the "
        "suite's prefix (`model.`):\n\n```python\nimport timm\n\n"
        f'encoder = timm.create_model("{backbone["name"]}", checkpoint_path="model.safetensors", num_classes=0{more})\n'
        "encoder.eval()\n```"
    )


def _own_code(run: FinishedRun) -> str:
    module, _, name = str(run.config["encoder"]["_target_"]).rpartition(".")
    return (
        "With rnc_lightning installed:\n\n```python\nimport json\nfrom pathlib import Path\n\n"
        f"from {module} import {name}\nfrom rnc_lightning.encoders.handoff import load_encoder\n\n"
        'settings = json.loads(Path("config.json").read_text())["encoder"]\n'
        'settings.pop("_target_")\n'
        f'encoder = {name}(**settings)\nload_encoder(encoder, Path("encoder.safetensors"))\nencoder.eval()\n```'
    )


def _onnx(run: FinishedRun, differences: Mapping[str, float]) -> str:
    largest = "; ".join(f"on {name} {value:.2g}" for name, value in differences.items())
    units = "standard deviations of the training labels" if run.target.is_scaled else "these units"
    return (
        "## ONNX\n\n`regressor.onnx` has encoder and head. Input `x`: any number of prepared inputs (float32); output "
        f"`prediction`: {describe_target(run.target)}. Largest difference of ONNX Runtime from PyTorch, in "
        f"{units}: {largest}."
    )


def _metrics(run: FinishedRun) -> str:
    result = run.result
    rows = ["| | this run | constant predictor |", "|---|---|---|"]
    for name, value in result["test"].items():
        label = metric_label(name, result["units"], list(result["target"]))
        rows.append(f"| {label} | {format_number(value)} | {format_number(result['constant'].get(name))} |")
    worse = [line for sentence in explain_worse(result) for line in ("", f"**{sentence}.**")]
    return "\n".join([*rows, *worse, "", f"One run, seed {result['seed']}; the variation between seeds is unknown."])


def _data(run: FinishedRun, terms: str) -> str:
    result = run.result
    counts = ", ".join(f"{count} {part}" for part, count in result["counts"].items())
    if result["synthetic_data"]:
        terms = "Synthetic data; the terms of the real data set do not apply to them."
    return f"{result['dataset']}: {counts}; fingerprint `{result['data_fingerprint']}`.\n\n{terms}"


def _training(run: FinishedRun) -> str:
    rows = ["| stage | epochs | batch size | optimiser | augmented | weights of epoch |", "|---|---|---|---|---|---|"]
    for name, stage in run.config["stages"].items():
        optimizer = {key: value for key, value in stage["optimizer"].items() if not key.startswith("_")}
        kind = str(stage["optimizer"]["_target_"]).rpartition(".")[2]
        settings = ", ".join(f"{key} {value}" for key, value in optimizer.items())
        chosen = run.result["stages"][name]["chosen_epoch"]
        rows.append(
            f"| {name} | {stage['epochs']} | {stage['batch_size']} | {kind} ({settings}) | "
            f"{'yes' if stage.get('augment', True) else 'no'} | {chosen} |"
        )
    options = " ".join(f"{key}={value}" for key, value in run.result["overrides"].items())
    note = f"Experiment `{run.result['experiment']}` with `{options}`; every value is in config.json, `training`."
    return "\n".join([*rows, "", note])


def _versions(result: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return f"{versions}; revision {result['git_revision'] or 'unknown'}, code {result['code']}."
