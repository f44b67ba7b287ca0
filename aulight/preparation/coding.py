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
from aulight.preparation.sampling import candidates, draw
from aulight.preparation.sheets import pictures

TABLE = "to_label.csv"


@dataclass(frozen=True)
class Coding:
    """What a coder is given, and what comes after.

    Attributes:
        folder: Where it is.
        frames: How many were drawn.
        videos: Of how many.
        next_command: What takes in the table, once it is filled in.
    """

    folder: Path
    frames: int
    videos: int
    next_command: str

    def lines(self) -> list[str]:
        """What a user is told."""
        return [
            f"{self.frames} frames of {self.videos} videos: {self.folder}/ ({TABLE}, images, contact sheets)",
            f"Next: fill in its AU columns (0 to {MAX_INTENSITY}; empty where unknown), then",
            f"  {self.next_command}",
        ]


def make_coding(
    data: PreparedDataset,
    output: Path,
    aus: Sequence[int],
    count: int,
    seed: int,
    min_distance_s: float,
    unlabelled_only: bool,
) -> Coding:
    """Draws frames and writes the table to fill in and the pictures to look at, all of it or nothing.

    Args:
        data: A prepared dataset.
        output: Folder to make.
        aus: The AUs to code.
        count: Frames to draw, as :func:`aulight.preparation.sampling.draw` has it.
        seed: Likewise.
        min_distance_s: Likewise, in seconds.
        unlabelled_only: As :func:`aulight.preparation.sampling.candidates` has it.

    Raises:
        AulightError: When the output is there already or fewer frames can be drawn than are wanted.
        VideoError: When a video with a drawn frame cannot be read.
    """
    refuse_old(output)
    drawn = draw(candidates(data, unlabelled_only), count, seed, min_distance_s)
    output.parent.mkdir(parents=True, exist_ok=True)
    remove_former(output.parent, output.name, re.escape(output.name))
    with alone(output, f"output={output}: another process is writing it; give another folder"):
        try:
            _write(data, drawn, aus, output)
        except FileExistsError:
            refuse_old(output)  # of another process
            raise
    return Coding(output, len(drawn), drawn["video_id"].nunique(), next_command(data, output / TABLE))


def _write(data: PreparedDataset, drawn: pd.DataFrame, aus: Sequence[int], output: Path) -> None:
    with whole_folder(output) as whole:
        (whole / "images").mkdir()
        table = pd.DataFrame({"video": drawn["video_id"], "frame": drawn["source_frame"]})
        table["time_s"] = drawn["time_s"].round(3)
        table[[column(au) for au in dict.fromkeys(aus)]] = None
        with told_of(whole / TABLE):
            table.to_csv(whole / TABLE, index=False, encoding="utf-8-sig")  # the mark tells Excel
        pictures(data, drawn, whole)


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
