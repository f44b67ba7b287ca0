"""The folder in which a user's processes meet."""

import os
import tempfile
from pathlib import Path

import pytest

from aulight.runs.machine import own_folder


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, another one for this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    own_folder.cache_clear()
    return tmp_path


def test_it_is_the_same_for_all_and_nobody_elses(system: Path) -> None:
    assert own_folder() == system / f"aulight-{os.getuid()}"
    assert own_folder().stat().st_mode & 0o777 == 0o700
    own_folder.cache_clear()
    own_folder.__wrapped__().chmod(0o777)
    assert own_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "another's"])
def test_one_that_somebody_else_made_first_is_left_alone(
    kind: str, system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = system / f"aulight-{os.getuid()}"
    if kind == "link":
        (system / "theirs").mkdir()
        place.symlink_to(system / "theirs")
    elif kind == "file":
        place.touch()
    else:
        uid = os.getuid()
        place = system / f"aulight-{uid + 1}"
        place.mkdir()
        monkeypatch.setattr(os, "getuid", lambda: uid + 1)  # it is not this user's
    own = own_folder()
    assert own != place
    assert (own.parent, own.stat().st_mode & 0o777) == (system, 0o700)


def test_a_session_has_a_place_of_its_own(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (system / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(system / "run"))
    assert own_folder() == system / "run" / "aulight"
