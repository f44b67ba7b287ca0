"""Batches of clips and pieces of videos from real mp4 files whose every frame is known."""

import hashlib
import pickle
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from aulight.data.augment import Augmentation
from aulight.data.batches import ClipBatches, EpochBatches, WholeVideos
from aulight.data.clips import UnlabelledClips
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError, VideoError
from tests.data.coded import FLIP, TRAIN, Decode, assert_same, check_whole, contrastive, drawn_labels, regression


def test_batches_hold_the_chosen_frames(data: PreparedDataset, decode: Decode) -> None:
    module = contrastive(data, views=2)
    batches = list(module.train_dataloader())
    assert len(batches) == 5
    runs = {(int(v), f) for v, start, stop in data.segments.itertuples(index=False) for f in range(start, stop)}
    for batch in batches:
        assert batch["clips"].shape == (4, 2, 4, 64, 64, 3)
        assert batch["clips"].dtype == torch.uint8
        assert batch["skipped"] == []
        assert "targets" not in batch
        assert batch["subject"].tolist() == data.people[batch["video"]].tolist()
        ids = zip(batch["video"].tolist(), batch["frames"].tolist(), batch["clips"].numpy(), strict=True)
        for video, frames, views in ids:
            codes = decode(views[0])
            assert decode(views[1]) == codes == [(video, frame) for frame in frames]
            assert set(codes) <= runs
            assert len({second - first for (_, first), (_, second) in pairwise(codes)}) == 1
    assert {video for batch in batches for video in batch["video"].tolist()} == {0, 1, 2, 3, 7}


def test_views_are_augmented_independently_and_by_index(data: PreparedDataset) -> None:
    clips = [batch["clips"] for batch in contrastive(data, augment=FLIP, views=3).train_dataloader()]
    same = [[torch.equal(clip[v], clip[w]) for v, w in ((0, 1), (0, 2), (1, 2))] for clip in torch.cat(clips)]
    assert np.mean(same) < 0.4
    assert_same(*(list(contrastive(data, augment=FLIP, views=3).train_dataloader()) for _ in range(2)))
    other = [batch["clips"] for batch in contrastive(data, augment=FLIP, views=3, seed=1).train_dataloader()]
    assert not torch.equal(torch.cat(clips), torch.cat(other))


@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_share_out_the_batches_of_one(data: PreparedDataset, world: int) -> None:
    choose = UnlabelledClips(data.segments, 4, (1, 2), 8 * 3, seed=0)
    clips = ClipBatches(data, choose, Augmentation(FLIP), 2, 32, 0, "raise")
    alone = EpochBatches(8, 3)
    ranks = [EpochBatches(8, 3, rank, world) for rank in range(world)]
    for epoch in (0, 5):
        for sampler in (alone, *ranks):
            sampler.set_epoch(epoch)
        assert len(alone) == len(ranks[0]) == 3
        for whole, *parts in zip(alone, *ranks, strict=True):
            assert list(chain(*parts)) == whole
            batch = clips[whole]
            shared = [clips[part] for part in parts]
            for name in ("clips", "video", "subject", "frames"):
                torch.testing.assert_close(torch.cat([part[name] for part in shared]), batch[name])
        places = [place for batch in alone for place in batch]
        assert places == [(epoch, index) for index in range(24)]


def test_a_batch_that_cannot_be_shared_out_is_named() -> None:
    with pytest.raises(AulightError, match=r"loader\.batch_size=6: not a multiple of the 4 processes"):
        EpochBatches(6, 3, 0, 4)


def test_clips_travel_to_a_spawned_worker(data: PreparedDataset) -> None:
    clips = contrastive(data, augment=FLIP)._train
    expected = clips[[(0, 0), (0, 1)]]
    copy = pickle.loads(pickle.dumps(clips))
    assert len(copy.readers) == 0
    assert_same([copy[[(0, 0), (0, 1)]]], [expected])


@pytest.mark.slow
def test_the_first_thousand_clips_are_those_that_decord_gives(data: PreparedDataset) -> None:
    """Of stage one, augmented; a run that an earlier version began, by decord, goes on with the same clips."""
    digests = []
    for decord in (False, True):
        clips, digest = contrastive(data, augment=FLIP, decord=decord)._train, hashlib.sha256()
        for batch in EpochBatches(10, 100):
            digest.update(clips[batch]["clips"].numpy().tobytes())
        digests.append(digest.hexdigest())
    assert digests[0] == digests[1]


def test_few_videos_are_open_and_memory_stays_however_many_are_read(data: PreparedDataset) -> None:
    clips, process, used = contrastive(data)._train, psutil.Process(), []
    for epoch in range(8):
        used.append(process.memory_info().rss)
        for batch in EpochBatches(4, 5):
            clips[[(epoch, index) for _, index in batch]]
            assert len(clips.readers) <= clips.readers.limit
    assert used[-1] - used[2] < 16e6  # while 100 readers, some MB each, were opened and closed
    assert len([file for file in process.open_files() if Path(file.path).is_relative_to(data.root)]) <= 3


def test_targets_are_the_drawn_labels_of_the_frames_shown(data: PreparedDataset, decode: Decode) -> None:
    drawn = drawn_labels(data)
    values = drawn[data.columns].astype("Float32").to_numpy(np.float32, na_value=np.nan)
    label_of = dict(zip(zip(drawn["video_id"], drawn["frame"], strict=True), values, strict=True))
    unknown = np.full(2, np.nan, np.float32)
    seen = set()
    for batch in regression(data, batches_per_epoch=20).train_dataloader():
        assert batch["clips"].shape == (4, 1, 4, 64, 64, 3)
        assert batch["targets"].shape == (4, 4, 2)
        parts = (batch[name].numpy() for name in ("clips", "targets", "frames"))
        for pictures, targets, frames in zip(*parts, strict=True):
            codes = decode(pictures[0])
            assert [frame for _, frame in codes] == frames.tolist()  # also where the first is repeated
            assert (f"v{codes[-1][0]}", codes[-1][1]) in label_of
            assert {video for video, _ in codes} <= set(TRAIN)
            for t, ((video, frame), target) in enumerate(zip(codes, targets, strict=True)):
                repeated = (video, frame) in codes[t + 1 :]
                label = unknown if repeated else label_of.get((f"v{video}", frame), unknown)
                np.testing.assert_array_equal(target, label)
                seen.add((f"v{video}", frame))
    assert set(label_of) <= seen


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_pieces_are_no_longer_than_asked(data: PreparedDataset, decode: Decode, chunk: int) -> None:
    pieces = list(WholeVideos(data, [6, 1], 32, chunk))
    assert max(piece["clip"].shape[1] for piece in pieces) <= chunk
    assert [piece["video"] for piece in pieces] == sorted((piece["video"] for piece in pieces), key=[6, 1].index)
    assert pieces[0]["clip"].shape[2:] == (32, 32, 3)
    check_whole(pieces, data, [6, 1], decode)


def test_ranks_share_out_whole_videos(data: PreparedDataset, decode: Decode) -> None:
    rows = [1, 2, 3, 4, 5]
    ranks = [list(WholeVideos(data, rows, 64, 16, "raise", rank, 2)) for rank in range(2)]
    videos = [{piece["video"] for piece in pieces} for pieces in ranks]
    assert not videos[0] & videos[1]
    assert all(videos)
    check_whole(ranks[0] + ranks[1], data, rows, decode)


def test_an_unlabelled_video_has_no_known_target(data: PreparedDataset) -> None:
    (piece,) = WholeVideos(data, [7], 64, 64)
    assert piece["targets"].shape == (24, 2)
    assert piece["targets"].isnan().all()


def test_when_nothing_is_readable_it_ends(broken: PreparedDataset) -> None:
    module = contrastive(broken, rows=np.array([0, 2]), on_error="skip")
    with pytest.raises(VideoError, match=r"\(v[02]\): .*clips tried in its place were unreadable too"):
        next(iter(module.train_dataloader()))
