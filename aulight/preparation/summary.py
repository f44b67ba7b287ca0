"""What came of ``aulight prepare``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Summary:
    """What there is, what was not used and why, and what was odd.

    Attributes:
        root: The dataset's folder.
        videos: How many there are.
        subjects: How many there are.
        frames: How many there are.
        faceless: Frames without a face.
        labelled: Frames with at least one known AU.
        skipped: Of raw videos that could not be read, the reason.
        notes: What was odd, a line each.
        was_there: Whether the videos were there already, so that labels and subjects alone are new.
    """

    root: Path
    videos: int
    subjects: int
    frames: int
    faceless: int
    labelled: int
    skipped: Mapping[str, str]
    notes: Sequence[str]
    was_there: bool = False

    def lines(self) -> Iterator[str]:
        """The summary in words."""
        if self.was_there:
            yield f"{self.root}: was prepared already; its labels and subjects are those of the raw data now"
        yield (
            f"{self.root}: {self.videos:,} videos of {self.subjects:,} subjects, {self.frames:,} frames, "
            f"{self.faceless:,} of them ({self.faceless / self.frames:.1%}) without a face, {self.labelled:,} labelled"
        )
        yield from (f"  note: {line}" for line in self.notes)
        yield from (f"  not used: {reason}" for reason in self.skipped.values())
