"""The landmarker: started without a word, with a model that is one, and with the same result wherever it is run."""

import multiprocessing
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.model_file import DETECTOR, EXPRESSIONS, MESH, MOST_BYTES, model_file
from aulight.data.faces.pose import Array
from aulight.errors import AulightError
from tests.data.faces.astronaut import ASTRONAUT, SETTINGS, film


@pytest.mark.parametrize("stderr", ["open", "closed"])
def test_it_starts_no_thread_and_says_nothing(stderr: str, tmp_path: Path) -> None:
    """The oracle is the kernel's list of threads, before and after."""
    script = """
import pathlib, sys
from skimage.data import astronaut
from aulight.data.faces.landmarker import Landmarker
tasks = pathlib.Path("/proc/self/task")
def threads():
    return len(list(tasks.iterdir())) if tasks.is_dir() else 0
image, before = astronaut(), threads()
import cv2
cv2.setNumThreads(1)
landmarker = Landmarker(blendshapes=True, max_faces=2)
(face,) = landmarker.look(image)
print(len(landmarker.detect(image)), threads() - before)
"""
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, str(tmp_path / "script.py")]
    if stderr == "closed":
        command = ["sh", "-c", 'exec "$0" "$1" 2>&-', *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 0\n", "")


def test_leaving_an_unfinished_video_ends_well() -> None:
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


def _landmarks(landmarker: Landmarker) -> tuple[Array, Array]:
    (face,) = landmarker.look(next(film(1)).image)
    return face.landmarks, np.asarray(face.blendshapes, np.float64)


def _once() -> tuple[Array, Array]:
    return _landmarks(Landmarker(blendshapes=True, max_faces=1))


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_a_worker_finds_the_same(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, also one that is forked from a process that has one open."""
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {start}")
    opened = Landmarker(blendshapes=True, max_faces=1)
    expected = _landmarks(opened)
    with ProcessPoolExecutor(1, multiprocessing.get_context(start)) as pool:
        for own, found in zip(expected, pool.submit(_once).result(), strict=True):
            np.testing.assert_array_equal(own, found)


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(AulightError, match=r"nowhere\.task: no such face model"):
        FaceAligner(*SETTINGS, tmp_path / "nowhere.task")
    (tmp_path / "own.task").write_bytes(model_file().read_bytes())
    with FaceAligner(*SETTINGS, tmp_path / "own.task") as aligner:
        assert [frame.confidence for frame in aligner.align(film(2))] == [1, 1]


def _changed(change: Callable[[dict[str, bytes]], object]) -> Callable[[Path], None]:
    """A landmarker with other members, whole as a zip."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(model_file()) as archive:
            members = {name: archive.read(name) for name in (DETECTOR, MESH, EXPRESSIONS)}
        change(members)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return write


def _damaged(path: Path) -> None:
    content = bytearray(model_file().read_bytes())
    for place in range(2000, len(content) - 2000, 5000):
        content[place] ^= 0xFF
    path.write_bytes(content)


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no zip": (lambda path: path.write_bytes(b"no model"), "not a zip file"),
    "empty": (lambda path: path.write_bytes(b""), "not a zip file"),
    "cut off": (lambda path: path.write_bytes(model_file().read_bytes()[:1_000_000]), "not a zip file"),
    "damaged": (_damaged, "CRC"),
    "something missing": (_changed(lambda members: members.pop(EXPRESSIONS)), "no item named"),
    "another network": (_changed(lambda members: members.update({DETECTOR: members[EXPRESSIONS]})), "something else"),
    "no network": (_changed(lambda members: members.update({MESH: b"TFL3" * 1000})), MESH),
    "an empty network": (_changed(lambda members: members.update({DETECTOR: b""})), DETECTOR),
    "a cut network": (_changed(lambda members: members.update({MESH: members[MESH][:10_000]})), MESH),
    "a bomb": (_changed(lambda members: members.update({DETECTOR: bytes(MOST_BYTES + 1)})), "larger than 64 MB"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_that_is_no_landmarker(kind: str, tmp_path: Path) -> None:
    write, reason = FOREIGN[kind]
    path = tmp_path / "foreign.task"
    write(path)
    with pytest.raises(AulightError, match=rf"^{path}: not a face landmarker: face_\w+\.tflite") as refused:
        Landmarker(blendshapes=True, max_faces=1, model=path).look(ASTRONAUT)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_litert_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(AulightError, match=r'needs ai-edge-litert: pip install "aulight\[faces\]"'):
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
