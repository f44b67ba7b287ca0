"""DISFA: 27 subjects filmed by two cameras, twelve AUs coded 0 to 5 in every frame."""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from aulight.data.sources.codes import read_codes
from aulight.data.sources.layout import add_once, entries, wrong_layout
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.datasets import DISFA_AUS, DISFA_SUBJECTS, DISFA_UNTRACKED
from aulight.errors import AulightError, shorten
from aulight.facs import column, short_name

CAMERAS = {"left": ("left",), "right": ("right",), "both": ("left", "right")}

_LABELS = "ActionUnit_Labels"
_EXPECTED = f"Videos_LeftCamera/LeftVideoSN001_comp.avi ... and {_LABELS}/SN001/SN001_au1.txt ..."


def read(source: Path, camera: str, drop_untracked: bool) -> RawDataset:
    """Lists DISFA's videos.

    The n-th row of a label file is the n-th frame of the video: whether the files' own frame numbers start at 0 or 1
    is not agreed, so they are not looked at.

    Args:
        source: Folder with the folders of videos and ``ActionUnit_Labels``.
        camera: ``left``, ``right``, or ``both``: two videos of every subject, with the same labels.
        drop_untracked: Makes the labels of :data:`~aulight.datasets.DISFA_UNTRACKED` frames unknown.

    Raises:
        AulightError: When the layout is another, a label file is missing, or a label is none.
    """
    if camera not in CAMERAS:
        raise AulightError(f"data.reader.camera={camera}: one of {', '.join(CAMERAS)}")
    files, notes = _videos(source)
    label_files = _label_files(source)
    if not files or not label_files:
        raise wrong_layout(source, _EXPECTED)
    wanted = {key: path for key, path in sorted(files.items()) if key[1] in CAMERAS[camera]}
    if not wanted:
        raise AulightError(
            f"data.reader.camera={camera}: no such videos in {source}; those of the other camera are there"
        )
    subjects = sorted({subject for subject, _ in wanted})
    _check_label_files(source, subjects, label_files)
    if missing := [subject for subject in DISFA_SUBJECTS if subject not in subjects]:
        notes.append(f"no video of {len(missing)} of the {len(DISFA_SUBJECTS)} subjects: {', '.join(missing)}")
    if strangers := [subject for subject in subjects if subject not in DISFA_SUBJECTS]:
        notes.append(f"not subjects of DISFA, used all the same: {shorten(strangers)}")
    for side in CAMERAS[camera]:
        if lacking := [subject for subject in subjects if (subject, side) not in wanted]:
            notes.append(f"no {side} video of {shorten(lacking)}")
    labels = {}
    for subject in subjects:
        labels[subject], about = _labels(subject, label_files, drop_untracked)
        notes += about
    videos = [
        RawVideo(f"{subject}_{side}", subject, path, labels=labels[subject], complete=True, columns={"camera": side})
        for (subject, side), path in wanted.items()
    ]
    return RawDataset(DISFA_AUS, videos, notes)


def _videos(source: Path) -> tuple[dict[tuple[str, str], Path], list[str]]:
    """(Subject, camera) to file. The names of folders and the case of files differ between copies."""
    files: dict[tuple[str, str], Path] = {}
    strange = []
    for folder in [source, *(path for path in entries(source) if path.is_dir())]:
        for path in entries(folder):
            if path.suffix.lower() != ".avi" or not path.is_file():
                continue
            match = re.fullmatch(r"(.*)Video(SN\d{3})_comp\.avi", path.name, re.IGNORECASE)
            # the file says which camera, or else its folder
            said = match and re.search(
                "left|right", f"{match[1]} {folder.name if folder != source else ''}", re.IGNORECASE
            )
            if match and said:
                subject, side = match[2].upper(), said[0].lower()
                add_once(files, (subject, side), path, f"{subject}_{side}")
            else:
                strange.append(path.name)
    notes = [f"passed over, not named like LeftVideoSN001_comp.avi: {shorten(strange)}"] if strange else []
    return files, notes


def _label_files(source: Path) -> dict[tuple[str, int], Path]:
    """(Subject, AU) to label file."""
    files: dict[tuple[str, int], Path] = {}
    for folder in entries(source):
        if folder.name.lower() == _LABELS.lower():
            for path in sorted(folder.glob("*/*")):
                if match := re.fullmatch(r"(SN\d{3})_au(\d+)\.txt", path.name, re.IGNORECASE):
                    subject, au = match[1].upper(), int(match[2])
                    add_once(files, (subject, au), path, f"the labels of {short_name(au)} of {subject}")
    return files


def _check_label_files(source: Path, subjects: list[str], files: Mapping[tuple[str, int], Path]) -> None:
    missing = [(subject, au) for subject in subjects for au in DISFA_AUS if (subject, au) not in files]
    if missing:
        names = shorten(f"{subject}/{subject}_au{au}.txt" for subject, au in missing)
        raise AulightError(f"{source / _LABELS}: no label file {names}; every AU of every subject is expected")


def _labels(
    subject: str, files: Mapping[tuple[str, int], Path], drop_untracked: bool
) -> tuple[pd.DataFrame, list[str]]:
    """Labels by row, from 0, and what is odd about them."""
    codes = {column(au): pd.Series(read_codes(files[subject, au])[1], dtype="Int8") for au in DISFA_AUS}
    lengths = {name: len(values) for name, values in codes.items()}
    notes = []
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} {count}" for name, count in lengths.items())
        notes.append(f"{subject}: label files differ in length ({each}); all are aligned from the first row on")
    table = pd.DataFrame(codes)
    table.index = pd.RangeIndex(len(table), name="frame")
    if drop_untracked:
        for first, last in DISFA_UNTRACKED.get(subject, ()):
            table.iloc[first - 1 : last] = pd.NA
    return table, notes
