"""Published numbers that people fill in: what they mean is taken, what is wrong is named by its row."""

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from aulight.errors import AulightError
from aulight.report.published import read_published

PUBLISHED = (
    "source,dataset,label_fraction,icc,mae,mse,AU1,AU12\n"
    '"A, 2020",DISFA,0.02,0.5,0.25,,-0.1,0.8\n'
    "B,disfa,,0.4,,,,\n"
    "B,bp4d,1,,,0.7,,\n"
    "B,other,1,0.6,,,,\n"
)


def test_published_numbers(tmp_path: Path) -> None:
    file = tmp_path / "published.csv"
    first: dict[str, object] = {"source": "A, 2020", "dataset": "disfa", "label_fraction": 0.02}
    first |= {"icc": 0.5, "mae": 0.25, "mse": None}
    second: dict[str, object] = {
        "source": "B",
        "dataset": "disfa",
        "label_fraction": None,
        "icc": 0.4,
        "mae": None,
        "mse": None,
    }
    third: dict[str, object] = {
        "source": "B",
        "dataset": "BP4D",
        "label_fraction": 1.0,
        "icc": None,
        "mae": None,
        "mse": 0.7,
    }
    units: list[dict[str, float]] = [{"AU01": -0.1, "AU12": 0.8}, {}, {}]
    expected = [{**row, "per_au": per_au} for row, per_au in zip((first, second, third), units, strict=True)]
    german = re.sub(r'"A; 2020"', '"A, 2020"', PUBLISHED.replace(",", ";").replace(".", ","))
    for text in (PUBLISHED, german):
        file.write_text(text)
        rows, notes = read_published(file, ["disfa", "BP4D"])
        assert [asdict(row) for row in rows] == expected
        assert notes == ["published.csv: rows about other datasets left out: other"]
    assert read_published(file, ["disfa", "BP4D", "other"])[1] == []


def test_every_problem_of_published_numbers_has_a_line(tmp_path: Path) -> None:
    file = tmp_path / "published.csv"
    file.write_text(
        "source,dataset,label_fraction,icc,AU12\n"
        ",disfa,2%,0.5,\n"
        "A,,2,1.5,two\n"
        "A,disfa,0.02,,\n"
        "A,disfa,0.1,0.3,\n"
        "A,DISFA,0.1,0.4,\n"
        "A,disfa,0.2,nan,\n"
    )
    with pytest.raises(AulightError) as caught:
        read_published(file, ["disfa"])
    assert str(caught.value).splitlines() == [
        f"{file} {line}"
        for line in (
            "row 2: no source",
            "row 2: label_fraction '2%' is not a number from 0 to 1",
            "row 3: no dataset",
            "row 3: label_fraction '2' is not a number from 0 to 1",
            "row 3: icc '1.5' is not a number from -1 to 1",
            "row 3: AU12 'two' is not a number from -1 to 1",
            "row 4: no result; fill in at least one of icc, AU12",
            "row 6: the same source, dataset and label_fraction as row 5",
            "row 7: icc 'nan' is not a number from -1 to 1",
        )
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("source,dataset,icc,f1\nA,disfa,0.5,0.5\n", "unknown column f1;"),
        ("source,icc\nA,0.5\n", "no column dataset;"),
        ("source,dataset,label_fraction\nA,disfa,0.5\n", "no column icc, mae, mse or of an AU;"),
        ("source,dataset,AU1,AU01\nA,disfa,0.5,0.5\n", "two columns for one AU;"),
        ("source,dataset,icc\nA,bp4d,0.5\nB,other,0.6\n", "no row about disfa; it has bp4d, other"),
        ("source,dataset,icc\n", "no row about disfa"),
    ],
)
def test_published_numbers_of_no_use_are_said(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "published.csv"
    file.write_text(text)
    with pytest.raises(AulightError) as caught:
        read_published(file, ["disfa"])
    assert str(caught.value).startswith(f"{file}: {problem}")
    assert "\n" not in str(caught.value)
