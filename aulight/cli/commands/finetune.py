"""``aulight finetune``: stage two, from a checkpoint (or from scratch) and a few labels to scored test subjects."""

from collections.abc import Sequence
from pathlib import Path

from aulight.runs.ahead import check_ahead
from aulight.runs.run import Run
from aulight.settings.finetune import FinetuneSettings


def finetune(settings: FinetuneSettings, folder: Path | None = None, typed: Sequence[str] = ()) -> None:
    """Runs stage two, or what is left of it.

    Args:
        settings: What to do. On top of stage one the network is the checkpoint's, whatever ``model`` says.
        folder: The run directory; without one, that of the run's name below ``root``.
        typed: Settings as they were typed: a network among them that is not the checkpoint's is refused.

    Raises:
        AulightError: For anything that a user can mend.
    """
    folder = folder or Path(settings.root, settings.name)
    run = Run.begin(folder, settings, typed)
    if run.done:
        return
    check_ahead(settings, begun=run.last is not None)
    from aulight.training import stage_two  # torch and Lightning, which take their time

    stage_two.learn(settings, folder, typed)
