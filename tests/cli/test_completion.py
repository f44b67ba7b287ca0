"""Completion by the tab key, as bash and zsh do it: the oracle is what stands in conf/."""

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


# What zsh does, without its line editor: words that do not begin as what was typed are left out by compadd.
ASK_ZSH = """
compdef() { : }
compset() { : }
_files() { print files }
compadd() { shift 3; print -l -- ${(M)@:#${words[CURRENT]}*} }
eval "$(aulight -sc install=zsh)"
words=(${(s: :)1}) CURRENT=$2
_aulight
"""

WORDS = [
    ("aulight pre", 1, {"pretrain", "prepare", "predict"}),
    ("aulight finetune model=", 2, {f"model={file.stem}" for file in conf_dir().glob("model/*.yaml")}),
    ("aulight predict faces=none cov", 3, {"coverage="}),
    ("aulight nope mo", 2, {""}),
]


def _asked(shell: str, script: str, line: str, word: int, tmp_path: Path) -> set[str]:
    program = tmp_path / "aulight"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m aulight "$@"\n')
    program.chmod(0o755)
    asked = subprocess.run(
        [shell, "-c", script, shell, line, str(word)],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["aulight"]
    return set(asked.stdout.splitlines())


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(("line", "word", "expected"), WORDS)
def test_the_words_that_come_next(line: str, word: int, expected: set[str], tmp_path: Path) -> None:
    assert _asked("bash", ASK, line, word, tmp_path) == expected


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
@pytest.mark.parametrize(("line", "word", "expected"), [*WORDS[:3], ("aulight nope mo", 2, {"files"})])
def test_the_words_that_come_next_in_zsh(line: str, word: int, expected: set[str], tmp_path: Path) -> None:
    assert _asked("zsh", ASK_ZSH, line, word + 1, tmp_path) == expected


def test_every_command_is_offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COMP_LINE", "aulight ")
    complete(["-sc", "query=bash"], COMMANDS)
    assert capsys.readouterr().out.split() == list(COMMANDS)
