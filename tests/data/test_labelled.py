"""The frames of some videos, in one table."""

import pandas as pd
import pytest

from aulight.data import labelled
from aulight.data.store import PreparedDataset


@pytest.mark.parametrize("whole", [0, 10**9])
def test_frames_of_some_videos_are_those_rows_of_all(
    data: PreparedDataset, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: the whole table, of which rows are kept; read whole or video by video."""
    monkeypatch.setattr(labelled, "WHOLE", whole)
    names = data.videos["video_id"].tolist()
    for some in ([], names[1:2], names[::-2], names):
        found = labelled.frames_of(data, some)
        wanted = data.frames[data.frames["video_id"].isin(some)]
        pd.testing.assert_frame_equal(found.reset_index(drop=True), wanted.reset_index(drop=True))
    wanted = data.frames[data.frames["video_id"].isin(data.labels["video_id"])]
    found = labelled.frames_with_labels(data)
    pd.testing.assert_frame_equal(found.reset_index(drop=True), wanted.reset_index(drop=True))
