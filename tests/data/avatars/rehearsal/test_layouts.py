"""What is filmed for a rehearsal, as `prepare` reads it: the labels are what was acted; what is awkward is said.

Readers decode nothing, so most videos and pictures are empty here; `tests/test_rehearsal.py` films all.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from aulight.data.avatars.actions import AVATAR_AUS
from aulight.data.avatars.rehearsal import bp4d, disfa, others
from aulight.data.avatars.scene import performance
from aulight.data.sources.reading import read
from aulight.data.video.raw import raw_frames
from aulight.datasets import BP4D_AUS, BP4D_SUBJECTS, DISFA_AUS, DISFA_SUBJECTS, DISFA_UNTRACKED

WIDEST = np.deg2rad(25)


def shown(subject: int, video: int, frames: int, fps: float, aus: tuple[int, ...]) -> np.ndarray:
    """What an avatar acts, ``(frames, AUs)``."""
    acting, _ = performance(3, subject, video, frames, fps, WIDEST)
    return np.round(acting.intensities[:, [AVATAR_AUS.index(au) for au in aus]]).astype(int)


def test_disfa_is_read_as_it_was_acted(tmp_path: Path) -> None:
    people = disfa.takes(tmp_path, 5, 60, 3, "first")
    names = ["SN002", "SN003", "SN010", "SN013", "SN018"]
    for take, name in zip(people, names, strict=True):
        for place in (f"Videos_LeftCamera/LeftVideo{name}_comp.avi", f"Video_RightCamera/RightVideo{name}_Comp.avi"):
            (tmp_path / place).parent.mkdir(exist_ok=True)
            (tmp_path / place).touch()
        told: list[int] = []
        take.film(told.append)
        assert sum(told) == take.frames == 120
    assert (tmp_path / "ActionUnit_Labels/SN002/SN002_au4.txt").read_text().startswith("0,")
    assert (tmp_path / "ActionUnit_Labels/SN003/SN003_au4.txt").read_text().startswith("1,")
    active = 0
    for camera, sides in (("left", 1), ("right", 1), ("both", 2)):
        found = read("disfa", tmp_path, (), None, camera=camera, drop_untracked=False)
        absent = ", ".join(subject for subject in DISFA_SUBJECTS if subject not in names)
        assert found.notes == [f"no video of 22 of the 27 subjects: {absent}"]
        assert found.aus == DISFA_AUS
        assert len(found.videos) == 5 * sides
        for video in found.videos:
            assert camera in (video.columns["camera"], "both")
            acted = shown(1_000_000 + int(video.subject[2:]), 0, 60, 20, DISFA_AUS)
            assert video.labels is not None
            np.testing.assert_array_equal(
                video.labels.to_numpy(int), acted[:59] if video.subject == "SN010" else acted, err_msg=video.video_id
            )
            active += int((acted > 0).sum())
    assert active > 100


def test_a_face_is_hidden_where_disfa_lost_it() -> None:
    of = {take.name: take for take in disfa.takes(Path(), 27, 4845, 0, "first") if isinstance(take, disfa.Person)}
    assert sorted(of) == list(DISFA_SUBJECTS)
    lost = sum(last - first + 1 for ranges in DISFA_UNTRACKED.values() for first, last in ranges)
    assert sum(int(person.hidden().sum()) for person in of.values()) == lost
    hidden = of["SN002"].hidden()
    assert hidden[799:826].all()
    assert hidden.sum() == 27


def test_bp4d_is_read_as_it_was_acted(tmp_path: Path) -> None:
    sequences = [take for take in bp4d.takes(tmp_path, 3, 40, 3, "first") if isinstance(take, bp4d.Sequence)]
    assert len(sequences) == 3 * 8
    for sequence in sequences:
        every, coded = sequence.numbers()
        assert set(coded) <= set(every)
        assert every.start >= 1
        place = tmp_path / "BP4D-training" / sequence.name / sequence.task
        place.mkdir(parents=True)
        for number in every:
            (place / f"{number:04d}.jpg").touch()
        sequence.film(lambda _: None)
    found = read("bp4d", tmp_path, (), None, plus=False, fps=25.0)
    absent = ", ".join(subject for subject in BP4D_SUBJECTS if subject not in ("F001", "F002", "M001"))
    assert found.notes == [f"no images of 38 of the 41 subjects: {absent}"]
    unknown = active = 0
    of = {video.video_id: video.labels for video in found.videos}
    assert len(of) == 24
    for sequence in sequences:
        every, coded = sequence.numbers()
        number = 2_000_000 + BP4D_SUBJECTS.index(sequence.name)
        acted = shown(number, int(sequence.task[1:]), len(every), 25, BP4D_AUS)[coded.start - every.start :]
        labels = of[f"{sequence.name}_{sequence.task}"]
        assert labels is not None
        assert labels.index.tolist() == list(coded)
        told = labels.notna().to_numpy()
        np.testing.assert_array_equal(labels.to_numpy(float, na_value=np.nan)[told], acted[: len(coded)][told])
        unknown += int((~told).sum())
        active += int((acted[: len(coded)] > 0).sum())
    assert unknown > 30
    assert active > 100


def test_bp4d_at_true_size() -> None:
    """Lengths as published: 90 to 768, 448 on average; 118 of 328 begin with picture 1; one subject is missing."""
    sequences = [take for take in bp4d.takes(Path(), 41, 448, 0, "first") if isinstance(take, bp4d.Sequence)]
    assert {sequence.name for sequence in sequences} == set(BP4D_SUBJECTS) - {"M008"}
    coded = [sequence.numbers()[1] for sequence in sequences]
    lengths = [len(numbers) for numbers in coded]
    assert min(lengths) >= 90
    assert max(lengths) <= 768
    assert np.mean(lengths) == pytest.approx(448, abs=25)
    assert sum(numbers.start == 1 for numbers in coded) == pytest.approx(118 * 320 / 328, abs=25)
    assert sum(sequence.frames > len(numbers) for sequence, numbers in zip(sequences, coded, strict=True)) > 300


def test_others_are_of_several_sizes_rates_and_formats(tmp_path: Path) -> None:
    takes = others.takes(tmp_path, 4, 10, 0, "first")
    for take in takes:
        take.film(lambda _: None)
    found = read("affwild2", tmp_path, (), None, pictures="videos", fps=30.0)
    assert found.notes == []
    assert {video.path.parent.name for video in found.videos} == {"batch1", "batch2", "new_vids"}
    assert read("folder", tmp_path, (), None, fps=25.0).notes == []
    lengths, kinds = [], set()
    for video in found.videos:
        with av.open(str(video.path)) as container:
            stream = container.streams.video[0]
            kinds.add((stream.width, stream.height, Fraction(stream.average_rate or 0), stream.codec_context.name))
        lengths.append(sum(1 for _ in raw_frames(video.path)))
    assert sorted(lengths) == sorted(take.frames for take in takes)
    assert len(kinds) > 2
    assert len({rate for *_, rate, _ in kinds}) > 1
    assert {codec for *_, codec in kinds} == {"h264", "mpeg4"}
