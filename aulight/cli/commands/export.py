"""``aulight export``: a finished model as one file, with a card that describes it."""

from aulight.errors import say
from aulight.prediction.there import check_there
from aulight.settings.export import ExportSettings


def export(settings: ExportSettings) -> None:
    """Writes a model and its card, and prints where they are.

    Args:
        settings: Of the command.

    Raises:
        AulightError: When there is no finished model, the output is there already, or the file scores otherwise.
    """
    check_there(settings.run)
    from aulight.prediction.export import CHECKED_FRAMES, write_model  # torch, which takes its time

    file = settings.file
    exported = write_model(settings.run, file, settings.licence)
    say(
        f"{file}: {exported.aus} AUs, {file.stat().st_size / 1e6:.1f} MB; scores {CHECKED_FRAMES} frames as "
        f"{settings.run} does, to {exported.difference:.1e}"
    )
    about = "left as it is, which is not its card" if exported.other else "its card"
    say(f"{exported.card}: {about}")
