"""Tables of action units that other programs wrote, in one shape: those of OpenFace, py-feat, LibreFace and aulight.

Columns are ``frame`` (from 1), ``face_id``, ``timestamp`` (seconds), ``confidence`` (0 to 1) and ``success`` (0 or 1);
then ``AU01_r`` ... (intensities 0 to 5) and ``AU01_c`` ... (presence, 0 to 1), as far as the program gives them.
Without a face, AUs are empty. Of pictures and of several videos in one table, ``file`` is in front.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from aulight.errors import AulightError, one_line, shorten
from aulight.facs import column

KEYS = ("frame", "face_id", "timestamp", "confidence", "success")
"""Columns that all of these tables have in front, and those that ``predict`` writes."""


def read_csv(path: str | Path, fps: float | None = None) -> pd.DataFrame:
    """Reads a table of action units, whichever of these programs wrote it; its columns tell which.

    - OpenFace 1 and 2, of videos and of pictures, and aulight: ``AU01_r`` and ``AU01_c`` as they are.
    - py-feat: ``AU01`` ... are how sure it is that the AU is there, and become ``AU01_c``. It counts frames from 0.
    - LibreFace: ``au_1_intensity`` becomes ``AU01_r``, and ``au_1`` (from its detector) ``AU01_c``. It counts from 0.

    Args:
        path: The file. One with semicolons and decimal commas, as spreadsheets save it, is read as well.
        fps: Frames per second, for ``timestamp`` where the table does not tell it (py-feat); ``None``: left empty.

    Returns:
        The table, in the order of the file. Its ``attrs`` say the ``program``, and in ``passed_over`` which columns are
        not in it.

    Raises:
        AulightError: For a file that is no such table, or has something else than numbers in a column that is needed.
    """
    path = Path(path).expanduser()
    if fps is not None and not fps > 0:
        raise AulightError(f"fps={fps}: more than 0 is needed")
    raw = _raw(path)
    programs = (one for one in _PROGRAMS if any(re.fullmatch(one[1], name) for name in raw.columns))
    program, _, read = next(programs, (None, "", None))
    if read is None:
        raise AulightError(
            f"{path}: no table of OpenFace, py-feat, LibreFace or aulight (AU01_r, AU01_c, AU01 or au_1_intensity are "
            f"missing); its columns: {shorten(map(str, raw.columns), 8)}"
        )
    used = _Columns(path, raw)
    found = read(used, fps)
    units = [f"{au}_{kind}" for kind in "rc" for au in map(column, range(100)) if f"{au}_{kind}" in found]
    found.loc[found["success"] == 0, units] = np.nan
    found = found[[*(["file"] if "file" in found else []), *KEYS, *units]]
    found.attrs = {"program": program, "passed_over": [name for name in raw.columns if name not in used.used]}
    return found


def _raw(path: Path) -> pd.DataFrame:
    """All columns of a file, under their names without spaces around them."""
    if not path.is_file():
        raise AulightError(f"{path}: {'a folder, where a file is needed' if path.is_dir() else 'no such file'}")
    try:
        raw = pd.read_csv(path, skipinitialspace=True, low_memory=False, encoding="utf-8-sig")
        if len(raw.columns) == 1 and ";" in str(raw.columns[0]):
            raw = pd.read_csv(path, skipinitialspace=True, sep=";", decimal=",", encoding="utf-8-sig")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise AulightError(f"{path}: no .csv that can be read ({one_line(error)[:200]})") from error
    raw.columns = pd.Index([str(name).strip() for name in raw.columns])
    again = (re.fullmatch(r"(AU.+|au_.+)\.\d+", name) for name in raw.columns)  # as pandas calls it
    if twice := next((match[1] for match in again if match), None):
        raise AulightError(f"{path}: has column {twice} twice")
    return raw


class _Columns:
    """The columns of a file, as numbers, and which of them were used."""

    def __init__(self, path: Path, raw: pd.DataFrame) -> None:
        self._path, self._raw, self.used = path, raw, set[str]()

    def __contains__(self, name: str) -> bool:
        return name in self._raw.columns

    def __len__(self) -> int:
        return len(self._raw)

    def text(self, name: str) -> "pd.Series[str]":
        """A column of paths, without their folders."""
        self.used.add(name)
        return self._raw[name].astype(str).str.replace("\\", "/").str.rsplit("/", n=1).str[-1]

    def numbers(self, name: str) -> "pd.Series[float]":
        """A column, which must be of numbers; empty ones are NaN."""
        self.used.add(name)
        found = pd.to_numeric(self._raw[name], errors="coerce")
        wrong = found.isna() & self._raw[name].notna()
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            value = str(self._raw[name].iloc[row])[:40]
            raise AulightError(f"{self._path}: row {row + 2}, column {name}: {value}, where a number is needed")
        return found.astype(float)

    def units(self, pattern: str, kind: str) -> dict[str, "pd.Series[float]"]:
        """The columns of AUs whose name is as a pattern with their number, as ``AU01_r`` or ``AU01_c``."""
        found = {}
        for name in self._raw.columns:
            if match := re.fullmatch(pattern, name):
                found[f"{column(int(match[1]))}_{kind}"] = self.numbers(name)
        return found


def _openface(columns: _Columns, fps: float | None) -> pd.DataFrame:
    """OpenFace's table, of a video or of a picture, or one of ours."""
    count = len(columns)
    one = pd.Series(np.ones(count))
    confidence = columns.numbers("confidence") if "confidence" in columns else one
    frame = columns.numbers("frame") if "frame" in columns else one
    faces = next((name for name in ("face_id", "face") if name in columns), None)
    time = columns.numbers("timestamp") if "timestamp" in columns else _times(frame, fps)
    success = columns.numbers("success") if "success" in columns else (confidence > 0).astype(float)
    file = {"file": columns.text("file")} if "file" in columns else {}
    person = columns.numbers(faces) if faces else pd.Series(np.zeros(count))
    units = {**columns.units(r"AU(\d\d)_r", "r"), **columns.units(r"AU(\d\d)_c", "c")}
    return _put(frame, person, time, confidence, success, file, units)


def _pyfeat(columns: _Columns, fps: float | None) -> pd.DataFrame:
    """py-feat's: no times but of whole seconds, frames from 0, a row for each face, in some versions who it is."""
    count = len(columns)
    frame = (columns.numbers("frame") if "frame" in columns else pd.Series(np.arange(count, dtype=float))) + 1
    units = columns.units(r"AU(\d\d)", "c")
    score = columns.numbers("FaceScore") if "FaceScore" in columns else pd.DataFrame(units).notna().any(axis=1) * 1.0
    file = {"file": columns.text("input")} if "input" in columns else {}
    where = [file["file"], frame] if file else [frame]
    person = frame.groupby(where).cumcount().astype(float)
    if "Identity" in columns:
        said = pd.to_numeric(columns.text("Identity").str.extract(r"(\d+)")[0], errors="coerce")
        person = said.where(said.notna(), person)
    success = (score.fillna(0) > 0).astype(float)
    if file and file["file"].nunique() == 1:
        file = {}
    return _put(frame, person, _times(frame, fps), score.fillna(0), success, file, units)


def _libreface(columns: _Columns, fps: float | None) -> pd.DataFrame:
    """LibreFace's, of a video or of a picture: one face, frames from 0, times in milliseconds."""
    count = len(columns)
    frame = (columns.numbers("frame_idx") if "frame_idx" in columns else pd.Series(np.zeros(count))) + 1
    time = columns.numbers("frame_time_in_ms") / 1000 if "frame_time_in_ms" in columns else _times(frame, fps)
    units = {**columns.units(r"(?i:au)_(\d+)_intensity", "r"), **columns.units(r"(?i:au)_(\d+)", "c")}
    success = pd.DataFrame(units).notna().any(axis=1).astype(float)
    file = {"file": columns.text("input_image_path")} if "input_image_path" in columns else {}
    return _put(frame, pd.Series(np.zeros(count)), time, success, success, file, units)


def _times(frame: "pd.Series[float]", fps: float | None) -> "pd.Series[float]":
    return frame * np.nan if fps is None else (frame - 1) / fps


def _put(
    frame: "pd.Series[float]",
    person: "pd.Series[float]",
    time: "pd.Series[float]",
    confidence: "pd.Series[float]",
    success: "pd.Series[float]",
    file: dict[str, "pd.Series[str]"],
    units: dict[str, "pd.Series[float]"],
) -> pd.DataFrame:
    whole = {"frame": frame, "face_id": person, "success": success}
    keys = {name: values.fillna(0).round().astype(np.int64) for name, values in whole.items()}
    return pd.DataFrame({**file, **keys, "timestamp": time, "confidence": confidence, **units})


_PROGRAMS: tuple[tuple[str, str, Callable[[_Columns, float | None], pd.DataFrame]], ...] = (
    ("aulight", r"AU\d\d_(lo|hi)", _openface),
    ("OpenFace", r"AU\d\d_[rc]", _openface),
    ("LibreFace", r"(?i:au)_\d+(_intensity)?", _libreface),
    ("py-feat", r"AU\d\d", _pyfeat),
)
"""The programs, what a column of theirs is called, and who reads them."""
