"""MediaPipe's landmarker: started without a word, with a model that is one, and closed in the end."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.model_file import model_file
from aulight.data.faces.pose import BLENDSHAPES
from aulight.errors import AulightError
from tests.data.faces.astronaut import SETTINGS, film


def test_blendshapes_are_named_as_the_landmarker_names_them() -> None:
    import mediapipe

    landmarker = Landmarker(blendshapes=True, max_faces=1)
    image = mediapipe.Image(mediapipe.ImageFormat.SRGB, next(film(1)).image)
    scores = landmarker._start("VIDEO", 1).detect_for_video(image, 0).face_blendshapes[0]
    landmarker.close()
    assert tuple(score.category_name for score in scores) == BLENDSHAPES


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux tells what threads block")
def test_threads_of_the_landmarker_are_deaf_to_profilers() -> None:
    """Its library ends the process otherwise, now and then. The oracle is the kernel."""
    script = """
import pathlib, signal
from skimage.data import astronaut
from aulight.data.faces.aligner import FaceAligner
from aulight.data.video.types import RawFrame
def deaf():
    for task in pathlib.Path("/proc/self/task").iterdir():
        status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        if status["Name"].strip() == "drishti":  # that work for mediapipe's graphs
            yield int(status["SigBlk"], 16) >> signal.SIGPROF - 1 & 1
with FaceAligner(64, blendshapes=True, max_faces=4, smooth_s=0.1) as aligner:
    frames = aligner.align(RawFrame(number, number / 25, astronaut()) for number in range(60))
    next(frames)
    print(set(deaf()), signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr) == ("{1} set()\n", "")


def test_leaving_an_unfinished_video_closes_the_landmarker() -> None:
    script = """
import sys, numpy as np
from skimage.data import astronaut
from aulight.data.faces.aligner import FaceAligner
from aulight.data.video.types import RawFrame
frames = [RawFrame(number, number / 25, astronaut()) for number in range(40)]
with FaceAligner(64, blendshapes=True, max_faces=4, smooth_s=0.1) as aligner:
    unfinished = aligner.align(iter(frames))
    print(next(unfinished).confidence)
    print(len(list(aligner.align(frames))))
keep = unfinished
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1.0\n40\n", "")


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(AulightError, match=r"nowhere\.task: no such face model"):
        FaceAligner(*SETTINGS, tmp_path / "nowhere.task")
    (tmp_path / "wrong.task").write_bytes(b"no model")
    with (
        FaceAligner(*SETTINGS, tmp_path / "wrong.task") as aligner,
        pytest.raises(AulightError, match=r"wrong\.task: medi"),
    ):
        list(aligner.align(film(1)))
    (tmp_path / "own.task").write_bytes(model_file().read_bytes())
    with FaceAligner(*SETTINGS, tmp_path / "own.task") as aligner:
        assert [frame.confidence for frame in aligner.align(film(2))] == [1, 1]


def test_without_mediapipe_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(AulightError, match=r'pip install "aulight\[faces\]"'):
        FaceAligner(*SETTINGS)


def test_a_closed_landmarker_finds_the_same_again() -> None:
    landmarker = Landmarker(blendshapes=False, max_faces=1)
    image = next(film(1)).image
    (before,) = landmarker.look(image)
    assert landmarker.detect(image)
    landmarker.close()
    (after,) = landmarker.look(image)
    np.testing.assert_array_equal(after.landmarks, before.landmarks)
    landmarker.close()
