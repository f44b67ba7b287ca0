"""Finished runs of stage two whose predictions are labels for others, and what they may know."""

import glob
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from aulight.errors import AulightError
from aulight.foreign.parquet import checked
from aulight.protocol import Split
from aulight.runs.record import FinetuneRecord, read_record


def teachers_of(patterns: Sequence[str], fingerprint: str, split: Split, drawn: pd.DataFrame) -> list[Path]:
    """The run directories that are meant, sorted, once it is known that they may teach.

    They are of the same dataset, by its fingerprint, so that names mean the same people and videos; of the same split,
    so that neither they nor their stages one have learned from anybody who validates or is tested; and know no label
    that was not drawn, else the student would be taught by more labels than it says.

    Args:
        patterns: Run directories, or patterns of them.
        fingerprint: Of the dataset.
        split: Its subjects.
        drawn: The drawn rows ``video_id, frame``.

    Raises:
        AulightError: When there is none, or one may not teach.
    """
    found = set[Path]()
    for pattern in patterns:
        folders = [pattern] if Path(pattern).is_dir() else glob.glob(pattern, recursive=True)  # noqa: PTH207  # pathlib's shows hidden ones
        runs = [Path(folder) for folder in folders if Path(folder).is_dir()]
        if not runs:
            raise AulightError(f"pseudo.runs={pattern}: no such run directory")
        found.update(runs)
    known = set(zip(drawn["video_id"], drawn["frame"], strict=True))
    for folder in sorted(found):
        _check(folder, fingerprint, split, known)
    return sorted(found)


def _check(folder: Path, fingerprint: str, split: Split, drawn: set[tuple[str, int]]) -> None:
    record = read_record(folder)
    if not isinstance(record, FinetuneRecord) or not record.done or not record.is_network:
        raise AulightError(f"pseudo.runs={folder}: no finished run of `aulight finetune` with a network")
    if record.dataset is None or record.dataset.fingerprint != fingerprint:
        raise AulightError(f"pseudo.runs={folder}: was trained on another dataset, or another version of it")
    parts = {part: getattr(record.protocol, part, None) for part in ("train", "validation", "test")}
    if any(set(names or ()) != set(getattr(split, part)) for part, names in parts.items()):
        raise AulightError(
            f"pseudo.runs={folder}: was trained on another fold or protocol, whose people may be tested here"
        )
    file = folder / "labels_used.parquet"
    try:
        used = pd.read_parquet(checked(file), columns=["video_id", "frame"])
    except (OSError, ValueError) as error:
        raise AulightError(f"pseudo.runs={file}: {' '.join(str(error).split())[:150]}; run it again") from error
    if more := set(zip(used["video_id"], used["frame"], strict=True)) - drawn:
        raise AulightError(
            f"pseudo.runs={folder}: knows {len(more)} labels that are not drawn here; teachers need the same "
            "label_seed, and no more labels"
        )
