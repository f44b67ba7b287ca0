"""``python -m aulight.data.synthetic``, as the Makefile calls it."""

import subprocess
import sys
from pathlib import Path

import cv2

from aulight.data.store import PreparedDataset


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aulight.data.synthetic", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_makes_the_dataset_once(smoke_data: Path, tmp_path: Path) -> None:
    """Oracle: the dataset that the commands make on first use."""
    root = tmp_path / "data" / "faces"
    for _ in range(2):
        done = _run("--dataset", root, "--size", "smoke")
        assert done.returncode == 0, done.stderr
    assert PreparedDataset(root).fingerprint == PreparedDataset(smoke_data).fingerprint


def test_draws_a_picture(tmp_path: Path) -> None:
    done = _run("--contact-sheet", tmp_path / "docs" / "faces.png")
    assert done.returncode == 0, done.stderr
    picture = cv2.imread(str(tmp_path / "docs" / "faces.png"))
    assert picture is not None
    assert picture.std() > 20
    (tmp_path / "docs" / "faces.png").write_text("mine")
    done = _run("--contact-sheet", tmp_path / "docs" / "faces.png")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert (tmp_path / "docs" / "faces.png").read_text() == "mine"


def test_mistakes(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    done = _run("--dataset", tmp_path / "there")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"aulight: {tmp_path / 'there'}: no prepared dataset there")
    assert len(done.stderr.splitlines()) == 1
    assert _run().returncode == 2
