"""Tables of other programs, with the columns that each writes; the oracle is the shape by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import aulight
from aulight.errors import AulightError

OPENFACE = """frame, face_id, timestamp, confidence, success, gaze_0_x, pose_Tx, x_0, AU01_r, AU12_r, AU01_c, AU28_c
1, 0, 0.000, 0.98, 1, 0.1, 3.1, 300.2, 0.50, 2.25, 1.00, 0.00
2, 0, 0.040, 0.10, 0, 0, 0, 0, 0.00, 0.00, 0.00, 0.00
"""
OPENFACE_PICTURE = """face, confidence, AU01_r, AU01_c
0, 0.95, 0.5, 1
1, 0.90, 1.5, 0
"""
PYFEAT = """,FaceRectX,FaceRectY,FaceScore,x_0,Pitch,AU01,AU12,anger,input,frame,approx_time,Identity
0,10.0,20.0,0.99,1,2,0.25,0.75,0.1,C:\\v\\a.mp4,0,00:00,Person_1
1,50.0,20.0,0.90,1,2,0.5,0.125,0.1,C:\\v\\a.mp4,0,00:00,Person_0
2,,,,,,,,,C:\\v\\a.mp4,1,00:00,
"""
LIBREFACE = """,frame_idx,frame_time_in_ms,path_to_frame,facial_expression,au_1,au_7,au_1_intensity,au_12_intensity
0,0,0.0,p,Neutral,1,0,0.4,3.2
1,1,40.0,p,Neutral,0,0,0.1,0.0
"""
SPREADSHEET = """frame;timestamp;AU12_r
1;0,04;1,5
"""

SHAPES = {
    "OpenFace": (OPENFACE, ["AU01_r", "AU12_r", "AU01_c", "AU28_c"], [[0.5, 2.25, 1, 0], [np.nan] * 4], [0, 0.04]),
    "OpenFace of a picture": (OPENFACE_PICTURE, ["AU01_r", "AU01_c"], [[0.5, 1], [1.5, 0]], [np.nan] * 2),
    "py-feat": (PYFEAT, ["AU01_c", "AU12_c"], [[0.25, 0.75], [0.5, 0.125], [np.nan] * 2], [0, 0, 0.05]),
    "LibreFace": (
        LIBREFACE,
        ["AU01_r", "AU12_r", "AU01_c", "AU07_c"],
        [[0.4, 3.2, 1, 0], [0.1, 0, 0, 0]],
        [0, 0.04],
    ),
    "OpenFace from a spreadsheet": (SPREADSHEET, ["AU12_r"], [[1.5]], [0.04]),
}


@pytest.mark.parametrize("program", SHAPES)
def test_one_shape(program: str, tmp_path: Path) -> None:
    text, units, values, times = SHAPES[program]
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    table = aulight.read_csv(tmp_path / "table.csv", fps=20 if program == "py-feat" else None)
    assert list(table.columns) == ["frame", "face_id", "timestamp", "confidence", "success", *units]
    np.testing.assert_allclose(table[units], values)
    np.testing.assert_allclose(table["timestamp"], times)
    assert table.attrs["program"] == program.partition(" ")[0]
    assert not set(table.attrs["passed_over"]) & set(units)


def test_people_and_frames(tmp_path: Path) -> None:
    """OpenFace counts frames from 1, the others from 0; who it is stands in the table, or is the place in the frame."""
    for name, text, frames, people, success in (
        ("of", OPENFACE, [1, 2], [0, 0], [1, 0]),
        ("picture", OPENFACE_PICTURE, [1, 1], [0, 1], [1, 1]),
        ("py", PYFEAT, [1, 1, 2], [1, 0, 0], [1, 1, 0]),
        ("libre", LIBREFACE, [1, 2], [0, 0], [1, 1]),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        table = aulight.read_csv(tmp_path / name)
        assert table["frame"].tolist() == frames
        assert table["face_id"].tolist() == people
        assert table["success"].tolist() == success


def test_our_own(tmp_path: Path) -> None:
    ours = pd.DataFrame({"file": ["a.jpg"], "frame": [1], "face_id": [0], "timestamp": [0.0], "confidence": [1.0]})
    ours = ours.assign(success=1, AU01_r=1.5, AU01_lo=0.5, AU01_hi=2.5)
    ours.to_csv(tmp_path / "ours.csv", index=False)
    table = aulight.read_csv(tmp_path / "ours.csv")
    assert (table.attrs["program"], table["file"].tolist(), table["AU01_r"].tolist()) == ("aulight", ["a.jpg"], [1.5])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,b\n1,2\n", "no table of OpenFace, py-feat, LibreFace or aulight .*; its columns: a, b"),
        ("frame,AU12_r\n1,1\n2,x\n", "row 3, column AU12_r: x, where a number is needed"),
        ("frame,AU12_r, AU12_r\n1,1,2\n", "has column AU12_r twice"),
        ("", r"no \.csv that can be read"),
    ],
)
def test_what_is_none(text: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(AulightError, match=f"table.csv: {line}"):
        aulight.read_csv(tmp_path / "table.csv")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(AulightError, match="gone: no such file"):
        aulight.read_csv(tmp_path / "gone")
    with pytest.raises(AulightError, match="a folder, where a file is needed"):
        aulight.read_csv(tmp_path)
    with pytest.raises(AulightError, match="fps=0: more than 0 is needed"):
        aulight.read_csv(tmp_path, fps=0)
