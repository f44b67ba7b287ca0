"""The files over all videos of a folder, written whole by whoever has just scored something there."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from aulight.data.own import refuse_foreign
from aulight.errors import AulightError, VideoError
from aulight.files import alone, publish, remove_leftovers, scratch, sha256, whole
from aulight.foreign.json import read_json
from aulight.prediction.after.page import page
from aulight.prediction.after.summary import Failed, cooccurrence_table, summary_table
from aulight.prediction.companion import Companion, read_companion
from aulight.prediction.writing import PARTIAL
from aulight.version import __version__

RECORD = "summary.json"
SUMMARY, COOCCURRENCE, PAGE = "summary.csv", "cooccurrence.csv", "index.html"
FILES = (SUMMARY, COOCCURRENCE, PAGE)

_LARGEST = 1 << 22  # bytes of a companion; real ones are far smaller
_TOO_LARGE = "its record, perhaps of very many people, is too large to be summed up; score it into another output="


class Overview(BaseModel):
    """What ``summary.json`` says of the files beside it.

    Attributes:
        overview: Of how many videos they are.
        files: Their names.
        sha256: Of each of them; while they are put in their places, also of what was there before.
        failed: Videos of which nothing could be scored, by their names: path and reason.
        aulight: The version that wrote them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    overview: int
    files: list[str]
    sha256: dict[str, list[str]]
    failed: dict[str, tuple[str, str]] = {}
    aulight: str


def read_overview(output: Path) -> Overview | None:
    """The record of a folder, if it has one."""
    try:
        return Overview.model_validate(read_json(output / RECORD))
    except (AulightError, ValidationError):
        return None


def make_room_for_overview(output: Path) -> None:
    """Refuses to go on where files are in the way that are not ours.

    Args:
        output: The folder that is written into; need not be there.

    Raises:
        AulightError: Naming the first, and the way out.
    """
    record = read_overview(output)
    known = {} if record is None else {RECORD: None, **record.sha256}
    try:
        refuse_foreign([output / name for name in (RECORD, *FILES)], known)
    except AulightError as error:
        raise AulightError(f"{error}, or summary=false for no tables over all videos") from error


def companions(output: Path) -> Iterator[tuple[str, Companion | Failed]]:
    """What was scored into a folder and those below it: names and companions, in order; why one cannot be read.

    Args:
        output: The folder.
    """
    for folder, below, names in os.walk(output):
        below[:] = sorted(name for name in below if not name.startswith("."))
        there = set(names)
        for name in sorted(names):
            path = Path(folder, name)
            stem = name.removesuffix(".json")
            tables = {f"{stem}{ending}{part}" for ending in (".csv", ".parquet") for part in ("", PARTIAL)}
            if stem == name or not tables & there:
                continue
            video = (Path(folder).relative_to(output) / stem).as_posix()
            if path.stat().st_size > _LARGEST:
                yield video, Failed(str(path), _TOO_LARGE)
                continue
            record = read_companion(output, video)
            if record is not None and record.after is not None:
                yield video, record


def write_overview(output: Path, failed: Mapping[str, Failed], thumbnails: bool) -> None:
    """Writes the files over all that was scored into a folder, now and before; two processes take turns.

    Args:
        output: The folder; it is made where it is not there.
        failed: Videos of which nothing could be scored now, by their names.
        thumbnails: Whether faces are shown.

    Raises:
        AulightError: When files are in the way that are not ours.
    """
    output.mkdir(parents=True, exist_ok=True)
    with alone(output / PAGE, None):
        remove_leftovers(output)
        make_room_for_overview(output)
        before = read_overview(output)
        found = dict(companions(output))
        videos = {name: of for name, of in found.items() if isinstance(of, Companion)}
        large = {name: of for name, of in found.items() if isinstance(of, Failed)}
        old = {name: Failed(*told) for name, told in (before.failed if before else {}).items()}
        known = {name: told for name, told in old.items() if _still_fails(told, videos.get(name))} | dict(failed)
        videos = {name: video for name, video in videos.items() if name not in known}  # of what was there before
        shown = known | large  # what is found each time need not be remembered
        with scratch(output) as made:
            summary_table(videos, shown).to_csv(made / SUMMARY, index=False)
            cooccurrence_table(videos).to_csv(made / COOCCURRENCE, index=False)
            text = page(videos, shown, thumbnails, output)
            (made / PAGE).write_text(text, encoding="utf-8")
            new = {name: [sha256(made / name)] for name in FILES}
            ours = {} if before is None else before.sha256
            record = Overview(
                overview=len(videos), files=list(FILES), sha256=new, failed=dict(known), aulight=__version__
            )
            both = {name: [*new[name], *ours.get(name, [])] for name in FILES}
            _write(record.model_copy(update={"sha256": both}), output)
            publish(made, output, FILES)
            _write(record, output)


def _still_fails(told: Failed, scored: Companion | None) -> bool:
    """Whether a video of which nothing could be scored once is there, and has not been scored since as it is now."""
    if not Path(told.path).exists():
        return False
    try:
        return scored is None or not scored.source.is_unchanged(Path(told.path))
    except VideoError:
        return True


def _write(record: Overview, output: Path) -> None:
    with whole(output / RECORD) as temporary:
        text = json.dumps(record.model_dump(mode="json"), indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
