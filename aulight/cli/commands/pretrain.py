"""``aulight pretrain``: stage one, from unlabelled videos to a checkpoint."""

from pathlib import Path

from aulight.settings.pretrain import PretrainSettings
from aulight.training import stage_one


def pretrain(settings: PretrainSettings, folder: Path | None = None) -> None:
    """Runs stage one, or what is left of it.

    Args:
        settings: What to do.
        folder: The run directory; without one, that of the run's name below ``root``.

    Raises:
        AulightError: For anything that a user can mend.
    """
    stage_one.learn(settings, folder or Path(settings.root, settings.name))
