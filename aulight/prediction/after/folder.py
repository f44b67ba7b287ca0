"""Which names the files over all videos take, and when these files are written."""

from collections.abc import Sequence
from pathlib import Path

from aulight.prediction.after.overview import COOCCURRENCE, SUMMARY, read_overview
from aulight.settings.predict import PredictSettings


def resolved(settings: PredictSettings, videos: int, output: Path) -> PredictSettings:
    """The settings with ``summary`` true or false: where it is not said, of several videos, or where it was before.

    Args:
        settings: Of the command.
        videos: How many there are.
        output: The folder that is written into.
    """
    if settings.summary is not None:
        return settings
    return settings.model_copy(update={"summary": videos > 1 or read_overview(output) is not None})


def clash(names: Sequence[str], summary: bool) -> str | None:
    """Why the files of videos and those made of them cannot lie in one folder, or ``None`` where they can.

    Args:
        names: Of the videos.
        summary: Whether there are files over all of them.
    """
    there = {name.casefold(): name for name in names}
    for name in names:
        if f"{name}.events".casefold() in there:
            return (
                f"the events of {name} would be called as the table of {there[f'{name}.events'.casefold()]}; rename one"
            )
    for file in (SUMMARY, COOCCURRENCE) if summary else ():
        if (stem := Path(file).stem) in there:
            return f"a video is called {stem}, as the table over all of them; rename it, or summary=false"
    return None
