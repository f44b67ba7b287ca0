"""Datasets of earlier versions, a file a video, to shards; and what is left of files and shards that are not used."""

import re
from contextlib import suppress
from pathlib import Path

import numpy as np

from aulight.data.packing import remove_unused
from aulight.data.revising import bring_to_shards
from aulight.data.store import PreparedDataset
from aulight.errors import say


def upgraded(data: PreparedDataset) -> PreparedDataset:
    """A dataset that is brought to the format that is written now, if it is of an older one; nothing is coded anew.

    Args:
        data: As it is; nobody else writes into its folder now.

    Raises:
        AulightError: When it is damaged.
    """
    if data.is_indexed:
        return data
    say(f"{data.root}: packing its videos into shards, as datasets are kept from now on; they stay as they are")
    bring_to_shards(data)
    drop_unused(data.root)
    return PreparedDataset(data.root)


def drop_unused(root: Path) -> None:
    """Removes shards that a dataset has no use for any more, and the files that they were made from.

    Args:
        root: Its folder, which nobody else writes into now.
    """
    data = PreparedDataset(root)
    assert data.files.index is not None  # what is prepared now is in shards
    remove_unused(root, set(np.unique(data.files.index.shard).tolist()))
    if (root / "videos").is_dir():
        names = set(data.videos["video_id"])
        for path in (root / "videos").glob("*.mp4"):
            if path.stem in names or re.sub(r"~[0-9]+$", "", path.stem) in names:
                path.unlink()
        with suppress(OSError):  # there is something else
            (root / "videos").rmdir()
