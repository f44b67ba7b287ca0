"""The tables of `aulight predict` in R: `read.csv` gives every column its kind, and what is empty is NA."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aulight.data.video.write import write_video
from tests.data.faces.astronaut import film

Command = Callable[..., Any]

RSCRIPT = shutil.which("Rscript")
pytestmark = pytest.mark.skipif(RSCRIPT is None, reason="no R on the PATH")

PAGE = Path(__file__).parents[3] / "docs" / "predict.md"
EVERY_COLUMN = "columns=[box,pose,gaze,landmarks2d,landmarks3d,blendshapes,presence,quality]"
DESCRIBE = r"""
for (file in commandArgs(TRUE)) {
  table <- read.csv(file, na.strings = "")
  for (name in names(table)) {
    column <- table[[name]]
    total <- if (is.numeric(column)) sum(column, na.rm = TRUE) else NA
    cat(file, name, class(column), nrow(table), sum(is.na(column)), format(total, digits = 15), sep = "\t")
    cat("\n")
  }
}
"""


def _run(folder: Path, script: str, *arguments: str) -> str:
    """What R prints; a warning of R's is an error."""
    (folder / "script.R").write_text("options(warn = 2)\n" + script, encoding="utf-8")
    command = [str(RSCRIPT), "--vanilla", "script.R", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, aulight: Command) -> Path:
    """A folder in which ``scored`` holds two videos, one half of it without a face, one that is broken, and photos."""
    folder = tmp_path_factory.mktemp("r")
    frames = [frame.image for frame in film(10)]
    write_video(folder / "clip.mp4", iter([*frames, *[np.zeros_like(frames[0])] * 10]), 25.0)
    write_video(folder / "007.mp4", iter(frames), 25.0)
    (folder / "Übung 1.mp4").write_bytes(b"not a video" * 100)
    videos = [str(folder / name) for name in ("clip.mp4", "007.mp4", "Übung 1.mp4")]
    settings = ["faces.all=true", "events.enter=0.5", "events.leave=0.2", "events.min_s=0", "workers=1"]
    outcome = aulight("predict", *videos, "model=table", f"output={folder}/scored", EVERY_COLUMN, *settings)
    assert outcome.status == 1, outcome.err  # one is broken
    (folder / "photos").mkdir()
    shutil.copyfile(PAGE.parent / "avatars_photograph.jpg", folder / "photos" / "a 1.jpg")
    shutil.copyfile(PAGE.parent / "avatars_photograph.jpg", folder / "photos" / "b.jpg")
    outcome = aulight("predict", f"input={folder}/photos", "model=table", f"output={folder}/scored", "pictures=photos")
    assert outcome.status == 0, outcome.err
    return folder


def _kind(cells: "pd.Series[str]") -> str:
    """What R should call the kind of a column, by how its cells are written."""
    written = cells.dropna()
    if written.empty:
        return "logical"  # also of a table without rows
    if written.str.fullmatch(r"-?\d+").all():
        return "integer"
    return "numeric" if written.str.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?").all() else "character"


def test_read_csv_gives_every_column_its_kind(scored: Path) -> None:
    """Oracle: the cells as they are written: names, kinds, rows, empty ones and sums."""
    files = sorted(path.name for path in (scored / "scored").glob("*.csv"))
    events = {"clip.events.csv", "007.events.csv"}
    assert set(files) == {"clip.csv", "007.csv", "photos.csv", "summary.csv", "cooccurrence.csv", *events}
    said = [line.split("\t") for line in _run(scored / "scored", DESCRIBE, *files).splitlines()]
    for name in files:
        table = pd.read_csv(scored / "scored" / name, dtype=str)
        mine = [rest for file, *rest in said if file == name]
        assert [column for column, *_ in mine] == list(table.columns)
        for column, kind, rows, empty, total in mine:
            cells = table[column]
            assert (kind, int(rows), int(empty)) == (_kind(cells), len(table), cells.isna().sum()), (name, column)
            if kind in ("integer", "numeric"):
                assert float(total) == pytest.approx(cells.astype(float).sum(), rel=1e-9, abs=1e-9), (name, column)
    kinds = {(file, column): kind for file, column, kind, *_ in said}
    assert kinds["clip.csv", "AU12_r"] == kinds["clip.csv", "pose_Rx"] == kinds["clip.csv", "x_67"] == "numeric"
    assert kinds["clip.csv", "success"] == kinds["clip.csv", "face_id"] == "integer"
    assert kinds["summary.csv", "problem"] == kinds["photos.csv", "file"] == "character"
    without_a_face = pd.read_csv(scored / "scored" / "clip.csv")["AU12_r"].isna().sum()
    assert 5 < without_a_face < 15


def test_what_the_page_says_of_r(scored: Path) -> None:
    """The block as it stands there; oracle: pandas on the same files."""
    (block,) = re.findall(r"^```r\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    script = block.replace(
        "aggregate(duration ~ video + au, events, sum)", "seconds <- aggregate(duration ~ video + au, events, sum)"
    )
    script += 'write.csv(seconds, "seconds.csv", row.names = FALSE)\nwrite.csv(summary, "summary.csv")\n'
    printed = _run(scored, script)
    assert "Übung 1" in printed
    table = pd.read_csv(scored / "scored" / "clip.csv")
    (mean,) = re.findall(r"^\[1\] (\S+)$", printed, re.M)
    assert float(mean) == pytest.approx(table["AU12_r"].mean(), rel=1e-5)
    assert sorted(pd.read_csv(scored / "summary.csv", dtype=str)["video"]) == ["007", "clip", "photos", "Übung 1"]
    names = ["clip", "007"]
    events = pd.concat([pd.read_csv(scored / "scored" / f"{name}.events.csv").assign(video=name) for name in names])
    expected = events.groupby(["video", "au"])["duration"].sum()
    found = pd.read_csv(scored / "seconds.csv", dtype={"video": str}).set_index(["video", "au"])["duration"]
    assert len(found) > 3
    assert found.sort_index().to_dict() == pytest.approx(expected.to_dict())
