"""The same bytes by any number of workers and after an interruption; nothing of anybody else's is touched."""

from pathlib import Path

import pytest

from aulight.data.avatars.rehearsal import building
from aulight.data.avatars.rehearsal.building import rehearse
from aulight.data.writer import partial_folder
from aulight.errors import AulightError


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_rehearsal_is_gone_on_with_and_comes_out_the_same(tmp_path: Path) -> None:
    rehearse(tmp_path / "one", "others", people=2, frames=10, workers=2)
    whole = content(tmp_path / "one")
    assert len(whole) == 3, "two videos and the recipe"
    stamp = (tmp_path / "one" / ".recipe.yaml").stat().st_mtime_ns
    rehearse(tmp_path / "one", "others", people=2, frames=10)
    assert (tmp_path / "one" / ".recipe.yaml").stat().st_mtime_ns == stamp, "there already"

    begun = partial_folder(tmp_path / "two")
    (begun / "batch2").mkdir(parents=True)
    (begun / ".recipe.yaml").write_bytes(whole[".recipe.yaml"])
    (begun / "batch2" / "video1.avi").write_bytes(b"filmed before")
    rehearse(tmp_path / "two", "others", people=2, frames=10, workers=1)
    assert content(tmp_path / "two") == whole | {"batch2/video1.avi": b"filmed before"}
    assert not list(tmp_path.glob(".*")), "something temporary was left behind"


def test_nothing_of_another_recipe_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = partial_folder(tmp_path / "out")
    (begun / "batch2").mkdir(parents=True)
    (begun / ".recipe.yaml").write_text("seed: 3\n")
    (begun / "batch2" / "video1.avi").write_bytes(b"of another recipe")
    monkeypatch.setattr(building, "pump", None)  # it breaks off before the first video
    with pytest.raises(TypeError):
        rehearse(tmp_path / "out", "others", people=3, frames=10)
    assert [path.name for path in begun.iterdir()] == [".recipe.yaml"]


def test_what_cannot_be_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(AulightError, match=r"^--people 28: disfa has from 1 to 27$"):
        rehearse(tmp_path / "out", "disfa", people=28)
    with pytest.raises(AulightError, match=r"^--frames 3: at least 10 are needed$"):
        rehearse(tmp_path / "out", "bp4d", frames=3)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(AulightError, match="already there, and not what is asked for; give another folder"):
        rehearse(tmp_path / "out", "disfa")
    assert content(tmp_path) == {"out/thesis.txt": b"mine"}
