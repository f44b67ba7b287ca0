from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aulight.cli.arguments import no_command, told_apart
from aulight.cli.main import COMMANDS
from aulight.errors import AulightError
from aulight.runs.composed import composed, names_of
from aulight.runs.overrides import Typed

Command = Callable[..., Any]

MEANT = {
    "predict input clip.mp4": "predict input=clip.mp4",
    "predict input = clip.mp4": "predict input=clip.mp4",
    "predict input= clip.mp4": "predict input=clip.mp4",
    "predict input =clip.mp4": "predict input=clip.mp4",
    "prepare folder": "prepare data.source=folder",
    "prepare --data.source folder": "prepare data.source=folder",
    "report runs/x": "report runs=runs/x",
    "export runs/x": "export run=runs/x",
    "finetune runs/x fold=2": "finetune pretrained=runs/x fold=2",
    "finetune fold : 2": None,
    "pretrain folder": None,
    "predict input": None,
    "predict help": "predict --help",
    "predict input=[a,b] c": None,
}

TAKEN = {
    "predict clip.mp4": ["input=clip.mp4"],
    "predict clip.mp4 overlay=true": ["overlay=true", "input=clip.mp4"],
    "predict a.mp4 overlay=true b.mp4": ["overlay=true", "input=['a.mp4','b.mp4']"],
    "predict -m clip.mp4": ["input=clip.mp4"],
    "predict --input clip.mp4": ["input=clip.mp4"],
    "predict --input clip.mp4 b.mp4": ["input=['clip.mp4','b.mp4']"],
    "predict --input=clip.mp4 --overlay": ["input=clip.mp4", "overlay=true"],
    "predict --max-frames 3 input=webcam:0": ["max_frames=3", "input=webcam:0"],
    "predict input=a.mp4,b.mp4": ["input=['a.mp4','b.mp4']"],
    "predict input=a,b.mp4": ["input=a,b.mp4"],
    "predict -m input=a.mp4,b.mp4": ["input=a.mp4,b.mp4"],
    "predict my clip.mp4": ["input=my clip.mp4"],
    "predict input=my clip.mp4": ["input=my clip.mp4"],
    "predict a=b.mp4": ["input=a=b.mp4"],
    "predict it's.mp4 b.mp4": [r"input=['it\'s.mp4','b.mp4']"],
    "predict videos/*.mp4": ["input=videos/*.mp4"],
}
"""What ``predict`` takes as people type it."""


@pytest.mark.parametrize(("typed", "settings"), TAKEN.items(), ids=TAKEN)
def test_what_predict_takes(typed: str, settings: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Oracles: the settings by hand, and what Hydra makes of them."""
    for name in ("my clip.mp4", "a=b.mp4", "a,b.mp4"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    command, *words = typed.split(" ")
    told = told_apart(command, words, names_of(command))
    assert told.settings == settings
    if "-m" not in words:
        with composed(command, [Typed(command).readable(setting) for setting in told.settings]) as config:
            given = config.input if isinstance(config.input, str) else list(config.input)
        expected = {"['a.mp4','b.mp4']": ["a.mp4", "b.mp4"], r"['it\'s.mp4','b.mp4']": ["it's.mp4", "b.mp4"]}
        expected["['clip.mp4','b.mp4']"] = ["clip.mp4", "b.mp4"]
        said = next(setting for setting in settings if setting.startswith("input=")).removeprefix("input=")
        assert given == expected.get(said, said)


@pytest.mark.parametrize(("typed", "meant"), MEANT.items(), ids=MEANT)
def test_what_to_type_instead(typed: str, meant: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("my clip.mp4", "a=b.mp4"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    command, *words = typed.split(" ")
    with pytest.raises(AulightError) as caught:
        told_apart(command, words, names_of(command))
    if meant is not None:
        assert str(caught.value).endswith(f"type: aulight {meant}")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("clip.mp4", "type: aulight predict input=clip.mp4"),
        ("input=clip.mp4 plot=true", "type: aulight predict input=clip.mp4 plot=true"),
        ("Predict input=x", "type: aulight predict input=x"),
        ("--predict input=x", "type: aulight predict input=x"),
        ("-m predict input=x,y", "type: aulight predict -m input=x,y"),
        ("predct input=x", "did you mean predict?"),
        ("train", "did you mean pretrain?"),
        ("help", "type: aulight --help"),
        ("help report", "type: aulight report --help"),
        ("xyzzy", "one of prepare, sample"),
    ],
)
def test_no_such_command(typed: str, meant: str) -> None:
    assert meant in no_command(typed.split(), COMMANDS)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ("--cfg foo", "--cfg=foo: one of job, hydra, all is needed"),
        ("--cfg", "--cfg: one of job"),
        ("--resolve", "goes with --cfg job"),
        ("-p optim", "goes with --cfg job"),
        ("-m -r", "--multirun and --run"),
        ("-m --cfg job", "--cfg and --multirun"),
        ("--config-dir", "a value is needed"),
        ("--confg-dir=x", "did you mean --config-dir?"),
        ("--stpes=3", "did you mean steps=?"),
        ("--experimental-rerun x", "no such flag"),
        ("--config-name x", "no such flag"),
    ],
)
def test_flags_are_refused_in_one_line(flags: str, part: str, aulight: Command, tmp_path: Path) -> None:
    outcome = aulight("pretrain", f"root={tmp_path}/runs", *flags.split())
    assert outcome.status == 2
    (line,) = outcome.err.splitlines()
    assert part in line
    assert list(tmp_path.iterdir()) == []


def test_flags_that_are_taken(aulight: Command) -> None:
    told = told_apart("pretrain", ["-cd", "x", "--cfg", "job", "steps=3", "-p=optim", "~seed"], names_of("pretrain"))
    assert told.settings == ["steps=3", "~seed"]
    assert (told.folder, told.mode, told.flags) == ("x", "show", ["--cfg=job", "--package=optim"])
    assert told_apart("pretrain", ["--run"], ()).mode == "run"
    shown = aulight("pretrain", "--cfg", "job", "-p", "optim")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith("# @package optim\nlr: ")
    assert aulight("predict", "--version").out.startswith("aulight ")
    assert aulight("finetune", "-m", "--help", "seed=0,1", "name=a,b").status == 0
