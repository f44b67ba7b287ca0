"""What is made of one video's table: events, a file for ELAN, pictures of its strongest moments, and numbers of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aulight.data.video.types import Frames
from aulight.files import alone, scratch, told_of
from aulight.prediction.after.elan import need_pympi, write_elan
from aulight.prediction.after.events import events_table
from aulight.prediction.after.moments import write_faces
from aulight.prediction.after.people import people_of, people_of_photos, strips, together
from aulight.prediction.after.records import ELAN, EVENTS, FACES, MOST_PEOPLE, After, Asked, Moment
from aulight.prediction.after.table import read_table
from aulight.prediction.companion import Companion, make_room, put, read_companion
from aulight.prediction.rows import FILE
from aulight.prediction.videos import Video
from aulight.prediction.writing import DIGITS
from aulight.settings.after import EventSettings
from aulight.settings.predict import PredictSettings

Picture = tuple[Moment, Frames]


def asked_of(settings: PredictSettings) -> Asked:
    """What is asked for.

    Args:
        settings: Of the command, in which ``summary`` is true or false.

    Raises:
        AulightError: Where what writes it is not installed.
    """
    if settings.elan:
        need_pympi()
    return Asked(
        events=None if settings.events is None else settings.events.model_dump(),
        elan=settings.elan,
        faces=bool(settings.summary) and settings.thumbnails,
    )


def endings(asked: Asked) -> list[str]:
    """What the names of the files end with, all of them."""
    there = {EVENTS: asked.events is not None, ELAN: asked.elan, FACES: asked.faces}
    return [ending for ending, wanted in there.items() if wanted]


def make_after(
    table: pd.DataFrame, made: Path, video: Video, output: Path, asked: Asked, pictures: Sequence[Picture] = ()
) -> After:
    """Makes of a table what is asked for.

    Args:
        table: As :func:`aulight.prediction.after.table.read_table` reads it.
        made: The folder that the files go into.
        video: The video.
        output: The folder in which its files will lie, with ``/`` of its name below.
        asked: What is.
        pictures: Of its strongest moments.
    """
    stem = Path(video.name).name
    if pictures and asked.faces:
        write_faces([picture for _, picture in pictures], made / f"{stem}{FACES}")
    moments = [moment for moment, _ in pictures] if asked.faces else []
    if FILE in table:
        return After(asked=asked, seconds=0.0, people=people_of_photos(table), moments=moments)
    settings = None if asked.events is None else EventSettings.model_validate(asked.events)
    people, found, tracks = people_of(table, settings)
    if settings is not None:
        with told_of(made / f"{stem}{EVENTS}"):
            events_table(found).round(DIGITS).to_csv(made / f"{stem}{EVENTS}", index=False)
    if asked.elan:
        film = video.path if video.path.exists() else None
        with told_of(made / f"{stem}{ELAN}"):
            write_elan(made / f"{stem}{ELAN}", found, film, (output / video.name).parent)
    seconds = np.sort(table["timestamp"].to_numpy(np.float64))
    steps = np.diff(np.unique(seconds))
    start, end = (float(seconds[0]), float(seconds[-1])) if len(seconds) else (0.0, 0.0)
    return After(
        asked=asked,
        seconds=round(end - start + (float(np.median(steps)) if len(steps) else 0.0), 4),
        people=people[:MOST_PEOPLE],
        more_people=max(0, len(people) - MOST_PEOPLE),
        together=together(tracks, found),
        strips=strips(tracks[0], start, end) if tracks else {},
        moments=moments,
    )


def refresh(output: Path, video: Video, asked: Asked) -> None:
    """Makes anew what other settings ask of a table that is there; pictures are kept where they are asked for.

    Args:
        output: The folder that is written into.
        video: A video that was scored before.
        asked: What is asked for now.

    Raises:
        AulightError: When there is a file in the way that is not ours.
    """
    before = read_companion(output, video.name)
    if before is None or _is_there(output, video, before, asked):
        return
    folder, stem = (output / video.name).parent, Path(video.name).name
    with alone(folder / f"{stem}.json", f"{video.path}: another process is scoring it"):
        make_room(output, video, endings(asked))
        before = read_companion(output, video.name)
        if before is None or before.sha256 is None or _is_there(output, video, before, asked):
            return
        faces = f"{stem}{FACES}"
        old = before.after
        moments = old.moments if old is not None and asked.faces and (folder / faces).is_file() else []
        made_anew = {f"{stem}{ending}" for ending in (EVENTS, ELAN, *(() if moments else (FACES,)))}
        kept = [name for name in before.files if name not in made_anew]
        table = f"{stem}.{before.settings.format}"
        with scratch(folder) as made:
            after = make_after(read_table(folder / table), made, video, output, asked)
            after = after.model_copy(update={"moments": moments, "rest": {} if old is None else old.rest})
            new = [path.name for path in made.iterdir()]
            put(made, output, video.name, before.model_copy(update={"files": sorted({*kept, *new}), "after": after}))


def _is_there(output: Path, video: Video, record: Companion, asked: Asked) -> bool:
    folder = (output / video.name).parent
    return (
        record.after is not None
        and record.after.asked == asked
        and all((folder / name).is_file() for name in record.files)
    )
