"""A prepared dataset of eight videos whose every frame tells what it is, and the loaders of both stages on it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from aulight import protocol
from aulight.data.augment import Augmentation
from aulight.data.batches import ClipBatches, Piece, WholeVideos
from aulight.data.clips import UnlabelledClips
from aulight.data.loaders import ContrastiveData, RegressionData
from aulight.data.store import PreparedDataset
from aulight.settings.augment import AugmentSettings
from aulight.settings.training import ClipSettings

Make = Callable[..., PreparedDataset]
Decode = Callable[[npt.NDArray[np.uint8]], list[tuple[int, int]]]
Batch = Mapping[str, object]
NONE = AugmentSettings(on="auto", clip=[], frame=[])
FLIP = AugmentSettings.model_validate({"on": "auto", "clip": [], "frame": [{"name": "HorizontalFlip", "p": 0.5}]})
PARTS = ["unlabelled", "train", "train", "train", "validation", "test", "test", "unlabelled"]
LENGTHS = [40, 30, 26, 40, 33, 40, 21, 24]
TRAIN, VALIDATION, TEST = [1, 2, 3], [4], [5, 6]


def labels_of(video: int, count: int) -> dict[int, list[int | None]]:
    """AU 1 tells the frame, AU 12 the video; every fifth frame's AU 12 and all of every seventh are unknown."""
    frames = range(count)
    return {
        1: [None if t % 7 == 0 else t % 6 for t in frames],
        12: [None if t % 7 == 0 or t % 5 == 0 else video % 6 for t in frames],
    }


def build(
    make_store: Make, root: Path, change: Callable[[int, dict[int, Any]], dict[int, Any]] | None = None
) -> PreparedDataset:
    """Eight videos; each shows no face in frames 10 and 11 and jumps in the raw video before frame 18."""
    labels = [
        None if part == "unlabelled" else labels_of(video, count)
        for video, (part, count) in enumerate(zip(PARTS, LENGTHS, strict=True))
    ]
    if change is not None:
        labels = [found if found is None else change(video, found) for video, found in enumerate(labels)]
    return make_store(
        root,
        LENGTHS,
        confidence=[[0.0 if t in (10, 11) else 0.9 for t in range(count)] for count in LENGTHS],
        source=[[t + 100 * (t >= 18) for t in range(count)] for count in LENGTHS],
        labels=labels,
        columns=[{"split": part} for part in PARTS],
    )


def contrastive(data: PreparedDataset, **changed: Any) -> ContrastiveData:
    settings: dict[str, Any] = {
        "rows": np.array([0, 1, 2, 3, 7]),
        "clip": ClipSettings(length=4, stride=[1, 2]),
        "augment": NONE,
        "views": 1,
        "size": 64,
        "batch_size": 4,
        "batches_per_epoch": 5,
        "workers": 0,
        "seed": 0,
        "on_error": "raise",
    }
    return ContrastiveData(data, **settings | changed)


def drawn_labels(data: PreparedDataset, fraction: float = 0.3) -> pd.DataFrame:
    split = protocol.own_split(data.videos, data.name)
    usable = protocol.usable_labels(data.labels, data.frames, data.videos, split.train)
    return protocol.draw_labels(usable, 0, fraction)


def regression(data: PreparedDataset, **changed: Any) -> RegressionData:
    settings: dict[str, Any] = {
        "labels": drawn_labels(data),
        "validation": np.array(VALIDATION),
        "test": np.array(TEST),
        "clip": ClipSettings(length=4, stride=[1, 2]),
        "augment": NONE,
        "size": 64,
        "batch_size": 4,
        "batches_per_epoch": 5,
        "chunk": 12,
        "workers": 0,
        "seed": 0,
        "on_error": "raise",
    }
    return RegressionData(data, **settings | changed)


def assert_same(one: Sequence[Batch], other: Sequence[Batch]) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert left.keys() == right.keys()
        for key, value in left.items():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(value, right[key], rtol=0, atol=0, equal_nan=True)
            else:
                assert value == right[key]


def check_whole(pieces: Iterable[Piece], data: PreparedDataset, rows: list[int], decode: Decode) -> None:
    """Every frame of these videos once and in order, with its face and its labels."""
    at: dict[int, int] = dict.fromkeys(rows, 0)
    for piece in pieces:
        video, count = piece["video"], piece["clip"].shape[1]
        assert piece["error"] is None
        assert piece["start"] == at[video]
        assert decode(piece["clip"][0].numpy()) == [(video, at[video] + t) for t in range(count)]
        frames = range(at[video], at[video] + count)
        assert piece["face"].tolist() == [t not in (10, 11) for t in frames]
        labels = data.labels[data.labels["video_id"] == f"v{video}"].set_index("frame").reindex(list(frames))
        expected = labels[data.columns].astype("Float32").to_numpy(np.float32, na_value=np.nan)
        np.testing.assert_array_equal(piece["targets"].numpy(), expected)
        at[video] += count
        assert piece["last"] == (at[video] == LENGTHS[video])
    assert at == {row: LENGTHS[row] for row in rows}


def passing_over(data: PreparedDataset) -> list[Callable[[], Any]]:
    """What reads clips of all videos, and all of each, as trainings do that pass over damaged ones."""
    choose = UnlabelledClips(data.segments, 2, (1, 1), 16, seed=0)
    clips = ClipBatches(data, choose, Augmentation(NONE), 1, 32, 0, "skip")
    wholes = [WholeVideos(data, [row], 32, 4, "skip") for row in range(len(data.videos))]
    return [partial(clips.__getitem__, [(0, index) for index in range(16)]), *(partial(list, w) for w in wholes)]
