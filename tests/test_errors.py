"""Messages: one line stays one, whatever the names of files hold."""

import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from aulight.cli.messages import message
from aulight.data.video.write import write_video
from aulight.errors import AulightError, VideoError, VideosFailed, printable, say
from aulight.report.formats import markdown

ODD = "a\nb\r\x1b[31mc\u202e\u2028\x85d\tü\U0001f600"
SHOWN = "a\\nb\\r\\x1b[31mc\\u202e\\u2028\\x85d\\tü\U0001f600"


def test_what_a_terminal_does_not_show_is_written_by_its_number() -> None:
    assert printable(ODD) == SHOWN
    assert printable(SHOWN) == SHOWN  # a message within a message
    every = "".join(map(chr, range(0x3000 + 0xE000)))
    assert printable(every).splitlines() == [printable(every)]
    assert printable(b"caf\xe9".decode(errors="surrogateescape")) == "caf\\udce9"
    assert printable(every).encode()
    assert not {sign for sign in printable(every) if ord(sign) < 32 or 127 <= ord(sign) < 160}


@pytest.mark.parametrize("kind", [AulightError, VideoError, VideosFailed])
def test_lines_of_a_message_are_those_that_it_was_given(kind: type[AulightError]) -> None:
    error = kind(f"{Path('x') / ODD}: damaged", "second")
    assert str(error) == f"x/{SHOWN}: damaged\nsecond"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # as a worker process sends it
    assert str(kind(f"{kind(ODD)}; advice")) == f"{SHOWN}; advice"
    assert message(error).splitlines() == [f"x/{SHOWN.replace('  ', ' ')}: damaged", "second"]


def test_an_error_of_the_system_is_one_line() -> None:
    assert message(PermissionError(13, "Permission denied", ODD)) == f"{SHOWN}: Permission denied"


def test_what_is_said_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say(ODD)
    say(ODD, error=True)
    assert capsys.readouterr() == (f"{SHOWN}\n", f"{SHOWN}\n")


def test_a_row_of_a_markdown_table_is_one_line() -> None:
    assert len(markdown(pd.DataFrame({"Arm": [ODD], "x": ["1"]})).splitlines()) == 3


@pytest.mark.parametrize("command", ["predict", "prepare"])
def test_names_of_videos_do_not_break_the_lines(
    command: str, coded: Callable[..., Iterator[npt.NDArray[np.uint8]]], tmp_path: Path
) -> None:
    videos = tmp_path / "videos\nof \x1b[2Jmine"
    videos.mkdir()
    write_video(videos / "good\none.mp4", coded(0, 6), 25)
    (videos / "bad\ntwo.mp4").write_bytes(b"no video")
    (videos / "other.mp4").symlink_to("nowhere\nat all")
    settings = {
        "predict": [f"input={videos}", f"output={tmp_path}/out\nput"],
        "prepare": [f"data.source={videos}", f"data_dir={tmp_path}/d\nata", "data.name=m", "data.faces=none"],
    }[command]
    settings += ["workers=1"] if command == "predict" else ["workers=1", "on_error=skip"]
    run = subprocess.run(
        [sys.executable, "-m", "aulight", command, *settings], capture_output=True, text=True, check=False
    )
    said = run.stdout + run.stderr
    assert run.returncode == {"predict": 1, "prepare": 0}[command], said
    assert "\x1b[2J" not in said
    for name in ("bad\\ntwo.mp4", "\\x1b[2Jmine"):
        assert name in said
    assert not re.search("^ *(two|one|of|at all|put|ata)", said, re.MULTILINE), said
