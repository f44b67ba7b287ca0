"""Which frames make a clip: against slow loops, counts, and a chi-square test; and that nothing else decides."""

import hashlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from aulight.data import clips
from aulight.data.clips import Clip, LabelledClips, MixedClips, Timeline, UnlabelledClips, timelines
from aulight.errors import AulightError

SEGMENTS = pd.DataFrame(
    [(0, 0, 10), (0, 15, 30), (2, 3, 60), (5, 0, 4), (5, 10, 17), (7, 0, 3)], columns=["video", "start", "stop"]
)
COLUMNS = ["AU01", "AU12"]
FPS = 25.0


def timeline(runs: pd.DataFrame) -> Timeline:
    """Frames with a face in runs, between which minutes go by."""
    places = np.arange(runs["stop"].max())
    after = (places[:, None] >= runs["start"].to_numpy()).sum(1)
    inside = ((places[:, None] >= runs["start"].to_numpy()) & (places[:, None] < runs["stop"].to_numpy())).any(1)
    return Timeline(places / FPS + 60 * after, np.asarray(inside), np.zeros(len(places), bool))


TIMELINES = {int(str(video)): timeline(runs) for video, runs in SEGMENTS.groupby("video")}


def same(one: Clip, other: Clip) -> bool:
    targets = (one.targets is None and other.targets is None) or np.array_equal(
        np.asarray(one.targets), np.asarray(other.targets), equal_nan=True
    )
    return one.video == other.video and np.array_equal(one.frames, other.frames) and targets


def run_of(clip: Clip) -> tuple[int, int]:
    """The run that holds the clip; fails when none does."""
    held = [
        (start, stop)
        for video, start, stop in SEGMENTS.itertuples(index=False)
        if video == clip.video and start <= clip.frames[0] and clip.frames[-1] < stop
    ]
    assert len(held) == 1, f"{clip} is in no run"
    return held[0]


# -- stage one ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "stride"), [(1, (1, 1)), (4, (1, 3)), (4, (4, 4)), (7, (2, 20)), (10, (1, 1))])
def test_windows_lie_in_one_run_with_one_stride(length: int, stride: tuple[int, int]) -> None:
    choose = UnlabelledClips(SEGMENTS, length, stride, clips_per_epoch=300, seed=0)
    seen = set()
    for index in range(300):
        clip = choose(0, index)
        assert clip.targets is None
        assert clip.frames.shape == (length,)
        run_of(clip)
        if length > 1:
            (step,) = set(np.diff(clip.frames).tolist())
            longest = max(stop - start for v, start, stop in SEGMENTS.itertuples(index=False) if v == clip.video)
            possible = (longest - 1) // (length - 1)
            assert min(stride[0], possible) <= step <= min(stride[1], possible)
            seen.add((clip.video, step))
    if length > 1:
        assert {step for video, step in seen if video == 2} == set(
            range(stride[0], min(stride[1], 56 // (length - 1)) + 1)
        ), "every stride that fits the longest video comes up"


def test_videos_without_a_long_enough_run_are_left_out_and_having_none_is_an_error() -> None:
    choose = UnlabelledClips(SEGMENTS, 7, (1, 1), 100, seed=0)
    assert {choose(0, index).video for index in range(100)} == {0, 2, 5}
    with pytest.raises(AulightError, match=r"clip\.length=58: no run of that many frames"):
        UnlabelledClips(SEGMENTS, 58, (1, 1), 100, seed=0)


@pytest.mark.parametrize("stride", [(0, 4), (4, 3), (-1, -1)])
def test_a_stride_that_is_none_is_named(stride: tuple[int, int]) -> None:
    with pytest.raises(AulightError, match=r"clip\.stride=\["):
        UnlabelledClips(SEGMENTS, 4, stride, 100, seed=0)
    with pytest.raises(AulightError, match=r"clip\.stride=\["):
        labelled([(0, 3)], stride=stride)


def test_every_video_comes_equally_often_in_every_pass() -> None:
    choose = UnlabelledClips(SEGMENTS, 3, (1, 2), clips_per_epoch=10, seed=1)
    order = [choose(epoch, index).video for epoch in range(6) for index in range(10)]
    passes = [order[start : start + 4] for start in range(0, 60, 4)]  # epochs need not be whole passes
    assert all(sorted(turn) == [0, 2, 5, 7] for turn in passes)
    assert len({tuple(turn) for turn in passes}) > 5, "every pass is shuffled anew"


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_a_pass_is_shuffled_as_it_always_was(count: int) -> None:
    """Oracle: numpy's permutation of a number, which runs of an earlier aulight were begun with."""
    for seed, turn in ((0, 0), (3, 17)):
        wanted = np.random.default_rng([seed, turn]).permutation(count).tolist()
        assert [clips._in_turn(seed, turn * count + place, count) for place in range(count)] == wanted


def test_the_first_thousand_clips_stay_what_they_were() -> None:
    """Oracle: their digest by the version before rows became smaller numbers."""
    rng = np.random.default_rng(1)
    start = rng.integers(0, 500, 3000)
    runs = pd.DataFrame(
        {"video": rng.integers(0, 800, 3000), "start": start, "stop": start + rng.integers(1, 900, 3000)}
    )
    rates = rng.choice([0.5, 1.0, 1.2], 800)
    choose, digest = UnlabelledClips(runs, 16, (4, 8), 130, 5, rates), hashlib.sha256()
    for place in range(1000):
        clip = choose(*divmod(place, 130))
        digest.update(np.array([clip.video, *clip.frames], np.int64).tobytes())
    assert digest.hexdigest() == "c76a870159348801f4561616bfb8213c6aa5cdb4f2a132655612178e6e04a072"


def test_every_possible_start_is_equally_likely() -> None:
    # in video 0: starts 0..3 of its first run and 15..23 of its second
    choose = UnlabelledClips(SEGMENTS[SEGMENTS["video"] == 0], 4, (2, 2), clips_per_epoch=5200, seed=3)
    starts = Counter(int(choose(0, index).frames[0]) for index in range(5200))
    assert sorted(starts) == [*range(4), *range(15, 24)]
    assert chisquare(list(starts.values())).pvalue > 0.01


def test_every_stride_is_equally_likely() -> None:
    choose = UnlabelledClips(SEGMENTS[SEGMENTS["video"] == 2], 4, (2, 6), clips_per_epoch=3000, seed=3)
    strides = Counter(int(np.diff(choose(0, index).frames)[0]) for index in range(3000))
    assert sorted(strides) == [2, 3, 4, 5, 6]
    assert chisquare(list(strides.values())).pvalue > 0.01


@pytest.mark.parametrize("rate", [0.5, 0.996, 1.0, 1.2, 2.0, 7.0])
def test_windows_of_another_rate_are_as_long(rate: float) -> None:
    """The oracle goes from sample to sample in seconds; at the dataset's own rate it counts whole frames."""
    runs = pd.DataFrame([(0, 5, 125)], columns=["video", "start", "stop"])
    choose = UnlabelledClips(runs, 6, (2, 5), 200, 0, np.array([rate]))
    alike = UnlabelledClips(runs, 6, (2, 5), 200, 0)
    for index in range(200):
        frames = choose(0, index).frames
        stride = int(np.random.default_rng([0, 0, index]).integers(2, 5, endpoint=True))
        step = min(stride * (1.0 if abs(rate - 1) < 0.01 else rate), 119 // 5)
        assert frames[0] >= 5
        assert frames[-1] < 125
        assert (frames - frames[0]).tolist() == [int(step * sample + 0.5) for sample in range(6)]
        if abs(rate - 1) < 0.01:
            np.testing.assert_array_equal(frames, alike(0, index).frames)


# -- stage two ---------------------------------------------------------------------------------------------------


def labelled(
    places: list[tuple[int, int]],
    length: int = 4,
    stride: tuple[int, int] = (1, 3),
    seed: int = 0,
    clips_per_epoch: int = 50,
) -> LabelledClips:
    """Labels whose values tell video and frame; every third has an unknown AU."""
    labels = pd.DataFrame(places, columns=["video", "frame"])
    labels["AU01"] = pd.array([frame % 6 for _, frame in places], dtype="Int8")
    labels["AU12"] = pd.array([None if frame % 3 == 0 else video % 6 for video, frame in places], dtype="Int8")
    return LabelledClips(labels, COLUMNS, TIMELINES, length, stride, FPS, clips_per_epoch, seed)


def slow_targets(clip: Clip, places: set[tuple[int, int]]) -> list[list[float]]:
    """Frame by frame: the label of the last of each frame's repeats, where it was drawn."""
    rows = []
    for t, frame in enumerate(clip.frames.tolist()):
        again = frame in clip.frames[t + 1 :].tolist()
        if again or (clip.video, frame) not in places:
            rows.append([np.nan, np.nan])
        else:
            rows.append([frame % 6, np.nan if frame % 3 == 0 else clip.video % 6])
    return rows


IN_SEGMENTS = [(v, f) for v, start, stop in SEGMENTS.itertuples(index=False) for f in range(start, stop)]


@settings(max_examples=100, deadline=None)
@given(
    places=st.lists(st.sampled_from(IN_SEGMENTS), min_size=1, max_size=40, unique=True),
    length=st.integers(1, 8),
    least=st.integers(1, 5),
    more=st.integers(0, 5),
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 100),
)
def test_clips_end_at_a_drawn_label_and_hold_only_drawn_labels(
    places: list[tuple[int, int]], length: int, least: int, more: int, seed: int, epoch: int
) -> None:
    choose = labelled(places, length, (least, least + more), seed)
    for index in range(20):
        clip = choose(epoch, index)
        assert (clip.video, clip.frames[-1]) in places
        assert clip.frames.shape == (length,)
        start, _ = run_of(clip)
        steps = np.diff(clip.frames)
        # back from the label in equal steps, until the run's first frame, which then repeats
        inside = [step for first, step in zip(clip.frames[:-1], steps, strict=True) if first > start]
        assert len(set(inside)) <= 1
        assert all(least <= step <= least + more for step in inside)
        assert all(0 <= step <= least + more for step in steps)
        assert clip.targets is not None
        assert clip.targets.dtype == np.float32
        np.testing.assert_array_equal(clip.targets, np.array(slow_targets(clip, set(places)), np.float32))


def test_a_clip_at_the_beginning_repeats_its_first_frame_and_counts_it_once() -> None:
    choose = labelled([(0, 15), (0, 16)], length=4, stride=(1, 1))
    clips_of = {int(clip.frames[-1]): clip for clip in (choose(0, index) for index in range(2))}
    assert clips_of[15].frames.tolist() == [15, 15, 15, 15], "frames 10 to 14 show no face"
    assert clips_of[16].frames.tolist() == [15, 15, 15, 16]
    for clip in clips_of.values():
        assert clip.targets is not None
    np.testing.assert_array_equal(clips_of[15].targets[:, 0], [np.nan] * 3 + [3])  # type: ignore[index]  # checked above
    np.testing.assert_array_equal(clips_of[16].targets[:, 0], [np.nan] * 2 + [3, 4])  # type: ignore[index]  # checked above


def test_every_label_is_the_last_one_equally_often() -> None:
    places = [(0, frame) for frame in (0, 1, 2, 20)] + [(2, 30), (7, 1)]
    choose = labelled(places, clips_per_epoch=20)
    order = [(clip.video, int(clip.frames[-1])) for clip in (choose(i // 20, i % 20) for i in range(120))]
    assert all(sorted(order[start : start + 6]) == sorted(places) for start in range(0, 120, 6))


def slow_frames(
    times: list[float], faces: list[bool], anew: list[bool], last: int, step_s: float, length: int
) -> list[int]:
    """Of each sample the frame nearest in time, and what is seen in it, one frame after the other."""
    shown, first, seen_s = list[int](), list[int](), -1e9
    for frame, (now, face) in enumerate(zip(times, faces, strict=True)):
        if face and (anew[frame] or now - seen_s > max(0.5, 1.5 * step_s) + 0.001):
            first.append(frame)
        else:
            first.append(first[-1] if first else -1)
        shown.append(frame if face else (shown[-1] if shown else -1))
        seen_s = now if face else seen_s
    found = []
    for sample in reversed(range(length)):
        wanted = times[last] - sample * step_s
        nearest = min(range(len(times)), key=lambda frame: (round(abs(times[frame] - wanted), 6), frame))
        found.append(shown[max(nearest, first[last])])
    return found


@settings(max_examples=200, deadline=None)
@given(
    waits=st.lists(st.sampled_from([0.02, 0.033, 0.04, 0.04, 0.041, 0.2, 0.7]), min_size=1, max_size=60),
    lost=st.lists(st.integers(0, 59), max_size=40),
    others=st.lists(st.integers(0, 59), max_size=2),
    stride=st.integers(1, 12),
    length=st.integers(1, 8),
    fps=st.sampled_from([5.0, 20.0, 25.0, 30.0]),
)
def test_samples_are_the_nearest_frames_in_time(
    waits: list[float], lost: list[int], others: list[int], stride: int, length: int, fps: float
) -> None:
    times, faces = np.cumsum(waits), np.array([frame not in lost for frame in range(len(waits))])
    anew = np.array([frame in others for frame in range(len(waits))])
    for last in np.flatnonzero(faces).tolist():
        labels = pd.DataFrame({"video": [0], "frame": [last], "AU01": [1]})
        videos = {0: Timeline(times, faces, anew)}
        clip = LabelledClips(labels, ["AU01"], videos, length, (stride, stride), fps, 1, 0)(0, 0)
        assert clip.frames.tolist() == slow_frames(
            times.tolist(), faces.tolist(), anew.tolist(), last, stride / fps, length
        )


@pytest.mark.parametrize("fps", [19.98, 25.0, 29.97])
def test_at_one_rate_samples_are_a_whole_number_of_frames_apart(fps: float) -> None:
    """In frames counted back, whatever the times are rounded to, and however far videos stray from the dataset's."""
    rng = np.random.default_rng(0)
    for rate in (fps, 1.0005 * fps):
        times = np.round(7 + np.arange(900) / rate + rng.uniform(-0.002, 0.002, 900), 3)
        labels = pd.DataFrame({"video": 0, "frame": np.arange(900), "AU01": 1})
        choose = LabelledClips(
            labels, ["AU01"], {0: Timeline(times, np.ones(900, bool), np.zeros(900, bool))}, 8, (2, 6), fps, 900, 0
        )
        for index in range(900):
            rng_of = np.random.default_rng([0, 0, index])
            stride, frames = int(rng_of.integers(2, 6, endpoint=True)), choose(0, index).frames
            assert frames.tolist() == [max(int(frames[-1]) - stride * k, 0) for k in range(7, -1, -1)]


def test_a_video_of_another_rate_gives_clips_as_long() -> None:
    """Of one film at 25 and 50 frames a second, the same pictures."""
    labels = [pd.DataFrame({"video": [0], "frame": [frame], "AU01": [1]}) for frame in (40, 80)]
    clips = []
    for label, fps in zip(labels, (25, 50), strict=True):
        video = Timeline(np.arange(4 * fps) / fps, np.ones(4 * fps, bool), np.zeros(4 * fps, bool))
        clips.append(LabelledClips(label, ["AU01"], {0: video}, 8, (4, 4), 25.0, 1, 0)(0, 0))
    assert clips[1].frames.tolist() == (2 * clips[0].frames).tolist()


def test_timelines_are_those_of_the_table() -> None:
    frames = pd.DataFrame(
        {
            "video_id": ["b", "a", "a", "b", "a"],
            "frame": [0, 1, 0, 1, 2],
            "time_s": [0.0, 0.04, 0.0, 0.1, 0.03],
            "face_confidence": [1.0, 0.0, 0.5, 0.0, 1.0],
        }
    )
    found = timelines(frames, {"a": [2]})
    assert {video: of.times.tolist() for video, of in found.items()} == {"a": [0, 0.04, 0.04], "b": [0, 0.1]}
    assert {video: of.faces.tolist() for video, of in found.items()} == {"a": [True, False, True], "b": [True, False]}
    assert {video: of.anew.tolist() for video, of in found.items()} == {"a": [False, False, True], "b": [False] * 2}


# -- both --------------------------------------------------------------------------------------------------------


def unlabelled(seed: int) -> UnlabelledClips:
    return UnlabelledClips(SEGMENTS, 4, (1, 4), clips_per_epoch=50, seed=seed)


def all_labelled(seed: int) -> LabelledClips:
    return labelled(IN_SEGMENTS, seed=seed)


@pytest.mark.parametrize("make", [unlabelled, all_labelled])
def test_a_clip_depends_on_seed_epoch_and_index_alone(make: Callable[[int], Callable[[int, int], Clip]]) -> None:
    places = [(epoch, index) for epoch in range(3) for index in range(50)]
    choose = make(4)
    first = {place: choose(*place) for place in places}
    rng = np.random.default_rng(0)
    for _ in range(2):  # in any order, by any copy (a rank, a worker, a resumed run), with or without what is kept
        clips._permutation.cache_clear()
        copy = make(4)
        for place in rng.permutation(places)[:60]:
            again = copy(int(place[0]), int(place[1]))
            assert same(again, first[int(place[0]), int(place[1])])
            np.random.default_rng().integers(9)
    for other in (make(5), lambda epoch, index: choose(epoch + 1, index)):
        differing = [not same(other(*place), first[place]) for place in places]
        assert np.mean(differing) > 0.8, "another seed or epoch, other clips"


@pytest.mark.parametrize("make", [unlabelled, all_labelled])
def test_indices_past_the_epoch_lead_to_other_videos(make: Callable[[int], Callable[[int, int], Clip]]) -> None:
    choose = make(0)
    for index in range(10):  # what is tried in place of a clip whose video is unreadable
        spares = [choose(0, index + 1_000_003 * spare) for spare in range(1, 40)]
        assert {clip.video for clip in spares} >= {0, 2, 5}
        assert len({(clip.video, *clip.frames.tolist()) for clip in spares}) > 15


@pytest.mark.parametrize("count", [3, 40])
def test_frames_for_a_reference_stand_in_front_of_the_clip(count: int) -> None:
    """Of its video, with a face, without labels; all come, and the clip is the one that it is without them."""
    labels = pd.DataFrame({"video": [0, 2, 5], "frame": [20, 40, 15], "AU01": [1, 2, None], "AU12": [0, 5, 3]})
    plain, more = (
        LabelledClips(labels, COLUMNS, TIMELINES, 4, (2, 4), FPS, 6, seed=1, reference=reference)
        for reference in (0, count)
    )
    seen: dict[int, set[int]] = {}
    for index in range(300):
        clip, other = plain(0, index), more(0, index)
        assert other.targets is not None
        assert np.isnan(other.targets[:count]).all()
        assert same(clip, Clip(other.video, other.frames[count:], other.targets[count:]))
        assert same(other, more(0, index))
        front = other.frames[:count].tolist()
        there = set(np.flatnonzero(TIMELINES[clip.video].faces).tolist())
        assert set(front) <= there
        assert len(set(front)) == count or len(there) < count
        seen.setdefault(clip.video, set()).update(front)
    assert seen == {video: set(np.flatnonzero(TIMELINES[video].faces).tolist()) for video in (0, 2, 5)}


def test_the_label_of_the_last_frame_alone() -> None:
    """Where every frame has one; else all of them count."""
    labels = pd.DataFrame([(2, frame, frame % 6, 1) for frame in range(3, 60)], columns=["video", "frame", *COLUMNS])
    settings = (labels, COLUMNS, TIMELINES, 4, [1, 3], FPS, 40, 0)
    alone, together = LabelledClips(*settings, alone=True), LabelledClips(*settings)
    for index in range(100):
        clip, other = alone(1, index), together(1, index)
        assert clip.frames.tolist() == other.frames.tolist()
        assert clip.targets is not None
        assert other.targets is not None
        assert np.isnan(clip.targets[:-1]).all()
        assert clip.targets[-1].tolist() == other.targets[-1].tolist() == [clip.frames[-1] % 6, 1]


@pytest.mark.parametrize("share", [0.25, 0.3, 1 / 3, 0.5, 0.9])
def test_two_kinds_of_clips_are_mixed_evenly(share: float) -> None:
    """Oracle: a loop that counts; each part of a batch has of both, and each kind its places in order."""

    def of(kind: int) -> Callable[[int, int], Clip]:
        return lambda epoch, index: Clip(kind, np.array([epoch, index]))

    mixed = MixedClips(of(0), of(1), share)
    count = [0, 0]
    for index in range(1000):
        clip = mixed(3, index)
        assert clip.frames.tolist() == [3, count[clip.video]]
        count[clip.video] += 1
        assert abs(count[0] - share * (index + 1)) < 1 + 1e-6
