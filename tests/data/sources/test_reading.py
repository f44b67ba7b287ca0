"""What is refused whatever the layout."""

from pathlib import Path

import pytest

from aulight.data.sources.reading import read
from aulight.errors import AulightError


def test_a_source_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(AulightError, match=r"^data\.source: no value given; add data\.source=<folder"):
        read("folder", None, (), None, fps=25.0)
    with pytest.raises(AulightError, match=r"^data\.source=.*/nowhere: no such folder$"):
        read("folder", tmp_path / "nowhere", (), None, fps=25.0)
    (tmp_path / "film.mp4").touch()
    with pytest.raises(AulightError, match=r"film\.mp4: a file; give the folder that it lies in"):
        read("folder", tmp_path / "film.mp4", (), None, fps=25.0)
    with pytest.raises(AulightError, match=r"^data\.format=disfa2: one of disfa, bp4d, affwild2, folder$"):
        read("disfa2", tmp_path, (), None)


@pytest.mark.parametrize("ones", [19, 20])
def test_presence_is_told_from_intensity_by_how_often_it_stops_at_1(tmp_path: Path, ones: int) -> None:
    (tmp_path / "v.mp4").touch()
    table = tmp_path / "labels.csv"
    # each stretch at 1 is three frames long: as much evidence as one
    values = [value for _ in range(ones) for value in (1, 1, 1, 0)]
    table.write_text("video,frame,AU12\n" + "".join(f"v,{frame},{value}\n" for frame, value in enumerate(values)))
    if ones == 20:
        with pytest.raises(
            AulightError, match=r"labels\.csv: no label is above 1, so these tell whether an AU is pres"
        ):
            read("folder", tmp_path, [table], None, fps=25.0)
        table.write_text(table.read_text() + "v,999,2\n")
        assert read("folder", tmp_path, [table], None, fps=25.0).aus == (12,)
    else:
        notes = read("folder", tmp_path, [table], None, fps=25.0).notes
        assert any("labels.csv: no label is above 1; labels that tell presence" in note for note in notes)


@pytest.mark.parametrize("key", ["labels", "subjects"])
def test_a_dataset_with_labels_of_its_own_takes_no_others(tmp_path: Path, key: str, disfa_tree: object) -> None:
    root = disfa_tree(tmp_path / "disfa", subjects=["SN001"], frames=2, size=(64, 48))  # type: ignore[operator]
    table = tmp_path / "table.csv"
    labels, subjects = ([table], None) if key == "labels" else ([], table)
    with pytest.raises(AulightError, match=rf"^{key}=.*table\.csv: disfa brings its own {key}; leave {key} out$"):
        read("disfa", root, labels, subjects, camera="left", drop_untracked=False)
