"""``aulight pretrain``: stage one, from unlabelled videos to a checkpoint."""

from collections.abc import Sequence
from pathlib import Path

from aulight.runs.ahead import check_ahead
from aulight.runs.run import Run
from aulight.settings.pretrain import PretrainSettings


def pretrain(settings: PretrainSettings, folder: Path | None = None, typed: Sequence[str] = ()) -> None:
    """Runs stage one, or what is left of it.

    Args:
        settings: What to do.
        folder: The run directory; without one, that of the run's name below ``root``.
        typed: Settings as they were typed: they must be those of a run that is there already.

    Raises:
        AulightError: For anything that a user can mend.
    """
    folder = folder or Path(settings.root, settings.name)
    if Run.begin(folder, settings, typed).done:
        return
    check_ahead(settings)
    from aulight.training import stage_one  # torch and Lightning, which take their time

    stage_one.learn(settings, folder, typed)
