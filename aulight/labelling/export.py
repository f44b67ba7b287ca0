"""The label table that ``aulight prepare labels=`` takes, and beside it who said what, when, and how long it took."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aulight.data.own import refuse_foreign
from aulight.facs import column
from aulight.files import alone, publish, scratch, sha256
from aulight.labelling.store import Score, Store
from aulight.labelling.together import by_frame, counting

UNKNOWN = "?"
"""How a score is written that cannot be told, where empty means that nobody has tried."""

_WRITTEN = "written"
_FORMER = 4  # digests of a file that are remembered, since a process may be killed between writing and renaming


@dataclass(frozen=True)
class Exported:
    """What an export has written.

    Attributes:
        table: The label table.
        coders: The table of all scores.
        frames: Rows of the label table.
        labels: Its known intensities.
        differing: Scores of an AU in a frame on which coders differ, and no consensus is there yet.
    """

    table: Path
    coders: Path
    frames: int
    labels: int
    differing: int

    def lines(self, differing: Literal["empty", "median"]) -> list[str]:
        """What a user is told."""
        lines = [
            f"{self.table}: {self.labels:,} labels of {self.frames:,} frames; {self.coders.name}: who, when, how long"
        ]
        if self.differing:
            what = "left empty" if differing == "empty" else "the median of which was taken"
            lines.append(f"  coders differ on {self.differing:,} labels, {what}; coder=consensus goes through them")
        return lines


def files_of(output: Path) -> tuple[Path, Path]:
    """The label table and the table of all scores, ``labels.csv`` and ``labels.coders.csv``."""
    return output, output.with_name(f"{output.stem}.coders.csv")


def refuse_others(store: Store, paths: Sequence[Path]) -> None:
    """Refuses to write over what this sample's commands have not written.

    A file is known by its name and content, not by its place: a folder that was moved, copied or renamed goes on.

    Raises:
        AulightError: When there is such a file.
    """
    written: Mapping[str, Sequence[str]] = store.fact(_WRITTEN, {})
    for path in paths:
        mine = [digest for place, digests in written.items() if Path(place).name == path.name for digest in digests]
        refuse_foreign([path], {path.name: mine})


def write_files(store: Store, output: Path, contents: Mapping[str, bytes]) -> None:
    """Writes files that belong together; those that were written before are replaced, others never.

    Args:
        store: Which remembers what was written.
        output: The folder, which is there.
        contents: By name.

    Raises:
        AulightError: When a file is there that was not written so.
        OSError: When one cannot be written.
    """
    paths = [output / name for name in contents]
    with alone(output / "written-by-label", None):
        refuse_others(store, paths)
        with scratch(output) as made:
            known = store.fact(_WRITTEN, {})
            for path in paths:
                (made / path.name).write_bytes(contents[path.name])
                digest, place = sha256(made / path.name), str(path.resolve())
                known[place] = [*(old for old in known.get(place, []) if old != digest), digest][-_FORMER:]
            store.keep(_WRITTEN, known)
            publish(made, output, contents)


def export(store: Store, output: Path, differing: Literal["empty", "median"]) -> Exported:
    """Writes the label table of all coders together, and the table of all scores, both whole.

    Args:
        store: The scores.
        output: The label table; its folder is there.
        differing: What to do where coders differ and there is no consensus.

    Raises:
        AulightError: When such a file is there that was not written so.
        OSError: When they cannot be written.
    """
    scores, aus = store.scores(), store.aus
    rows, counts, labels = list[list[str]](), {"consensus": 0, "alike": 0, "differing": 0}, 0
    for (video, frame), of in sorted(by_frame(scores).items()):
        cells = list[str]()
        for au in aus:
            label, how = counting(of[au], differing) if au in of else (None, "alike")
            counts[how] += 1
            labels += label is not None
            cells.append("" if label is None else str(label))
        if any(cells):
            rows.append([video, str(frame), *cells])
    table, coders = files_of(output)
    contents = {
        table.name: csv_bytes(["video", "frame", *map(column, aus)], rows),
        coders.name: csv_bytes(["video", "frame", "au", "coder", "score", "when", "seconds"], list(map(_row, scores))),
    }
    write_files(store, output.parent, contents)
    return Exported(table, coders, len(rows), labels, counts["differing"])


def _row(score: Score) -> list[str]:
    said = UNKNOWN if score.score is None else str(score.score)
    seconds = "" if score.seconds is None else f"{score.seconds:.2f}"
    return [score.video, str(score.frame), column(score.au), score.coder, said, score.at, seconds]


def csv_bytes(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """A table as a CSV file that Excel takes for UTF-8."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode("utf-8-sig")  # the mark tells Excel
