"""Where videos lie, as readers and worker processes are told."""

from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from aulight.data.batches import ClipBatches
from aulight.data.places import Segments
from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import open_video
from tests.data.coded import contrastive
from tests.data.formats import as_format_1

Make = Callable[..., PreparedDataset]


def test_another_process_reads_the_same(data: PreparedDataset) -> None:
    files = ForkingPickler.loads(ForkingPickler.dumps(data.files))
    assert len(files) == len(data.videos)
    for row, count in enumerate(data.videos["frames"]):
        assert str(files[row]) == str(data.file(row)) == f"{data.root}/shards/000000.tar (v{row})"
        assert len(files[row]) == count
        np.testing.assert_array_equal(open_video(files[row]).read([3, 1]), open_video(data.file(row)).read([3, 1]))


def test_what_each_video_adds_is_numbers_and_a_name(tmp_path: Path, make_store: Make) -> None:
    sizes = [
        len(ForkingPickler.dumps(make_store(tmp_path / str(count), [2] * count, real=False).files))
        for count in (100, 1100)
    ]
    assert (sizes[1] - sizes[0]) / 1000 < 64


def test_clips_have_no_place_of_a_video_before_it_is_read(data: PreparedDataset) -> None:
    batches = contrastive(data).train_dataloader().dataset
    assert isinstance(batches, ClipBatches)
    assert batches.paths is data.files


def test_bytes_outside_a_segment_are_not_given(data: PreparedDataset) -> None:
    place = data.file(1)
    assert isinstance(place, Segments)
    (segment,) = place.parts
    assert segment.piece(4, 4) == b"ftyp"
    for offset, size in ((-1, 4), (segment.part.size - 3, 4), (segment.part.size, 1)):
        with pytest.raises(ValueError, match="not in the segment"):
            segment.piece(offset, size)


def test_in_format_1_it_is_a_file(tmp_path: Path, make_store: Make) -> None:
    data = as_format_1(make_store(tmp_path / "faces", [3, 4]).root)
    assert data.file(1) == data.files[1] == tmp_path / "faces" / "videos" / "v1.mp4"
    assert ForkingPickler.loads(ForkingPickler.dumps(data.files))[1] == data.file(1)
