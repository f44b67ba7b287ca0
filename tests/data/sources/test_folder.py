"""Any folder: what is a video is found wherever it lies, and has a name of its own."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aulight.data.sources.raw import RawDataset
from aulight.data.sources.reading import read
from aulight.data.video.raw import raw_frames
from aulight.errors import AulightError
from tests.data.video.test_photos import SCENES, moving, save
from tests.steps import steps

Tree = Callable[..., Path]
SMALL = (64, 48)


def _read(root: Path, fps: float = 25.0) -> RawDataset:
    return read("folder", root, (), None, fps=fps)


def _files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def _found(data: RawDataset, root: Path) -> dict[str, str]:
    return {video.video_id: video.path.relative_to(root).as_posix() for video in data.videos}


def test_videos_and_folders_of_images_are_found(tmp_path: Path, folder_tree: Tree) -> None:
    root = folder_tree(tmp_path / "raw", frames=6, real=True)
    data = _read(root)
    assert _found(data, root) == {
        "day_1__second": "day 1/second.avi",
        "day_1__third": "day 1/third",
        "first": "first.mp4",
    }
    assert [(video.subject, video.labels) for video in data.videos] == [(name, None) for name in _found(data, root)]
    assert [video.fps for video in data.videos] == [None, 25.0, None]
    assert data.aus == ()
    assert data.notes[1:] == ["passed over 1 files that are neither videos nor images: 1 .txt"]
    for video, first in zip(data.videos, (0, 10, 0), strict=True):
        assert [frame.number for frame in raw_frames(video.path, video.fps)] == list(range(first, first + 6))


def test_what_is_a_video(tmp_path: Path) -> None:
    root = _files(
        tmp_path / "raw",
        "B.MP4", "a.mov", "x/y/z/frames/1.PNG", "x/y/z/frames/2.png", "x/y/z/frames/times.csv", "x/y/z/c.mkv",
        "x/y/list", "x/mixed/cover.jpg", "x/mixed/film.mp4", ".hidden/d.mp4", ".e.mp4", "x/f.txt",
    )  # fmt: skip
    data = _read(root)
    assert _found(data, root) == {
        "B": "B.MP4",
        "a": "a.mov",
        "x__mixed": "x/mixed",
        "x__mixed__film": "x/mixed/film.mp4",
        "x__y__z__c": "x/y/z/c.mkv",
        "x__y__z__frames": "x/y/z/frames",
    }
    assert data.notes[1:] == [
        "passed over 3 files that are neither videos nor images: 1 without suffix, 1 .csv, 1 .txt"
    ]


def test_images_in_the_folder_itself_are_one_video(tmp_path: Path) -> None:
    root = _files(tmp_path / "take 7", "0001.jpg", "0002.jpg")
    assert _found(_read(root), root) == {"take_7": "."}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("P01 (neutral)/take#1.mp4", "P01__neutral___take_1"),
        ("Müller/日本.mp4", "Müller__日本"),
        ("v1.2-final.mp4", "v1.2-final"),
        ("take.01/1.jpg", "take.01"),
    ],
)
def test_names_are_file_names(tmp_path: Path, path: str, name: str) -> None:
    root = _files(tmp_path / "raw", path)
    assert [video.video_id for video in _read(root).videos] == [name]
    (tmp_path / f"{name}.mp4").touch()


@pytest.mark.parametrize("names", [("a.mp4", "a.avi"), ("b c.mp4", "b_c.mp4"), ("d/e.mp4", "d__e.mp4")])
def test_two_videos_of_one_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    root = _files(tmp_path / "raw", *names)
    with pytest.raises(AulightError, match=r"both would be video .*; rename one") as caught:
        _read(root)
    assert all(str(root / name) in str(caught.value) for name in names)
    _files(root, "other.mp4", "more/other.mp4")
    data = _read(root)
    assert sorted(_found(data, root).values()) == ["more/other.mp4", "other.mp4"], "the others are used"
    assert [note for note in data.notes if "both would be" in note] == [
        f"not used: {line}" for line in data.left_out.values()
    ]
    (name,) = data.left_out
    assert all(str(root / path) in data.left_out[name] for path in names)


def test_a_name_that_is_too_long_for_a_file_ends_in_a_mark_of_its_own(tmp_path: Path) -> None:
    names = [f"{'a' * 120}/{'b' * 120}{end}.mp4" for end in "xy"] + ["漢" * 83 + ".mp4", "c" * 196 + ".mp4"]
    root = _files(tmp_path / "raw", *names)
    found = _found(_read(root), root)
    assert sorted(found.values()) == sorted(names), "none is lost, and no two have one name"
    assert all(len(name.encode()) <= 200 for name in found)
    assert found["c" * 196] == "c" * 196 + ".mp4", "short enough"
    assert _found(_read(root), root) == found, "and the same ones the next time"


def test_what_is_called_a_video_and_is_no_file_is_named(tmp_path: Path) -> None:
    root = _files(tmp_path / "raw", "a.mp4")
    (root / "loop.mp4").symlink_to("loop.mp4")
    (root / "gone.avi").symlink_to("nowhere.avi")
    (root / "zero.mkv").symlink_to("/dev/zero")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe.mp4")
    os.mkfifo(root / "1.jpg")
    data = _read(root)
    assert _found(data, root) == {"a": "a.mp4"}
    says = {"gone.avi": "a link that leads nowhere", "zero.mkv": "a device, where a file is needed"}
    says |= {"pipe.mp4": "a pipe, where a file is needed"}
    for name, reason in says.items():
        assert f"not used: {root / name}: {reason}" in data.notes
    assert any("loop.mp4: cannot be read (Too many levels of symbolic links)" in note for note in data.notes)


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path: Path) -> None:
    """By a user who may not; one who may do everything is made one first, in a process of its own."""
    root = _files(tmp_path / "raw", "a.mp4", "lost+found/b.mp4", "listed/c.mp4", "deep/er/d.mp4")
    modes = {"lost+found": 0o000, "listed": 0o444}
    for name, mode in modes.items():
        (root / name).chmod(mode)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o111)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            data = _read(root)
            said = "\n".join([*_found(data, root).values(), *data.notes])
        except BaseException as error:
            said = repr(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        lines = file.read().splitlines()
    os.waitpid(child, 0)
    for name in modes:
        (root / name).chmod(0o755)
    assert {*lines[:2]} == {"deep/er/d.mp4", "a.mp4"}
    assert f"not looked into: {root / 'lost+found'} (Permission denied)" in lines
    assert f"not used: {root / 'listed' / 'c.mp4'}: cannot be read (Permission denied)" in lines


def test_pictures_that_cannot_be_read_are_told_with_what_to_do(tmp_path: Path) -> None:
    root = _files(tmp_path / "raw", "b.HEIC", "sub/c.heic", "d.nef", "e.txt")
    advice = "pictures of kinds that cannot be read (2 .heic, 1 .nef); save them as jpg or png"
    with pytest.raises(AulightError) as caught:
        _read(root)
    assert str(caught.value).endswith(f"found b.HEIC, d.nef, e.txt, sub/; {advice}")
    _files(root, "a.mp4")
    told = ["passed over 1 files that are neither videos nor images: 1 .txt", f"not used: {advice}"]
    assert _read(root).notes == told


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root, elsewhere = _files(tmp_path / "raw", "a.mp4"), _files(tmp_path / "disk", "b.mp4")
    (root / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(root)
    assert [video.video_id for video in _read(root).videos] == ["a", "linked__b"]


def test_the_frame_rate_of_images_is_said_for_nothing_else_tells_it(tmp_path: Path, folder_tree: Tree) -> None:
    root = folder_tree(tmp_path / "raw", frames=2, size=SMALL)
    data = _read(root, 29.97)
    assert data.notes[0] == (
        "1 folders of images, taken to have 29.97 frames a second (data.reader.fps): third (2 frames); "
        "data.reader.pictures=photos takes each image on its own"
    )
    assert [video.fps for video in data.videos] == [None, 29.97, None]
    shutil.rmtree(root / "day 1" / "third")
    assert not any("data.reader.fps" in note for note in _read(root).notes)


def test_a_folder_without_videos_is_told_what_was_expected_and_found(tmp_path: Path) -> None:
    root = _files(tmp_path / "raw", "a.txt", "b/c.csv", *(f"more/{i}.txt" for i in range(3)))
    with pytest.raises(AulightError) as caught:
        _read(root)
    expected = "expected videos, or folders of images, anywhere in it"
    assert str(caught.value) == f"data.source={root}: {expected}; found a.txt, b/, more/"
    (tmp_path / "empty").mkdir()
    with pytest.raises(AulightError, match=r"; found nothing$"):
        _read(tmp_path / "empty")


def test_photos_are_videos_of_one_frame_with_their_names(tmp_path: Path) -> None:
    """Beside the frames of a film; the oracle is what was saved."""
    root = tmp_path / "raw"
    save(root / "album", SCENES[:4], ["anna.jpg", "bob.jpg", "carl.jpg", "carl.png"])
    save(root / "film", moving(6))
    data = _read(root)
    assert _found(data, root) == {
        "album__anna": "album/anna.jpg",
        "album__bob": "album/bob.jpg",
        "album__carl.jpg": "album/carl.jpg",
        "album__carl.png": "album/carl.png",
        "film": "film",
    }
    assert any(note.startswith(f"4 images in {root}/album: taken for photos") for note in data.notes)
    assert any(note.startswith("1 folders of images, taken to have 25 frames") for note in data.notes)
    for video, picture in zip(data.videos, SCENES[:4], strict=False):
        (frame,) = raw_frames(video.path, video.fps)
        assert (frame.number, frame.image.shape) == (0, picture.shape)
    as_film = read("folder", root, (), None, fps=25, pictures="film")
    assert _found(as_film, root) == {"album": "album", "film": "film"}


def test_the_work_grows_with_the_files_of_a_folder_and_not_with_their_square(tmp_path: Path) -> None:
    """Of videos and of photos that nothing but their names tell apart; the oracle is how many calls it takes."""
    taken = dict[int, int]()
    picture = np.full((8, 8, 3), 90, np.uint8)
    for count in (60, 240):
        _files(tmp_path / f"{count}", *(f"{number}.mp4" for number in range(count)))
        save(tmp_path / f"{count}" / "photos", [picture] * count, "a{:d}.jpg")

        def listed(root: Path = tmp_path / f"{count}") -> RawDataset:
            return read("folder", root, (), None, fps=25, pictures="photos")

        assert len(listed().videos) == 2 * count
        taken[count] = steps(listed)
    assert taken[240] < 5 * taken[60]
