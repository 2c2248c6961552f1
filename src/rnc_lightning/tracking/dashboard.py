"""Create a dashboard of a W&B project: `python -m rnc_lightning.tracking.dashboard project=NAME [out=spec.json]`.

It is saved as a view of the project's workspace. The project's runs and other views are not changed.
"""

import json
from typing import TYPE_CHECKING, Any

from rnc_lightning.command_line.options import run_command
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

TABLE = ("test/mae", "test/r2", "test/gmean", "test/spearman", "test/kendall", "regress/val/mae", "constant/mae")
METHOD = (
    "method",
    "head_name",
    "scheme",
)  # table and panels are grouped by these, so they show means over seeds
ORDINALITY = ("test/spearman", "test/kendall")
PROJECTIONS = ("plots/projection_pca", "plots/predictions")


def dashboard(project: str, entity: str) -> "Workspace":
    """The view: table of methods, error over epochs, loss minus its floor, ordinality, projections.

    Args:
        project: W&B project.
        entity: W&B user or team.

    Raises:
        UserError: If wandb-workspaces is not installed.
    """
    try:
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
    except ModuleNotFoundError:
        raise UserError("the dashboard needs wandb-workspaces: pip install 'rnc-lightning[dashboard]'") from None

    panels: Any = reports  # type checkers cannot see the names that it exports

    def curve(title: str, stage: str, metric: str, **options: Any) -> Any:
        return panels.LinePlot(title=title, x=f"{stage}/epoch", y=[f"{stage}/{metric}"], title_x="epoch", **options)

    def bars(title: str, metric: str) -> Any:
        return panels.BarPlot(title=title, metrics=[metric])

    against_error = panels.ScatterPlot(
        title="Ordinality and test error", x=panels.SummaryMetric(ORDINALITY[0]), y=panels.SummaryMetric("test/mae")
    )
    contents = {
        "Methods": [bars("Test error", "test/mae"), panels.RunComparer(diff_only="split")],
        "Regressor": [
            curve("Validation error of the regressor", "regress", "val/mae"),
            curve("Training loss of the regressor", "regress", "train/loss"),
        ],
        "Stage one": [
            curve("Loss minus its floor", "pretrain", "train/excess", log_y=True),
            curve("Loss", "pretrain", "train/loss"),
        ],
        "Ordinality": [*(bars(f"Ordinality of the test features: {key}", key) for key in ORDINALITY), against_error],
        "Projections and predictions": [
            panels.MediaBrowser(title=key, media_keys=[key], num_columns=3) for key in PROJECTIONS
        ],
    }
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name="Methods (rnc_lightning)",
        sections=[workspaces.Section(name=name, panels=content, is_open=True) for name, content in contents.items()],
        runset_settings=workspaces.RunsetSettings(
            groupby=[workspaces.Config(key) for key in METHOD],
            order=[workspaces.Ordering(workspaces.Summary(TABLE[0]), ascending=True)],
            pinned_columns=[f"summary:{key}" for key in TABLE],
        ),
    )


def specification(view: "Workspace") -> dict[str, Any]:
    """The specification that is sent to W&B, as plain values."""
    return json.loads(view._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))


def save(project: str, entity: str | None) -> str:
    """Save the view in the project, and return its address.

    Raises:
        UserError: If there is no key, no such project, or no network.
    """
    import wandb

    try:
        view: Any = dashboard(project, entity or str(wandb.Api().default_entity))
        return str(view.save().url)
    except (wandb.Error, ValueError, OSError) as error:
        raise UserError(
            f"W&B did not accept the dashboard of {project}: {str(error).rstrip('.')}. "
            "Is there a key (wandb login), and does the project have a run? out=FILE writes it to a file, without W&B."
        ) from error


def _run(options: dict[str, Any], _: list[str]) -> None:
    project, entity, out = options["project"], options["entity"], options["out"]
    if out is None:
        print(save(project, entity))
        return
    write_text(out, json.dumps(specification(dashboard(project, entity or "entity")), indent=1))
    print(out)


def main() -> None:
    """Entry point."""
    run_command("dashboard", _run)


if __name__ == "__main__":
    main()
