"""BP4D and BP4D+: image sequences of subjects in tasks, five AUs coded 0 to 5 in a part of each sequence."""

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from aulight.data.sources.codes import read_codes
from aulight.data.sources.layout import add_once, entries, wrong_layout
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.video.types import IMAGE_SUFFIXES
from aulight.datasets import BP4D_AUS, BP4D_PLUS_TASKS, BP4D_SUBJECTS, BP4D_TASKS
from aulight.errors import AulightError, shorten
from aulight.facs import column, short_name

UNKNOWN = 9

_INTENSITY = ("AU-Intensity-Codes3.0", "AUCoding/AU_INT")
_SUBJECT, _TASK = re.compile(r"[FM]\d{3}", re.IGNORECASE), re.compile(r"T\d+", re.IGNORECASE)
_Sequence = tuple[str, str]  # subject and task


def read(source: Path, plus: bool, fps: float) -> RawDataset:
    """Lists the sequences of BP4D or BP4D+; labels are joined to images by frame number.

    Args:
        source: Folder with the label files (``AU-Intensity-Codes3.0`` or ``AUCoding/AU_INT``) and the images
            (``BP4D-training/F001/T1/2440.jpg``, or ``2D+3D/F001.zip`` with ``<any>/T1/2440.jpg`` in it).
        plus: Whether this is BP4D+, where four tasks of each subject are coded; the others are passed over.
        fps: Frames per second of the images.

    Raises:
        AulightError: When the layout is another, a label is none, or there are occurrence labels only.
    """
    tasks = BP4D_PLUS_TASKS if plus else BP4D_TASKS
    images = "2D+3D/F001.zip with <any>/T1/2440.jpg in it" if plus else "BP4D-training/F001/T1/2440.jpg"
    expected = f"{images} ... and {_INTENSITY[0]}/AU06/F001_T1_AU06.csv ... (or {_INTENSITY[1]}/AU06/...)"
    codes, sequences = _label_files(source), dict[_Sequence, Path]()
    for sequence, path in _sequences(source):
        add_once(sequences, sequence, path, "_".join(sequence))
    if not codes:
        _refuse_occurrence(source)
    if not codes or not sequences:
        raise wrong_layout(source, expected)
    if lacking := [au for au in BP4D_AUS if not any(au == of for _, _, of in codes)]:
        names = ", ".join(f"{column(au)}/F001_T1_{column(au)}.csv" for au in lacking)
        raise AulightError(f"{source}: no label files {names} ... beside those of the other AUs")

    coded = {(subject, task) for subject, task, _ in codes}
    used = {key: path for key, path in sorted(sequences.items()) if key in coded or key[1] in tasks}
    others = sorted(sequences.keys() - used.keys())
    notes = _notes(used, coded, () if plus else BP4D_SUBJECTS)
    if others:
        notes.append(f"{len(others)} sequences of tasks that are not coded, passed over: {_names(others)}")
    videos = []
    for (subject, task), path in used.items():
        name = f"{subject}_{task}"
        labels, lacking = _labels(subject, task, codes)
        if labels is not None and lacking:
            notes.append(f"{name}: no label file of {', '.join(map(column, lacking))}, unknown there")
        videos.append(RawVideo(name, subject, path, fps, labels, columns={"task": task}))
    return RawDataset(BP4D_AUS, videos, notes)


def _plain(name: str) -> str:
    """A folder's name as it is compared: copies differ in case, spaces and dashes."""
    return re.sub(r"[\s_-]", "", name).lower()


def _folder(source: Path, name: str) -> Path | None:
    """A folder by its relative path, whatever the spelling."""
    for part in name.split("/"):
        there = [path for path in entries(source) if path.is_dir() and _plain(path.name) == _plain(part)]
        if not there:
            return None
        source = there[0]
    return source


def _label_files(source: Path) -> dict[tuple[str, str, int], Path]:
    """(Subject, task, AU) to the file of intensities, from the first layout that is there."""
    for layout in _INTENSITY:
        files: dict[tuple[str, str, int], Path] = {}
        for path in sorted(folder.glob("*/*")) if (folder := _folder(source, layout)) else ():
            if match := re.fullmatch(r"([FM]\d{3})_(T\d+)_AU(\d+)\.csv", path.name, re.IGNORECASE):
                subject, task, au = match[1].upper(), match[2].upper(), int(match[3])
                add_once(files, (subject, task, au), path, f"the intensities of {short_name(au)} of {subject}_{task}")
        if files:
            return files
    return {}


def _refuse_occurrence(source: Path) -> None:
    coding = _folder(source, "AUCoding")
    folders = [folder for folder in (coding, coding and _folder(coding, "AU_OCC"), _folder(source, "AU_OCC")) if folder]
    for path in (path for folder in folders for path in entries(folder)):
        if re.fullmatch(r"[FM]\d{3}_T\d+\.csv", path.name, re.IGNORECASE):
            raise AulightError(
                f"{path}: occurrence labels tell whether an AU is present (0 or 1), not how strong it is, and there "
                f"are no others; aulight learns intensities: add {' or '.join(_INTENSITY)}"
            )


def _sequences(source: Path) -> Iterator[tuple[_Sequence, Path]]:
    """Subject, task and images of every sequence, in folders or in zip files."""
    for place in (_folder(source, "BP4D-training"), _folder(source, "2D+3D"), source):
        for subject in entries(place) if place else ():
            if subject.is_dir() and _SUBJECT.fullmatch(subject.name):
                for task in entries(subject):
                    if _TASK.fullmatch(task.name) and any(_is_image(path.name) for path in task.iterdir()):
                        yield (subject.name.upper(), task.name.upper()), task
            elif subject.suffix.lower() == ".zip" and _SUBJECT.fullmatch(subject.stem):
                for task in _zipped(subject):
                    yield (subject.stem.upper(), task.name.upper()), task


def _zipped(path: Path) -> list[Path]:
    """The folders of images in a zip file that are called like a task."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [PurePosixPath(name) for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise AulightError(f"{path}: not a readable zip file ({error})") from error
    folders = {name.parent for name in names if _is_image(name.name) and "__MACOSX" not in name.parts}
    return [path / folder for folder in sorted(folders) if _TASK.fullmatch(folder.name)]


def _is_image(name: str) -> bool:
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _notes(images: Mapping[_Sequence, Path], coded: set[_Sequence], subjects: tuple[str, ...]) -> list[str]:
    notes, there = [], {subject for subject, _ in images}
    if missing := [subject for subject in subjects if subject not in there]:
        notes.append(f"no images of {len(missing)} of the {len(subjects)} subjects: {', '.join(missing)}")
    if strangers := sorted(there - set(subjects)) if subjects else []:
        notes.append(f"not subjects of BP4D, used all the same: {shorten(strangers)}")
    if lost := sorted(coded - set(images)):
        notes.append(f"{len(lost)} coded sequences without images: {_names(lost)}")
    if uncoded := sorted(set(images) - coded):
        notes.append(f"{len(uncoded)} sequences without labels: {_names(uncoded)}")
    return notes


def _names(sequences: list[_Sequence]) -> str:
    return shorten(f"{subject}_{task}" for subject, task in sequences)


def _labels(
    subject: str, task: str, files: Mapping[tuple[str, str, int], Path]
) -> tuple[pd.DataFrame | None, list[int]]:
    """Labels by frame number, and the AUs without a file."""
    codes, lacking = {}, []
    for au in BP4D_AUS:
        path = files.get((subject, task, au))
        if path is None:
            lacking.append(au)
            continue
        frames, values = read_codes(path, UNKNOWN)
        if len(set(frames)) < len(frames):
            twice = next(frame for place, frame in enumerate(frames) if frame in frames[:place])
            raise AulightError(f"{path}: frame {twice} is there twice")
        codes[column(au)] = pd.Series(values, index=pd.Index(frames, dtype="int64"), dtype="Int8")
    if not codes:
        return None, lacking
    table = pd.DataFrame(codes).reindex(columns=[column(au) for au in BP4D_AUS]).astype("Int8").sort_index()
    return table.rename_axis("frame"), lacking
