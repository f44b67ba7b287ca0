"""Settings that change nothing for what was scored: one line each, so that nobody waits for what does not come."""

from collections.abc import Sequence

from aulight.data.video.types import USUAL_FPS
from aulight.settings.predict import PART, PredictSettings


def for_photos(settings: PredictSettings) -> list[str]:
    """What was asked for that is for films alone, of photos."""
    lines = []
    if cut := [name for name in PART if getattr(settings, name) is not None]:
        lines.append(f"photos are scored one by one: {' and '.join(cut)} {'are' if cut[1:] else 'is'} for films")
    if settings.baseline != "none":
        lines.append(f"photos are scored as they are: baseline={settings.baseline} is for films")
    if settings.elan:
        lines.append("photos are scored one by one: elan=true is for films")
    return lines


def for_film(settings: PredictSettings, fps: float) -> list[str]:
    """What was asked for that is for pictures alone, of a film of so many frames a second."""
    if settings.fps in (USUAL_FPS, fps):
        return []
    advice = "" if settings.camera is not None else f"; rate={settings.fps:g} scores so many"
    return [f"fps={settings.fps:g} is for pictures: these frames come {fps:.4g} a second{advice}"]


def for_all(settings: PredictSettings, folders: Sequence[bool]) -> list[str]:
    """What changes nothing for any video of the command.

    Args:
        settings: Of the command.
        folders: Of each video, whether it is a folder of pictures.
    """
    lines = []
    if settings.pictures != "auto" and not any(folders):
        lines.append(f"pictures={settings.pictures} changes nothing: it is for folders of pictures")
    if settings.workers is not None and len(folders) == 1:
        lines.append(f"workers={settings.workers} changes nothing: one video is scored by one process")
    if settings.by_table:
        asked = {"device": settings.device == "auto", "precision": settings.precision == "32"}
        if given := [f"{name}={getattr(settings, name)}" for name, usual in asked.items() if not usual]:
            lines.append(
                f"{' and '.join(given)} {'change' if given[1:] else 'changes'} nothing: a table has no network"
            )
    return lines
