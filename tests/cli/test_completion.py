"""Completion by the tab key, as bash does it: the oracle is what stands in conf/."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aulight.cli.completion import complete
from aulight.cli.main import COMMANDS
from aulight.runs.composed import conf_dir

# What bash does for a tab key at the end of a line, without a terminal.
ASK = """
eval "$(aulight -sc install=bash)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_CWORD=$2
hydra_bash_completion
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [
        ("aulight pre", 1, {"pretrain", "prepare", "predict"}),
        ("aulight finetune model=", 2, {f"model={file.stem}" for file in conf_dir().glob("model/*.yaml")}),
        ("aulight predict faces=none cov", 3, {"coverage="}),
        ("aulight nope mo", 2, {""}),
    ],
)
def test_the_words_that_come_next(line: str, word: int, expected: set[str], tmp_path: Path) -> None:
    script = tmp_path / "aulight"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m aulight "$@"\n')
    script.chmod(0o755)
    asked = subprocess.run(
        ["bash", "-c", ASK, "bash", line, str(word)],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stderr == ""
    assert set(asked.stdout.splitlines()) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["aulight"]


def test_every_command_is_offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COMP_LINE", "aulight ")
    complete(["-sc", "query=bash"], COMMANDS)
    assert capsys.readouterr().out.split() == list(COMMANDS)
