"""Datasets of earlier versions, a file a video, to shards; and what is left of files and shards that are not used."""

import re
from contextlib import suppress
from pathlib import Path

from aulight.data.revising import bring_to_shards, drop_shards
from aulight.data.store import PreparedDataset
from aulight.data.writer import partial_folder
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

    Those of a packing that was killed stay for it to go on. One of format 1 is left as it is.

    Args:
        root: Its folder, which nobody else writes into now.

    Raises:
        AulightError: When it is damaged.
    """
    data = PreparedDataset(root)
    if not data.is_indexed:
        return
    drop_shards(data)
    if (root / "videos").is_dir():
        names = set(data.videos["video_id"])
        # an earlier version that was killed had put what was new beside the others
        names |= {path.stem for path in (partial_folder(root) / "videos").glob("*.mp4")}
        for path in (root / "videos").glob("*.mp4"):
            if path.stem in names or re.sub(r"~[0-9]+$", "", path.stem) in names:
                path.unlink()
        with suppress(OSError):  # there is something else
            (root / "videos").rmdir()
