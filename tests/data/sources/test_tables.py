"""Tables that people fill in: what they mean is taken, in every spelling; what is wrong is named by its row."""

import re
from pathlib import Path

import pandas as pd
import pytest

from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.sources.reading import read
from aulight.errors import AulightError

NA = pd.NA


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in ("a.mp4", "day 1/b.avi", "day 1/c.mp4"):
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "raw"


def _read(source: Path, labels: bytes | str | None = None, subjects: bytes | str | None = None) -> RawDataset:
    paths = []
    for name, text in (("labels.csv", labels), ("subjects.csv", subjects)):
        paths.append(source.parent / name if text is not None else None)
        if text is not None:
            (source.parent / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read("folder", source, [paths[0]] if paths[0] else [], paths[1], fps=25.0)


def _known(data: RawDataset) -> dict[str, list[list[object]]]:
    """Of every labelled video the index and the values, row by row."""
    return {
        video.video_id: [[index, *values] for index, *values in video.labels.itertuples()]
        for video in data.videos
        if video.labels is not None
    }


def _problems(source: Path, labels: str | bytes | None = None, subjects: str | bytes | None = None) -> list[str]:
    with pytest.raises(AulightError) as caught:
        _read(source, labels, subjects)
    name = "labels.csv" if labels is not None else "subjects.csv"
    return [line.removeprefix(f"{source.parent / name} ") for line in str(caught.value).splitlines()]


def test_labels_by_frame(source: Path) -> None:
    data = _read(
        source,
        "video,frame,time_s,AU01,AU04,AU12\n"  # as `aulight sample` writes it; the frame counts
        "a,12,99.9,3,0,1\n"
        "a,3,0.12,,,\n"
        "day_1__b,0,0,5,,2\n"
        "a,7,0.28,0,1,1\n",
    )
    assert data.aus == (1, 4, 12)
    assert _known(data) == {"a": [[7, 0, 1, 1], [12, 3, 0, 1]], "day_1__b": [[0, 5, NA, 2]]}
    tables = {video.video_id: video for video in data.videos}
    labels = tables["a"].labels
    assert labels is not None
    assert (labels.index.name, str(labels.index.dtype), set(map(str, labels.dtypes))) == ("frame", "int64", {"Int8"})
    assert (tables["a"].rows, tables["day_1__b"].rows, tables["day_1__c"].labels) == ((5, 2), (4,), None)
    assert not any(video.complete for video in data.videos)
    assert data.notes == ["labels.csv: 1 rows not coded yet", "labels.csv row 4: half-filled, unknown for AU04"]


def test_labels_by_time(source: Path) -> None:
    data = _read(source, "video,time_s,AU12\na,1.25,2\na,0.5,3\n")
    labels = data.videos[0].labels
    assert labels is not None
    assert (labels.index.name, str(labels.index.dtype)) == ("time_s", "float64")
    assert _known(data) == {"a": [[0.5, 3], [1.25, 2]]}


@pytest.mark.parametrize(
    "name", ["day 1/b.avi", "day 1/b", "day_1__b", "day 1\\b.avi", "./day 1/b.avi", " day 1/b.avi "]
)
def test_what_a_video_may_be_called(source: Path, name: str) -> None:
    assert _known(_read(source, f"video,frame,AU12\n{name},1,3\n")) == {"day_1__b": [[1, 3]]}


PLAIN = "video,time_s,AU01,AU12\na,1.25,3,\na,1.5,0,2\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        b"\xef\xbb\xbf" + PLAIN.encode(),  # a spreadsheet's mark
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN.replace(",", ";").replace(".", ","),  # where the comma is the decimal sign
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", " , "),
        PLAIN.replace("AU01", "AU1").replace("AU12", "au12"),
        PLAIN.replace("3", "3.0").replace("a,", '"a",'),
        PLAIN.replace("AU12\n", "AU12,,\n").replace(",2\n", ",2,,\n") + ",,,,\n\n",  # empty columns and rows
        PLAIN.replace("video,time_s,AU01", "Video,TIME_S,au01"),
        "AU12,AU01,time_s,video\n,3,1.25,a\n2,0,1.5,a\n",
        PLAIN.replace("AU01", "AU01_r").replace("AU12", "AU_12"),
        PLAIN.replace("AU01", "AU 1").replace("3,\n", "3,NA\n"),
        PLAIN.replace("3,\n", "C,?\n").replace("0,2", "absent,b"),
        PLAIN.replace("3,\n", "Marked,NaN\n").replace("0,2", "0,Slight"),
        PLAIN.replace("time_s", "time").replace("1.25", "0:01.25").replace("1.5", "00:00:01.5"),
        PLAIN.replace("time_s", "Timestamp").replace(",", ";").replace("1.25", "00:01,25").replace("1.5", "1,5"),
        "video,coder,time_s,AU01,AU12,Comments\na,c1,1.25,3,,sure\na,c1,1.5,0,2,\n",
    ],
)
def test_spellings_of_one_table(source: Path, text: str | bytes) -> None:
    data = _read(source, text)
    assert data.aus == (1, 12)
    assert _known(data) == {"a": [[1.25, 3, NA], [1.5, 0, 2]]}
    assert data.videos[0].rows == (2, 3)


def test_lines_of_comment_are_passed_over_and_counted(source: Path) -> None:
    data = _read(source, '# coded by "c1, in May\n#\nvideo;frame;AU01\na;3;4\n# a break\na;5;E\n')
    assert _known(data) == {"a": [[3, 4], [5, 5]]}
    assert data.videos[0].rows == (4, 6)
    assert _problems(source, "# coded\nvideo,frame,AU01\na,3,9\n#1,3,1\n") == [
        "row 3: AU01 '9' is not a whole number from 0 to 5, nor a letter from A to E (empty where unknown)",
        "row 4: no video '#1' in the raw data (one there is 'a.mp4')",
    ]


@pytest.mark.parametrize("time", ["1:60", "1:5", "0:75:00", ":30", "1:2:3:4", "1:02:", "-1:00", "1:00s", "1:02.5.0"])
def test_what_no_clock_shows(source: Path, time: str) -> None:
    assert _problems(source, f"video,time,AU01\na,{time},1\n") == [f"row 2: time {time!r} is not a number from 0 on"]


def test_times_as_clocks_show_them(source: Path) -> None:
    """Oracle: seconds by hand."""
    data = _read(source, "video,time,AU01\na,1:02.5,1\na,90:00,2\na,1:00:01,3\na,0:00,4\n")
    assert _known(data) == {"a": [[0, 4], [62.5, 1], [3601, 3], [5400, 2]]}


def test_every_problem_has_a_line_with_the_row_as_a_spreadsheet_shows_it(source: Path) -> None:
    assert _problems(
        source,
        "video,frame,AU01,AU12\n"
        "a,1,6,-1\n"
        "\n"
        'a,2,x,"3,5"\n'
        "nobody,3,1,1\n"
        "a,4,2,2\n"
        "a.mp4,4.0,2,2\n"
        "a,,1,1\n"
        "a,1.5,1,1\n"
        "a,-1,1,1\n"
        "a,nan,1,2.5\n"
        "nobody,5,,\n"
        "day 1/c,1,0,1\n",
    ) == [
        "row 2: AU01 '6' is not a whole number from 0 to 5, nor a letter from A to E (empty where unknown)",
        "row 2: AU12 '-1' is not a whole number from 0 to 5, nor a letter from A to E (empty where unknown)",
        "row 4: AU01 'x' is not a whole number from 0 to 5, nor a letter from A to E (empty where unknown)",
        "row 4: AU12 '3,5' is not a whole number from 0 to 5, nor a letter from A to E (empty where unknown)",
        "row 5: no video 'nobody' in the raw data (one there is 'a.mp4')",
        "row 7: frame 4.0 of 'a.mp4' is labelled in row 6 already",
        "row 8: no frame",
        "row 9: frame '1.5' is not a whole number",
        "row 10: frame '-1' is not a number from 0 on",
        "row 11: frame 'nan' is not a number from 0 on",
        "row 11: AU12 '2.5' is not a whole number from 0 to 5, nor a letter from A to E (empty where unknown)",
    ]


def test_of_many_problems_the_first_are_listed(source: Path) -> None:
    problems = _problems(source, "video,frame,AU01\n" + "".join(f"a,{frame},7\n" for frame in range(50)))
    assert len(problems) == 21
    assert problems[19].startswith("row 21: ")
    assert problems[20] == "and 30 more"


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("video,frame,AU01,AU12L,mood", "unknown column AU12L, mood; video, frame (or time_s), AU01, AU02 ... are exp"),
        ("frame,AU01", "no column video;"),
        ("video,AU01", "no column frame or time_s;"),
        ("video,frame", "no column of an AU;"),
        ("video,frame,AU01_c", "unknown column AU01_c;"),
        ("video,time,time_s,AU01", "2 columns of a time, time_s, time;"),
        ("Film,Frame,AU01", "unknown column Film;"),
        ("Video,frame,video,AU01", "two columns are called 'video'"),
        ("video,frame,AU01,AU1", "two columns for AU1"),
        ("video,frame,AU01,AU01", "two columns are called 'AU01'"),
        ("video,frame,,AU01", "a column has no name"),
        (",,", "its first row is empty; the names of the columns are expected there"),
        ("", "its first row is empty"),
    ],
)
def test_a_header_that_is_not_as_expected_is_said(source: Path, header: str, problem: str) -> None:
    (line,) = _problems(source, header + "\na,1,1,1,1\n")
    assert line.startswith(f"{source.parent}/labels.csv: {problem}")
    if "expected" in line and "found" in line:
        assert line.endswith(f"; found {', '.join(header.replace('Frame', 'frame').split(','))}")


def test_a_row_with_more_cells_than_columns_is_named(source: Path) -> None:
    assert _problems(source, "video,frame,AU01\na,1,1\na,2,1,0\n") == ["row 3: more cells than the header has columns"]


def test_a_table_that_nobody_has_filled_in_is_said(source: Path) -> None:
    (line,) = _problems(source, "video,frame,AU01\na,1,\na,2,\n")
    assert line.endswith("labels.csv: none of its 2 rows has an intensity yet")


def test_an_au_that_is_nowhere_filled_in_is_left_out(source: Path) -> None:
    data = _read(source, "video,frame,AU01,AU02\na,1,3,\na,2,2,\n")
    assert data.aus == (1,)
    assert _known(data) == {"a": [[1, 3], [2, 2]]}
    assert data.notes == ["labels.csv: columns without any intensity, left out: AU02"]


def test_of_many_half_filled_rows_the_first_are_listed(source: Path) -> None:
    rows = "".join(f"a,{frame},{frame % 6},\n" for frame in range(50))
    notes = _read(source, f"video,frame,AU01,AU02\na,99,1,2\n{rows}").notes
    assert notes[:1] == ["labels.csv row 3: half-filled, unknown for AU02"]
    assert notes[20:] == ["and 30 more"]


def test_a_file_that_is_no_table_is_said(source: Path) -> None:
    (line,) = _problems(source, "vidéo,frame\n".encode("latin-1"))
    assert line.endswith("labels.csv: not UTF-8 text; save it as CSV (UTF-8)")
    with pytest.raises(AulightError, match=r"missing\.csv: no such file$"):
        read("folder", source, [source / "missing.csv"], None, fps=25.0)


def test_subjects(source: Path) -> None:
    data = _read(source, None, "video;subject\nday 1/b.avi;Ann \nday_1__c;Ann\n")
    assert [(video.video_id, video.subject) for video in data.videos] == [
        ("a", "a"), ("day_1__b", "Ann"), ("day_1__c", "Ann"),
    ]  # fmt: skip
    assert data.notes == ["subjects.csv: 1 videos not listed, each taken for a subject of its own: a"]


def test_numbers_are_subjects_as_they_are_written(source: Path) -> None:
    data = _read(source, None, "video,subject,age\na,007,31\nday 1/b,7,32\nday 1/c,007,31\n")
    assert [video.subject for video in data.videos] == ["007", "7", "007"]
    assert data.notes == ["subjects.csv: columns not used: age"]


def test_whole_numbers_that_pandas_wrote_beside_gaps_are_the_same_subjects(source: Path) -> None:
    """Of the numbers 7 and 8 and a gap, it makes 7.0, 8.0 and NaN; a table by hand has 7 and 8."""
    data = _read(source, None, "Video,Subject\na,7\nday 1/b,7.0\nday 1/c,8.0\n")
    assert [video.subject for video in data.videos] == ["7", "7", "8"]
    data = _read(source, None, "video,subject\na,1\nday 1/b,1.0\nday 1/c,1.5\n")
    assert [video.subject for video in data.videos] == ["1", "1.0", "1.5"], "no column of whole numbers"


@pytest.mark.parametrize("none", ["NaN", "nan", "NA", "N/A", "null", "None", "<NA>", "#N/A"])
def test_a_subject_that_stands_for_none_is_nobody(source: Path, none: str) -> None:
    assert _problems(source, None, f"video,subject\na,1.0\nday 1/b,{none}\nday 1/c,{none}\n") == [
        f"row {row}: no subject: {none} stands for none; a person of that name needs another here" for row in (3, 4)
    ]


def test_every_problem_of_the_subjects_has_a_line(source: Path) -> None:
    assert _problems(source, None, "video,subject\na,S1\nz,S2\nday 1/b,\n\na.mp4,S3\n") == [
        "row 3: no video 'z' in the raw data (one there is 'a.mp4')",
        "row 4: no subject",
        "row 6: video 'a.mp4' is in row 2 already",
    ]
    (line,) = _problems(source, None, "video,name\na,S1\n")
    assert re.search(r"subjects\.csv: no column subject; video,subject are expected; found video, name$", line)


def test_subjects_and_labels_go_together(source: Path) -> None:
    data = _read(source, "video,frame,AU01\na,1,4\n", "video,subject\na,S1\nday 1/b,S1\nday 1/c,S1\n")
    assert {video.subject for video in data.videos} == {"S1"}
    assert _known(data) == {"a": [[1, 4]]}
    assert data.videos[0] == RawVideo("a", "S1", source / "a.mp4", labels=data.videos[0].labels, columns={}, rows=(2,))


def test_labels_of_several_tables_are_put_together(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "raw").mkdir(exist_ok=True)
        (tmp_path / "raw" / name).touch()
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("video,frame,AU06\na,3,2\nb,1,0\n")
    two.write_text("video,frame,AU12\na,1,5\n")
    data = read("folder", tmp_path / "raw", [one, two], None, fps=25.0)
    assert data.aus == (6, 12)
    a, b = (video.labels for video in data.videos)
    assert a is not None
    assert b is not None
    assert a.astype(object).where(a.notna(), None).to_dict("index") == {
        3: {"AU06": 2, "AU12": None},
        1: {"AU06": None, "AU12": 5},
    }
    assert list(b.columns) == ["AU06", "AU12"]
    with pytest.raises(AulightError, match=r"one\.csv: frame 3 of a is labelled in another table already"):
        read("folder", tmp_path / "raw", [one, one], None, fps=25.0)
    two.write_text("video,time_s,AU12\na,0.04,5\n")
    with pytest.raises(AulightError, match=r"two\.csv: gives time_s, another table of labels does not; use one"):
        read("folder", tmp_path / "raw", [one, two], None, fps=25.0)
