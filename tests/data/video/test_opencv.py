"""Which OpenCV is installed, told from the packages' own records; and what is said where it is the wrong one."""

from pathlib import Path

import cv2
import pytest

from aulight.data.video import opencv


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of installed packages, and no other."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    return tmp_path


def install(folder: Path, name: str) -> None:
    info = folder / f"{name.replace('-', '_')}-5.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 5.0\n")


def test_it_is_told_by_its_package(packages: Path) -> None:
    assert opencv.installed() == []
    install(packages, "opencv-contrib-python")
    assert opencv.installed() == ["opencv-contrib-python"]


@pytest.mark.parametrize(("gui", "has_windows"), [("NONE", False), ("QT5", True), ("COCOA", True)])
def test_windows_are_those_of_the_build(
    packages: Path, monkeypatch: pytest.MonkeyPatch, gui: str, has_windows: bool
) -> None:
    """Oracle: OpenCV's own account of how it was built."""
    install(packages, "opencv-python-headless")
    monkeypatch.setattr(
        cv2, "getBuildInformation", lambda: f"\n  CPU:  NONE\n  GUI:                 {gui}\n    GTK+: NO\n"
    )
    mend = "pip uninstall -y opencv-python-headless && pip install --no-deps opencv-python"
    said = f"this OpenCV has no windows (opencv-python-headless); {mend}"
    assert opencv.no_windows() == (None if has_windows else said)
