"""``aulight pretrain``: stage one, from unlabelled videos to a checkpoint."""

from pathlib import Path

from aulight.runs.ahead import check_ahead
from aulight.runs.run import Run
from aulight.settings.pretrain import PretrainSettings


def pretrain(settings: PretrainSettings, folder: Path | None = None) -> None:
    """Runs stage one, or what is left of it.

    Args:
        settings: What to do.
        folder: The run directory; without one, that of the run's name below ``root``.

    Raises:
        AulightError: For anything that a user can mend.
    """
    folder = folder or Path(settings.root, settings.name)
    if Run.begin(folder, settings).done:
        return
    check_ahead(settings)
    from aulight.training import stage_one  # torch and Lightning, which take their time

    stage_one.learn(settings, folder)
