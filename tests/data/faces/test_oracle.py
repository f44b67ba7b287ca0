"""The landmarker beside mediapipe's own, which runs the same networks: the same faces, landmarks and blendshapes."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.model_file import model_file
from aulight.data.faces.pose import BLENDSHAPES, Array, Face
from tests.data.faces import reference
from tests.data.faces.scenes import SCENES, SINGLE

MEAN, WORST, SCORE = 0.005, 0.02, 0.03
"""How far landmarks may be apart, in widths of the face, on average and at worst; and blendshapes at worst."""

pytestmark = [
    pytest.mark.skipif(find_spec("mediapipe") is None, reason="needs mediapipe: pip install mediapipe"),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux can keep mediapipe from the network"),
]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Array]:
    """What mediapipe has found; see :mod:`tests.data.faces.reference`."""
    path = tmp_path_factory.mktemp("reference") / "found.npz"
    command = [sys.executable, reference.__file__, str(path), str(model_file())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    if done.returncode == reference.UNCUT:
        pytest.skip("mediapipe would call its makers, and this system cannot cut it off")
    assert done.returncode == 0, done.stderr
    return dict(np.load(path))


@pytest.fixture(scope="module")
def landmarker() -> Iterator[Landmarker]:
    landmarker = Landmarker(blendshapes=True, max_faces=8)
    yield landmarker
    landmarker.close()


def compare(faces: list[Face], landmarks: Array, blendshapes: Array) -> list[tuple[float, float, float]]:
    """Of the faces of one picture, each with its like: apart on average and at worst, and the scores at worst."""
    assert len(faces) == len(landmarks)
    own = np.array([face.landmarks for face in faces]).reshape(-1, *landmarks.shape[1:])
    apart = np.linalg.norm(own[:, None] - landmarks, axis=3) / np.ptp(landmarks[..., 0], 1)[:, None]
    return [
        (
            float(apart[mine, theirs].mean()),
            float(apart[mine, theirs].max()),
            float(np.abs(faces[mine].blendshapes - blendshapes[theirs]).max()),
        )
        for mine, theirs in zip(*linear_sum_assignment(apart.mean(2)), strict=True)
    ]


def assert_alike(differences: list[tuple[float, float, float]]) -> None:
    assert len(differences) > 15
    mean, worst, score = np.array(differences).T
    assert mean.mean() < MEAN
    assert worst.max() < WORST
    # A box that the detector holds for a face with .500 moves the square if it counts, and mediapipe rounds places on
    # the picture to 1/32 pixel: so one face may be off.
    assert np.sort(score)[-2] < SCORE


def of(known: Mapping[str, Array], scene: str, most: int, number: int) -> tuple[Array, Array]:
    landmarks, blendshapes = (known[f"{scene}/{most}/{number}/{what}"] for what in ("landmarks", "blendshapes"))
    return landmarks, blendshapes


@pytest.mark.parametrize("scene", SINGLE)
def test_pictures(scene: str, known: Mapping[str, Array], landmarker: Landmarker) -> None:
    differences = []
    for number, image in enumerate(SCENES[scene]()):
        differences += compare(landmarker.look(image), *of(known, scene, 8, number))
        assert len(landmarker.detect(image)) == known[f"{scene}/8/{number}/detected"]
    if scene == "none":
        assert not differences
    else:
        assert_alike(differences)


@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize("scene", sorted(SCENES.keys() - set(SINGLE)))
def test_films(scene: str, most: int, known: Mapping[str, Array], landmarker: Landmarker) -> None:
    differences, alone = [], 0
    with landmarker.video(most) as track:
        for number, image in enumerate(SCENES[scene]()):
            landmarks, blendshapes = of(known, scene, most, number)
            apart = compare(track(image), landmarks, blendshapes)
            alone = alone + 1 if len(apart) == 1 else 0
            # mediapipe smooths the second picture of a face that it tracks alone, whatever the time between
            differences += [] if most == 1 and alone == 2 else apart
    assert_alike(differences)


def test_blendshapes_are_named_as_mediapipe_names_them(known: Mapping[str, Array]) -> None:
    assert tuple(known["names"][: len(BLENDSHAPES)].tolist()) == BLENDSHAPES
