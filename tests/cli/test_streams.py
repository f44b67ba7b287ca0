"""Output that is closed, full, or in an encoding that lacks letters: no traceback, and the work is done."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

AULIGHT = f"{sys.executable} -m aulight"


def _shell(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | variables
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        (f"{AULIGHT} --help >&-", 0, b""),
        (f"{AULIGHT} --help >&- 2>&- <&-", 0, b""),
        (f"{AULIGHT} nosuch 2>&-", 2, b""),
        (f"{AULIGHT} --help | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}", None, b""),
        (f"{AULIGHT} --help >/dev/full", 1, b"aulight: what is printed cannot be written (No space left on device)"),
    ],
)
def test_output_may_be_closed_or_full(tmp_path: Path, command: str, status: int | None, says: bytes) -> None:
    ended = _shell(command, tmp_path)
    assert ended.returncode in ((0, 1) if status is None else (status,))
    assert ended.stderr.strip() == says


def test_what_is_opened_after_a_closed_output_is_not_printed_into(tmp_path: Path) -> None:
    """A file that is opened gets the lowest free number: that of the output, unless something takes its place."""
    code = (
        "import os; from aulight.cli.streams import make_usable; make_usable(); "
        "file = os.open('mine', os.O_CREAT | os.O_WRONLY); print('heard'); os.write(1, b'heard'); os.write(2, b'heard')"
    )
    ended = _shell(f'{sys.executable} -c "{code}" >&- 2>&- <&-', tmp_path)
    assert ended.returncode == 0
    assert (tmp_path / "mine").read_bytes() == b""


@pytest.mark.parametrize("name", ["漢", os.fsdecode(b"\xff\xfe")])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_are_printed_in_any_encoding(tmp_path: Path, name: str, encoding: str) -> None:
    variables = {"PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = _shell(f"{AULIGHT} predict input={name}.mp4", tmp_path, **variables)
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"aulight: input=")
    assert b"no such video or folder" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_output_in_the_middle_of_a_command_is_told_as_such(tmp_path: Path, unbuffered: str) -> None:
    """By one that prints while it works; what it writes is there."""
    (tmp_path / "faces.png").write_bytes(cv2.imencode(".png", np.zeros((32, 32, 3), np.uint8))[1].tobytes())
    command = f"{AULIGHT} predict input=faces.png output=scored >/dev/full"
    ended = _shell(command, tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert ended.returncode == 1
    said = ended.stderr.splitlines()[-1]
    assert said == b"aulight: what is printed cannot be written (No space left on device)"
    assert (tmp_path / "scored" / "faces.csv").is_file()
