"""``aulight <command> --help``, beside the classes of settings and the composed configuration."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aulight.cli.arguments import told_apart
from aulight.cli.examples import EXAMPLES
from aulight.cli.help import NOT_FOR
from aulight.cli.main import COMMANDS
from aulight.runs.composed import composed, names_of, settings_from
from aulight.runs.overrides import Typed
from aulight.settings.commands import settings_of
from aulight.settings.walk import walk

Command = Callable[..., Any]
NEEDED = {"sample": ["output=there"], "report": ["runs=there"], "predict": ["input=there"], "export": ["run=there"]}


def _words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_shows_every_setting_with_its_default_and_what_it_is(command: str, aulight: Command) -> None:
    """Oracles: the walk over the class of settings, and the configuration that Hydra prints."""
    shown = aulight(command, "--help")
    assert (shown.status, shown.err) == (0, "")
    typed = NEEDED.get(command, [])
    config = yaml.safe_load(aulight(command, *typed, "--cfg", "job", "--resolve").out)
    said, lines = _words(shown.out), shown.out.splitlines()
    assert max(map(len, lines)) <= 120
    settings = list(walk(settings_of(command), config))
    assert len(settings) > 3
    for setting in settings:
        assert _words(setting.description) in said
        for choice in setting.kind.choices if setting.kind.annotation is not bool else ():
            assert choice in said
        default: Any = config
        for part in setting.name.split("."):
            default = default.get(part) if isinstance(default, dict) else None
        entries = [line.strip() for line in lines if line.startswith(f"  {setting.name}")]
        assert entries, setting.name
        if isinstance(default, bool | int | str) and f"{setting.name}={default}" not in typed:
            word = str(default).lower() if isinstance(default, bool) else str(default)
            assert any(entry.startswith(f"{setting.name}={word}") for entry in entries), (setting.name, default)


def test_choices_that_are_typed_count(aulight: Command) -> None:
    shown = aulight("finetune", "model=resnet18", "data=disfa", "fold=2", "-h")
    assert (shown.status, shown.err) == (0, "")
    for entry in ("model=resnet18 ", "model.size=112 ", "data.reader.camera=left ", "fold=2 ", "data.format=disfa "):
        assert f"\n  {entry}" in shown.out
    assert "data.synthetic.size" not in shown.out


def test_groups_list_their_choices(aulight: Command) -> None:
    shown = _words(aulight("pretrain", "--help").out)
    assert "objective=instance_predictive byol, dense, instance_predictive, masked, predictive, vicreg" in shown
    assert "experiment=null" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_calls_that_there_are(command: str, aulight: Command) -> None:
    """Oracles: what reads a typed line, Hydra's composition, and the class of settings."""
    shown = aulight(command, "--help").out
    assert len(EXAMPLES[command]) == 2
    for typed, does in EXAMPLES[command]:
        assert f"  aulight {command} {typed}\n      " in shown
        assert _words(does) in _words(shown)
        told = told_apart(command, shlex.split(typed), names_of(command))
        overrides = [Typed(command, told.sweep).readable(setting) for setting in told.settings]
        with composed(command, overrides) as config:
            settings_from(command, config)


def test_choices_that_do_nothing_for_a_command_are_not_listed(aulight: Command) -> None:
    """Oracle: what the command says when one is chosen."""
    for (command, group), refused in NOT_FOR.items():
        listed = _words(aulight(command, "--help").out).partition("Groups")[2].partition("Settings")[0]
        for choice in refused:
            assert aulight(command, f"{group}={choice}", "data.source=there").status == 2
            assert choice not in listed.replace(",", "").split()


def test_a_mistake_is_told_as_ever(aulight: Command) -> None:
    shown = aulight("pretrain", "model=nope", "--help")
    assert (shown.status, shown.out) == (2, "")
    assert "model/nope" in shown.err
    assert len(shown.err.splitlines()) == 1


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from aulight.cli.main import main\n"
        "sys.argv = ['aulight', 'finetune', '--help']\n"
        "main()\n"
        "print('imported:', *sorted({'torch', 'pandas', 'numpy', 'cv2', 'pytorch_lightning'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported:"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", ["--help", "finetune --help"])
def test_a_reader_that_has_had_enough(arguments: str, tmp_path: Path) -> None:
    """As ``head`` ends before all is printed; the other end of the pipe is closed before anything is."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "aulight", *arguments.split()]
    done = subprocess.run(command, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 1
