"""Raw videos: laid out as `prepare` reads them; and the landmarker finds on them what the geometry says is there."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aulight.data.avatars.actions import AVATAR_AUS
from aulight.data.avatars.raw import view, write_raw
from aulight.data.avatars.scene import Scene
from aulight.data.faces.landmarker import Landmarker
from aulight.data.sources.reading import read
from aulight.data.video.raw import raw_frames

CORRESPONDING = {
    33: "right eye outer", 133: "right eye inner", 362: "left eye inner", 263: "left eye outer",
    61: "right mouth corner", 291: "left mouth corner", 2: "nose base",
}  # fmt: skip
"""Landmarks whose places can be told on the mesh by eye: those on the nose's smooth bridge and wings cannot."""


def test_prepare_reads_what_is_written(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw", people=2, frames=6, seed=1, workers=2)
    raw = tmp_path / "raw"
    found = read("folder", raw / "videos", [raw / "labels.csv"], raw / "subjects.csv", fps=25.0)
    assert found.notes == []
    assert set(found.aus) <= set(AVATAR_AUS)
    assert {video.video_id: video.subject for video in found.videos} == {
        "P000_left": "P000", "P000_right": "P000", "P001_left": "P001", "P001_right": "P001",
    }  # fmt: skip
    labels = pd.read_csv(raw / "labels.csv")
    left, right = (labels[labels["video"] == f"P000_{side}"].drop(columns="video") for side in ("left", "right"))
    np.testing.assert_array_equal(left.to_numpy(), right.to_numpy())
    pictures = [[frame.image for frame in raw_frames(video.path)] for video in found.videos]
    assert [len(frames) for frames in pictures] == [6] * 4
    assert all(frame.shape == (360, 640, 3) for frames in pictures for frame in frames)
    assert np.abs(pictures[0][0].astype(float) - pictures[1][0]).mean() > 3, "another camera, another picture"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_landmarks_lie_where_the_geometry_says() -> None:
    """On 48 frames of 8 people from two cameras each."""
    landmarker = Landmarker(blendshapes=False, max_faces=1)
    errors, frames = [], 0
    try:
        for subject in range(8):
            scene = Scene(7, subject, 0, 80, 25.0, None, widest=float(np.deg2rad(25)))
            for number in (0, 1):
                camera = view(7, subject, number)
                for frame in (10, 40, 70):
                    frames += 1
                    faces = landmarker.look(scene.whole(frame, camera, number))
                    seen = camera.project(scene.figure.points)[:, :2] + 0.5  # from the corner of the first pixel
                    at = {name: seen[point] for name, point in scene.figure.landmarks.items()}
                    eyes = [(at[f"{side} eye outer"] + at[f"{side} eye inner"]) / 2 for side in ("left", "right")]
                    distance = np.linalg.norm(eyes[0] - eyes[1])
                    for face in faces:
                        away = [face.landmarks[number] - at[name] for number, name in CORRESPONDING.items()]
                        errors.append(np.linalg.norm(away, axis=1) / distance)
    finally:
        landmarker.close()
    assert len(errors) == frames, "a face in every picture, and one only"
    mean = np.mean(errors, 0)
    assert mean.mean() < 0.05, dict(zip(CORRESPONDING.values(), mean.round(3), strict=True))
