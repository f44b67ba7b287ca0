"""The folder for a coder: a table of drawn frames to fill in, and their pictures."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.facs import MAX_INTENSITY, column
from aulight.files import alone, remove_former, remove_leftovers, told_of, whole_folder
from aulight.foreign.yaml import write_yaml
from aulight.preparation.sampling import USUAL_DISTANCES_S, Drawn, candidates, draw, labelled_times
from aulight.preparation.sheets import pictures
from aulight.settings.sample import DrawSettings
from aulight.version import __version__

TABLE = "to_label.csv"

RECORD = "sample.yaml"
"""How the frames were drawn, so that they can be drawn again. An earlier aulight did not note it."""


@dataclass(frozen=True)
class Coding:
    """What a coder is given, and what comes after.

    Attributes:
        folder: Where it is.
        frames: How many were drawn.
        videos: Of how many.
        people: Of how many.
        remarks: What is to be known of the draw, a line each.
        next_command: What takes in the table, once it is filled in.
    """

    folder: Path
    frames: int
    videos: int
    people: int
    remarks: list[str]
    next_command: str

    def lines(self) -> list[str]:
        """What a user is told."""
        return [
            f"{self.frames} frames of {self.videos} videos and {self.people} people: "
            f"{self.folder}/ ({TABLE}, images, contact sheets)",
            *self.remarks,
            f"Next: fill in its AU columns (0 to {MAX_INTENSITY}; empty where unknown), then",
            f"  {self.next_command}",
        ]


def make_coding(data: PreparedDataset, output: Path, aus: Sequence[int], how: DrawSettings) -> Coding:
    """Draws frames and writes the table to fill in and the pictures to look at, all of it or nothing.

    Args:
        data: A prepared dataset.
        output: Folder to make.
        aus: The AUs to code.
        how: Which frames are drawn, see :func:`aulight.preparation.sampling.draw`. Those that have labels already are
            left out by ``unlabelled_only``, and others are drawn at the distance from them, too.

    Raises:
        AulightError: When the output is there already or fewer frames can be drawn than are wanted.
        VideoError: When a video with a drawn frame cannot be read.
    """
    refuse_old(output)
    table = candidates(data, how.unlabelled_only)
    labelled = labelled_times(data) if how.unlabelled_only else {}
    drawn = draw(table, how.label_count, how.seed, how.spread, how.min_distance_s, labelled)
    output.parent.mkdir(parents=True, exist_ok=True)
    remove_former(output.parent, output.name, re.escape(output.name))
    with alone(output, f"output={output}: another process is writing it; give another folder"):
        try:
            _write(data, drawn, aus, how, output)
        except FileExistsError:
            refuse_old(output)  # of another process
            raise
    return Coding(
        folder=output,
        frames=len(drawn.frames),
        videos=drawn.frames["video_id"].nunique(),
        people=drawn.frames["person"].nunique(),
        remarks=_remarks(data, table, drawn, how),
        next_command=next_command(data, output / TABLE),
    )


def _write(data: PreparedDataset, drawn: Drawn, aus: Sequence[int], how: DrawSettings, output: Path) -> None:
    with whole_folder(output) as whole:
        (whole / "images").mkdir()
        table = pd.DataFrame({"video": drawn.frames["video_id"], "frame": drawn.frames["source_frame"]})
        table["time_s"] = drawn.frames["time_s"].round(3)
        table[[column(au) for au in dict.fromkeys(aus)]] = None
        with told_of(whole / TABLE):
            table.to_csv(whole / TABLE, index=False, encoding="utf-8-sig")  # the mark tells Excel
        asked = {name: getattr(how, name) for name in DrawSettings.model_fields if name != "aus"}
        found = {"aus": list(dict.fromkeys(aus)), "distance_s": drawn.distance_s}
        write_yaml({"dataset": data.name, **asked, **found, "aulight": __version__}, whole / RECORD)
        pictures(data, drawn.frames, whole)


def _remarks(data: PreparedDataset, table: pd.DataFrame, drawn: Drawn, how: DrawSettings) -> list[str]:
    """What is to be known of a draw: frames that are nearer than usual, and one person who is in most of them."""
    lines = list[str]()
    if how.min_distance_s is None and drawn.distance_s < USUAL_DISTANCES_S[0]:
        apart = f"only {drawn.distance_s:g} s apart" if drawn.distance_s else "neighbours"
        lines.append(
            f"Some of them are {apart}: there is no room for {how.label_count} frames {USUAL_DISTANCES_S[0]:g} s apart"
        )
    frames = drawn.frames["person"].value_counts()
    if how.spread == "frames" and table["person"].nunique() > 1 and 2 * frames.iloc[0] > len(drawn.frames):
        row = int((data.people == frames.index[0]).argmax())
        who = str(data.videos["subject"].iloc[row]).strip() or data.videos["video_id"].iloc[row]
        lines.append(
            f"{frames.iloc[0]} of them show {who}, who is in most frames; spread=people draws evenly over people"
        )
    return lines


def refuse_old(output: Path) -> None:
    """Refuses a folder that is there, once what killed processes left beside it is removed.

    Raises:
        AulightError: When it is.
    """
    remove_leftovers(output.parent)
    if output.exists() or output.is_symlink():
        raise AulightError(f"output={output}: already there, perhaps with labels filled in; give another folder")


def next_command(data: PreparedDataset, table: Path) -> str:
    """The command that takes in a label table, beside those that the dataset has."""
    source = data.meta.get("source")
    source = source if isinstance(source, dict) else {}
    labels = [*(source.get("labels") or []), str(table)]
    settings = {
        "data": source.get("format", "folder"),
        "data.name": data.name,
        "data.root": str(data.root),
        "data.source": source.get("folder", "<raw videos>"),
        "labels": f"[{','.join(labels)}]" if len(labels) > 1 else labels[0],
    }
    return "aulight prepare " + " ".join(shlex.quote(f"{key}={value}") for key, value in settings.items())
