"""Names of videos and people in several spellings: of one name, nobody is two people."""

import unicodedata
from pathlib import Path

import pytest

from aulight.data.sources.raw import RawDataset
from aulight.data.sources.reading import read
from aulight.errors import AulightError

NFC, NFD = (unicodedata.normalize(form, "\u00e91") for form in ("NFC", "NFD"))


def _read(folder: Path, videos: list[str], subjects: str | None = None, labels: str | None = None) -> RawDataset:
    for name in videos:
        path = folder / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    tables: list[Path | None] = []
    for name, text in (("subjects.csv", subjects), ("labels.csv", labels)):
        tables.append(None if text is None else folder / name)
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return read("folder", folder / "raw", [tables[1]] if tables[1] else [], tables[0], fps=25.0)


def _who(data: RawDataset) -> dict[str, str]:
    return {video.path.name: video.subject for video in data.videos}


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [
        ("P1", "p1", "P1"),
        (NFC, NFD, NFC),
        ("Anna B", "anna  b", "Anna B"),
        ("P1", "\u200bP1", "P1"),
        ("P1", "\uff301", "P1"),
    ],
)
def test_spellings_of_a_subject_are_one_subject(tmp_path: Path, one: str, other: str, kept: str) -> None:
    table = f"video,subject\na,{one}\nb,{other} \nc,P01\nd,P 1\n"
    data = _read(tmp_path, [f"{name}.mp4" for name in "abcd"], table)
    assert _who(data) == {"a.mp4": kept, "b.mp4": kept, "c.mp4": "P01", "d.mp4": "P 1"}
    said = [note for note in data.notes if "one name in several spellings" in note]
    different = unicodedata.normalize("NFC", one) != unicodedata.normalize(
        "NFC", other.strip("\u200b").replace("  ", " ")
    )
    assert len(said) == different
    assert all(note.endswith(f"taken for one subject, {kept}") for note in said)


@pytest.mark.parametrize(
    ("one", "other"), [("P1.mp4", "p1.MP4"), (f"{NFC}.mp4", f"{NFD}.mp4"), ("a b.mp4", "a  b.mp4")]
)
def test_videos_whose_names_are_one_are_of_one_subject(tmp_path: Path, one: str, other: str) -> None:
    data = _read(tmp_path, [one, other, "day 2/x.mp4"])
    who = _who(data)
    assert who[one] == who[other] != who["x.mp4"]
    assert len({video.video_id for video in data.videos}) == 3
    assert len([note for note in data.notes if "videos '" in note and "taken for one subject" in note]) == 1


def test_a_table_tells_who_is_in_a_video_that_is_spelt_otherwise(tmp_path: Path) -> None:
    """As a table written on macOS, or by hand, names it; whichever of two is meant is not guessed."""
    table = f"video,subject\n{NFD}.mp4,anna\nDAY 2/Film,bob\n"
    labels = f"video,frame,AU12\n{NFD},3,2\n{NFC},4,1\nday 2/film.MP4,0,5\n"
    data = _read(tmp_path, [f"{NFC}.mp4", "day 2/film.mp4"], table, labels)
    assert _who(data) == {f"{NFC}.mp4": "anna", "film.mp4": "bob"}
    assert [len(video.labels) for video in data.videos if video.labels is not None] == [1, 2]

    with pytest.raises(AulightError, match=r"row 2: video 'FILM' may be 'Film' or 'film'; write it just as the file's"):
        _read(tmp_path / "two", ["film.mp4", "Film.mp4"], "video,subject\nFILM,anna\n")
    both = _read(tmp_path / "exact", ["film.mp4", "Film.mp4"], "video,subject\nfilm,anna\nFilm,bob\n")
    assert _who(both) == {"film.mp4": "anna", "Film.mp4": "bob"}
    one = _read(tmp_path / "one", ["film.mp4", "Film.mp4", "x.mp4"], "video,subject\nfilm,anna\n")
    assert _who(one) == {"film.mp4": "anna", "Film.mp4": "anna", "x.mp4": "x"}
    with pytest.raises(AulightError, match=r"row 3: video 'FILM' is in row 2 already"):
        _read(tmp_path / "twice", ["film.mp4"], "video,subject\nfilm,anna\nFILM,bob\n")
    with pytest.raises(AulightError, match=r"row 2: no subject"):
        _read(tmp_path / "nobody", ["film.mp4"], "video,subject\nfilm,\u200b\n")
