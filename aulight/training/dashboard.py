"""The workspace on Weights & Biases in which to watch runs, as code."""

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aulight.datasets import BP4D_AUS, DISFA_AUS
from aulight.errors import AulightError, one_line
from aulight.facs import column
from aulight.settings.dashboard import DashboardSettings
from aulight.training.tracking import ANSWER_S, unreachable

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace


def save(settings: DashboardSettings) -> str:
    """Saves the workspace to the project on W&B; returns where it is.

    Raises:
        AulightError: Without the package, a key or an answer, or when W&B refuses.
    """
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise AulightError('dashboard: wandb-workspaces is not installed; pip install "aulight[sweep]"')
    aus = sorted({*DISFA_AUS, *BP4D_AUS}) if settings.aus is None else settings.aus
    if reason := unreachable():
        raise AulightError(f"dashboard: W&B cannot be reached ({reason})")
    import wandb

    try:
        entity = settings.entity or str(wandb.Api(timeout=ANSWER_S).default_entity)
        saved = workspace(entity, settings.project, settings.name, [column(au) for au in aus])
        saved.save()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise AulightError(f"dashboard: W&B refused it ({one_line(error) or type(error).__name__})") from error
    return str(saved.url)


def workspace(entity: str, project: str, name: str, aus: Sequence[str]) -> "Workspace":
    """Builds the workspace: label efficiency, scores of each AU, health of the training, media.

    Args:
        entity: Team or user.
        project: Where the runs are.
        name: Of the workspace.
        aus: Names of the AUs, for example ``AU01``.
    """
    from wandb_workspaces.reports.v2 import interface as panels
    from wandb_workspaces.workspaces import Section, Workspace

    arm, fraction = panels.Config("arm"), panels.Config("label_fraction")
    efficiency: list[Any] = [
        panels.ScatterPlot(
            title=f"{metric.upper()} on test subjects against the share of labels",
            x=fraction,
            y=panels.SummaryMetric(f"test/{metric}"),
            log_x=True,
            legend_template="${config:arm} seed ${config:seed}, fold ${config:fold}",
        )
        for metric in ("icc", "mae")
    ]
    efficiency += [
        panels.BarPlot(
            title=f"ICC on test subjects by {title}", metrics=["test/icc"], groupby=key, groupby_rangefunc="stddev"
        )
        for title, key in (("arm", arm), ("share of labels", fraction))
    ]
    per_au: list[Any] = [
        panels.BarPlot(
            title=f"{metric.upper()} of each AU on test subjects",
            metrics=[f"test/{metric}_{au}" for au in aus],
            groupby=arm,
        )
        for metric in ("icc", "mae", "mse")
    ]
    per_au += [
        panels.LinePlot(title="ICC of each AU on validation subjects", y=[f"val/icc_{au}" for au in aus]),
        panels.WeavePanelSummaryTable(table_name="test/per_au"),
    ]
    health: list[Any] = [
        panels.LinePlot(title=title, y=list(keys))
        for title, keys in (
            ("Loss", ["train/loss"]),
            ("Validation ICC", ["val/icc"]),
            ("ICC of a linear probe", ["probe/icc"]),
            ("Same frame in the other view, top-1", ["train/instance_top1_same", "train/instance_chance_same"]),
            ("Frames to come, top-1", ["train/predictive_top1_same", "train/predictive_chance_same"]),
            ("Among all videos, top-1", ["train/predictive_top1", "train/predictive_chance"]),
            ("Learning rate", ["lr", "lr_encoder"]),
            ("Frames a second", ["speed/frames_per_s"]),
            ("Share of time waiting for data", ["speed/data_wait"]),
        )
    ]
    media: list[Any] = [
        panels.MediaBrowser(title="Predicted and true intensities", media_keys=["test/timelines"]),
        panels.MediaBrowser(title="A test face", media_keys=["test/face"]),
    ]
    sections = {"Label efficiency": efficiency, "Per AU": per_au, "Training health": health, "Media": media}
    return Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[Section(name=title, panels=shown, is_open=True) for title, shown in sections.items()],
    )
