import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from omegaconf import OmegaConf

from aulight.cli import main
from aulight.data.store import PreparedDataset
from aulight.runs.composed import OWN_CONF, conf_dir
from tests.data.formats import spoil

CONF = conf_dir()
Command = Callable[..., Any]


def _refused(outcome: Any, *parts: str) -> None:
    """Exit status 2, and one line that names what is wrong."""
    lines = outcome.err.splitlines()
    assert outcome.status == 2, outcome.err
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("aulight: ")
    for part in parts:
        assert part in lines[0]


def _copy(data: Path, to: Path) -> Path:
    """A copy of a dataset whose files may be replaced (not written into)."""
    shutil.copytree(data, to, copy_function=os.link)
    return to


def _spoil(path: Path, content: bytes = b"this is not a video") -> None:
    path.unlink()
    path.write_bytes(content)


def test_help_lists_the_commands_there_are_without_torch() -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['aulight', '--help']\n"
        "try: runpy.run_module('aulight')\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'hydra', 'pandas', 'numpy', 'pytorch_lightning'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    listed = re.findall(r"^  (\S+)", done.stdout, re.MULTILINE)
    assert listed == list(main.COMMANDS)
    for command in listed:
        assert callable(main.task(command))
        assert (conf_dir(command) / f"{command}.yaml").is_file()
    assert {path.stem for path in CONF.glob("*.yaml")} == set(listed) - set(OWN_CONF)


def test_no_arguments_and_version(aulight: Command) -> None:
    from aulight import __version__

    assert aulight().status == 2
    assert aulight("--version").out == f"aulight {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["fintune"], ["fintune", "finetune"]),
        (["pretrain", "stpes=3"], ["stpes"]),
        (["predict", "clip.mp4"], ["input=clip.mp4: no such video or folder"]),
        (["predict", "inptu=clip.mp4"], ["inptu: no such setting", "did you mean input?"]),
        (["prepare", "labels="], ["labels=: the path of a CSV file is needed"]),
        (["prepare", "labels=[]"], ["labels=[]: the path of a CSV file is needed"]),
        (["prepare", "~labels"], ["~labels: it is null already, and no setting is taken away"]),
        (["prepare", "~lables"], ["~lables: no such setting; did you mean labels?"]),
        (["pretrain", "+foo=1"], ["foo"]),
        (["pretrain", "+model.foo=1"], ["model.foo"]),
        (["pretrain", "~clip.length"], ["clip.length"]),
        (["pretrain", "steps=abc"], ["steps=abc", "number"]),
        (["pretrain", "steps=1.5"], ["steps=1.5", "whole number"]),
        (["pretrain", "steps=true"], ["steps=True"]),
        (["pretrain", "steps=null"], ["steps=None"]),
        (["pretrain", "steps=-5"], ["steps=-5", "at least 1"]),
        (["pretrain", "steps=0"], ["steps=0", "at least 1"]),
        (["pretrain", "steps_per_epoch=0"], ["steps_per_epoch=0"]),
        (["pretrain", "loader.workers=-1"], ["loader.workers=-1"]),
        (["pretrain", "loader.batch_size=0"], ["loader.batch_size=0"]),
        (["pretrain", "model.small_input=3"], ["model.small_input=3", "true or false"]),
        (["pretrain", "threads=abc"], ["threads=abc", "whole number", "or null"]),
        (["finetune", "label_fraction=null", "label_count=abc"], ["label_count=abc", "whole number"]),
        (["pretrain", "objective.temperature=0"], ["objective.temperature=0", "more than 0"]),
        (["pretrain", "optim.warmup=2"], ["optim.warmup=2", "less than 1"]),
        (["pretrain", "objective.views=0"], ["objective.views=0"]),
        (["pretrain", "model.std=[0,0,0]"], ["model.std=[0, 0, 0]", "more than 0"]),
        (["pretrain", "probe.label_fraction=0"], ["probe.label_fraction=0", "more than 0"]),
        (["pretrain", "model={}"], ["model={}", "settings in it are needed"]),
        (["finetune", "++optim={ }"], ["optim={}", "settings in it are needed"]),
        (["pretrain", "optim.warmup=1"], ["optim.warmup=1", "less than 1"]),
        (["pretrain", "model=null"], ["model=null", "one of blendshapes, frozen, resnet18"]),
        (["finetune", "logger=5"], ["logger=5", "one of csv, wandb"]),
        (["finetune", "seed=18446744073709551615"], ["seed=18446744073709551615", "at most 4294967295"]),
        (["finetune", "name=.."], ["name=..", "a folder can have"]),
        (["pretrain", "clip.length=???"], ["clip.length: no value given; add clip.length="]),
        (["pretrain", "clip={length: 4, nosuch: 1}"], ["clip.nosuch: no such setting"]),
        (["pretrain", "objective.other_video_weight=0.1"], ["is objective.other_subjects now", "N - 1 times as much"]),
        (["finetune", "~seed"], ["seed: is missing"]),
        (["pretrain", "--config-dir=/nowhere"], ["--config-dir=/nowhere", "no such folder"]),
        (["pretrain", "root="], ["root=", "a path is needed"]),
        (["pretrain", "name=''"], ["name=", "a name is needed"]),
        (["pretrain", "trainer.accelerator=abacus"], ["trainer.accelerator=abacus", "one of auto, cpu, gpu"]),
        (["pretrain", "model=nope"], ["model/nope", "resnet18_convgru"]),
        (["pretrain", "model.backbone=nope"], ["nope", "resnet_tiny"]),
        (["pretrain", "model.temporal=nope"], ["nope", "convgru"]),
        (["pretrain", "objective.horizons=[]"], ["objective.horizons"]),
        (["pretrain", "clip.stride=[4]"], ["clip.stride"]),
        (["pretrain", "clip.stride=[4,2]"], ["clip.stride=[4, 2]"]),
        (["pretrain", "clip.stride=4"], ["clip.stride=4"]),
        (["pretrain", "clip.length=3"], ["clip.length=3", "objective.context"]),
        (["pretrain", "clip.length=1000"], ["clip.length=1000"]),
        (["pretrain", "steps=5"], ["steps=5", "steps_per_epoch=2"]),
        (["pretrain", "objective=dense"], ["objective.spatial", "convgru"]),
        (["pretrain", "objective.views=1"], ["objective.instance"]),
        (["pretrain", "augment.frame=[{name: Nope}]"], ["augment.frame[0]", "Nope"]),
        (["pretrain", "augment.clip=[{name: Affine, nope: 1}]"], ["augment.clip[0]", "nope"]),
        (["pretrain", "trainer.accelerator=nope"], ["trainer", "nope"]),
        (["pretrain", "+trainer.nope=1"], ["trainer", "nope"]),
        (["pretrain", "trainer.precision=12"], ["trainer", "12"]),
        (["pretrain", "data.on_error=maybe"], ["data.on_error=maybe"]),
        (["pretrain", "data.size=huge", "data_dir={new}"], ["size=huge"]),
        (["pretrain", "data.synthetic=null", "data.root=/nowhere"], ["/nowhere", "dataset.yaml"]),
        (["pretrain", "steps=[1"], ["[1"]),
        (["finetune", "data.name=mine"], ["data.name=mine", "data=folder"]),
        (["pretrain", "data.name=mine"], ["data.name=mine", "data=folder"]),
        (["finetune", "loss=l3"], ["loss=l3", "smooth_l1"]),
        (["finetune", "freeze=head"], ["freeze=head", "backbone"]),
        (["finetune", "label_fraction=0"], ["label_fraction=0"]),
        (["finetune", "label_fraction=1.5"], ["label_fraction=1.5"]),
        (["finetune", "label_count=5"], ["label_fraction", "label_count"]),
        (["finetune", "label_fraction=null"], ["label_fraction", "label_count"]),
        (["finetune", "label_fraction=null", "label_count=100000"], ["label_count=100000", "360"]),
        (["finetune", "pretrained=/nowhere"], ["pretrained=/nowhere"]),
        (["finetune", "start=pretrained"], ["stage_one_run: no value given", "add experiment="]),
        (["pretrain", "data.protocol.name=kfold", "data.protocol.folds=1"], ["data.protocol.folds=1", "at least 2"]),
        (["pretrain", "data.protocol.name=kfold", "fold=4"], ["fold=4", "3 folds"]),
        (["finetune", "experiment=reproduce", "start=pretrained", "seed=7"], ["seed=7", "seeds 0 to 2"]),
        (["pretrain", "experiment=reproduce", "name=seedNone", "seed=3"], ["seed=3", "seeds 0 to 2"]),
        (["pretrain", "objective.horizons=[1,2,1]"], ["objective.horizons=[1, 2, 1]", "1 is in it twice"]),
        (["sample", "output=x", "aus=[4,4]"], ["aus=[4, 4]", "4 is in it twice"]),
        (["pretrain", "fold=0"], ["fold=0", "at least 1"]),
        (["finetune", "fold=1.5"], ["fold=1.5", "whole number"]),
        (["finetune", "fold=2"], ["fold=2", "protocol own has one fold"]),
        (["pretrain", "data.protocol.name=nope"], ["data.protocol.name=nope", "kfold"]),
        (["finetune", "data.protocol.name=kfold", "data.protocol.folds=13"], ["data.protocol.folds=13", "12 labelled"]),
        (["finetune", "data.protocol.name=disfa"], ["dataset synthetic: subject", "none of protocol disfa"]),
        (["finetune", "data.protocol.folds=0"], ["data.protocol.folds=0", "at least 1"]),
        (["finetune", "+data.protocol.nope=1"], ["data.protocol.nope"]),
        (["finetune", "model=blendshapes", "pretrained=/nowhere"], ["pretrained=/nowhere"]),
        (["report"], ["runs"]),
        (["report", "runs=/nowhere"], ["/nowhere"]),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value, list) else "",
)
def test_mistakes(
    arguments: list[str],
    parts: list[str],
    aulight: Command,
    tiny_pretrain: list[str],
    tiny_finetune: list[str],
    tmp_path: Path,
) -> None:
    settings = {"pretrain": tiny_pretrain, "finetune": tiny_finetune}.get(arguments[0], arguments[:1])
    added = [argument.replace("{new}", str(tmp_path)) for argument in arguments[1:]]
    where = [f"root={tmp_path}/runs", "name=run"] if arguments[0] in ("pretrain", "finetune") else []
    before = [old for old in settings if old.partition("=")[0] not in {new.partition("=")[0] for new in added}]
    _refused(aulight(*before, *where, *added), *parts)


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_a_mistake_leaves_no_folder_behind(
    command: str, aulight: Command, tiny_pretrain: list[str], tiny_finetune: list[str], tmp_path: Path
) -> None:
    settings = tiny_pretrain if command == "pretrain" else tiny_finetune
    _refused(aulight(*settings, f"root={tmp_path}/runs", "optim.warmup=2"), "optim.warmup=2", "less than 1")
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_touches_nothing_of_a_run_that_is_there(
    aulight: Command, tiny_pretrain: list[str], pretrained: Path, tmp_path: Path
) -> None:
    shutil.copytree(pretrained, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    _refused(
        aulight(*tiny_pretrain, f"root={tmp_path}", "name=run", "objective.temperature=0"), "objective.temperature=0"
    )
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_variables_of_ones_own_experiment(aulight: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file may bring in a variable that other settings are made of; what is typed may not."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nhalf: 100\nsteps: ${half}\n")
    seen: list[Any] = []
    monkeypatch.setattr(main, "task", lambda command: seen.append)
    mine = ["finetune", f"--config-dir={tmp_path}", "experiment=mine", f"root={tmp_path}/runs"]
    outcome = aulight(*mine)
    assert outcome.status == 0, outcome.err
    assert [settings.steps for settings in seen] == [100]
    _refused(aulight(*mine, "+whole=3"), "whole: no such setting")
    _refused(aulight("finetune", f"root={tmp_path}/runs", "+half=3"), "half: no such setting")


def test_a_mistake_in_a_process_of_its_own(tmp_path: Path) -> None:
    for arguments in (
        ["pretrain", "stpes=3"],
        ["pretrain", f"root={tmp_path}", "data.root=/nowhere", "data.synthetic=null"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "aulight", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["finetune", "pretrained=/nowhere"],
        ["pretrain", "data=folder", "data.name=nope"],
        ["finetune", "-m", "data=folder", "data.name=nope", "seed=0,1"],
        ["predict", "input=a", "model=/nowhere"],
        ["export", "run=/nowhere"],
        ["sample"],
    ],
    ids=" ".join,
)
def test_what_is_known_at_once_is_said_without_torch(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom aulight.cli.main import main\n"
        "try: main()\nexcept SystemExit as end: assert end.code == 2\n"
        "assert not {'torch', 'pytorch_lightning', 'wandb'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("aulight: ")
    assert list(tmp_path.iterdir()) == []


def test_every_value_is_checked_before_the_first_run(
    aulight: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(main, "task", lambda command: seen.append)
    monkeypatch.chdir(tmp_path)
    _refused(aulight("predict", "-m", "input=a,b", "coverage=0.9,2"), "coverage=2", "0.5 to 0.99")
    assert seen == []
    (tmp_path / "a,b.mp4").touch()
    assert aulight("predict", "-m", "input=a,b.mp4", "output=2024_01,1.10").status == 0
    assert [(settings.input, settings.output) for settings in seen] == [("a,b.mp4", "2024_01"), ("a,b.mp4", "1.10")]
    assert [path.name for path in tmp_path.iterdir()] == ["a,b.mp4"]


FILES = [
    ("name: 2024_01", ["mine.yaml: name: 202401", "in quotes"]),
    ("name: 12:30:45", ["mine.yaml: name: 45045", "in quotes"]),
    ("name: yes", ["mine.yaml: name: True", "in quotes"]),
    ("defaults: [{override /logger: wandb}]\nlogger: {tags: [a, 1_0]}", ["logger.tags: 10", "in quotes"]),
    ('name: "a', ["mine.yaml:3", "not YAML"]),
    ("\tname: a", ["mine.yaml:2", "not YAML"]),
    ("name: a\nname: b", ["mine.yaml:3", "duplicate"]),
    ("name: caf\udce9", ["mine.yaml", "UTF-8"]),
    ("arms: &a [*a]", ["mine.yaml: not readable as YAML", "stands in what it refers to"]),
    (
        "a: &a [1,1,1,1,1,1,1,1]\n"
        + "".join(f"{b}: &{b} [{','.join(['*' + a] * 8)}]\n" for a, b in pairwise("abcdefgh")),
        ["mine.yaml: not readable as YAML (more than 200000 values)"],
    ),
    ("arms: " + "[" * 5000, ["mine.yaml: not readable as YAML (deeper than 50"]),
    ("name: ${arm}\narm: ${name}", ["ecursive"]),
    ("defaults: 3", ["defaults must be a list"]),
    ("steps: ${steps", ["steps: ${steps"]),
    ("steps: ${nope:}", ["nope"]),
    ("name: !!python/object/apply:os.getcwd []", ["mine.yaml:2", "os.getcwd"]),
]


@pytest.mark.parametrize(("text", "parts"), FILES, ids=[text for text, _ in FILES])
def test_mistakes_in_a_file_of_ones_own(text: str, parts: list[str], aulight: Command, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "mine.yaml"
    file.write_bytes(f"# @package _global_\n{text}\n".encode("utf-8", "surrogateescape"))
    _refused(aulight("finetune", f"--config-dir={tmp_path}", "experiment=mine", f"root={tmp_path}/runs"), *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["experiment"]


def test_a_choice_of_ones_own_may_be_called_anything(
    aulight: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(main, "task", lambda command: seen.append)
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "2024_01.yaml").write_text("# @package _global_\nsteps: 50\n")
    outcome = aulight("finetune", f"--config-dir={tmp_path}", "experiment=2024_01", f"root={tmp_path}/runs")
    assert outcome.status == 0, outcome.err
    assert [settings.steps for settings in seen] == [50]
    (tmp_path / "experiment" / "2024_01.yaml").write_text("steps: 50\n")
    lost = aulight("finetune", f"--config-dir={tmp_path}", "experiment=2024_01", f"root={tmp_path}/runs")
    _refused(lost, "experiment", "# @package _global_")


def test_a_bug_keeps_its_traceback(aulight: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(command: str) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(main, "task", broken)
    with pytest.raises(ZeroDivisionError):
        aulight("pretrain", f"root={tmp_path}")


def _checkpoint(kind: str, pretrained: Path, finetuned: Path, folder: Path) -> Path:
    good = pretrained / "checkpoints" / "last.ckpt"
    path = folder / f"{kind}.ckpt"
    if kind == "missing":
        return path
    if kind == "empty directory":
        folder.joinpath("empty").mkdir()
        return folder / "empty"
    if kind == "text":
        path.write_text("hello")
    elif kind == "truncated":
        path.write_bytes(good.read_bytes()[:-5000])
    elif kind == "stage two":
        return finetuned / "checkpoints" / "last.ckpt"
    elif kind == "stage two run":
        return finetuned
    elif kind == "bare weights":
        torch.save({"weight": torch.zeros(3)}, path)
    elif kind == "a tensor":
        torch.save(torch.zeros(3), path)
    elif kind == "renamed weights":
        saved = torch.load(good, weights_only=True)
        saved["state_dict"] = {k.replace("encoder.norm", "encoder.other"): v for k, v in saved["state_dict"].items()}
        torch.save(saved, path)
    return path


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("missing", "no checkpoint"),
        ("empty directory", "no checkpoint"),
        ("text", "not a checkpoint"),
        ("truncated", "not a checkpoint"),
        ("stage two", "aulight finetune"),
        ("stage two run", "aulight finetune"),
        ("bare weights", "not a checkpoint"),
        ("a tensor", "not a checkpoint"),
        ("renamed weights", "norm.bias"),
    ],
)
def test_checkpoints_that_do_not_fit(
    kind: str,
    part: str,
    aulight: Command,
    tiny_finetune: list[str],
    pretrained: Path,
    finetuned: Path,
    tmp_path: Path,
) -> None:
    path = _checkpoint(kind, pretrained, finetuned, tmp_path)
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", f'pretrained="{path}"')
    _refused(outcome, f"pretrained={path}", part)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("model=resnet_tiny_convgru", "model.temporal=convgru"),
        ("model.backbone=resnet18", "model.backbone=resnet18"),
        ("model.hidden=64", "model.hidden=64"),
        ("model.mean=[0.4,0.4,0.4]", "model.mean"),
    ],
)
def test_conflicting_model_is_refused_by_name(
    override: str, key: str, aulight: Command, tiny_finetune: list[str], pretrained: Path, tmp_path: Path
) -> None:
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", f"pretrained={pretrained}", override)
    _refused(outcome, override, key)


def test_agreeing_model_is_accepted(
    aulight: Command, tiny_finetune: list[str], pretrained: Path, tmp_path: Path
) -> None:
    same = ["model=resnet_tiny", "model.hidden=128", "model.mean=[0.5,0.5,0.5]"]
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", f"pretrained={pretrained}", *same)
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize("damage", ["tables", "description", "shard missing", "labels"])
def test_damaged_dataset(
    damage: str, aulight: Command, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    root = _copy(smoke_data, tmp_path / "copy")
    files = {
        "tables": "videos.parquet",
        "description": "dataset.yaml",
        "shard missing": "shards/000000.tar",
        "labels": "labels.parquet",
    }
    file = root / files[damage]
    if damage == "shard missing":
        file.unlink()
    else:
        _spoil(file, b"[")
    where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}/runs"]
    _refused(aulight(*tiny_finetune, *where), str(file))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_corrupt_video_is_named_or_skipped(
    part: str, workers: int, aulight: Command, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    root = _copy(smoke_data, tmp_path / "copy")
    data = PreparedDataset(root)
    row = int(np.flatnonzero(data.videos["split"] == part)[0])
    bad = data.file(row)
    spoil(data, row)
    where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}/runs", "name=run", "label_fraction=1.0"]
    command = [*tiny_finetune, *where, f"loader.workers={workers}"]
    _refused(aulight(*command), str(bad), "not a readable video")
    record = yaml.safe_load((tmp_path / "runs/run/run.yaml").read_text())
    assert record["outcome"].startswith(f"failed: {bad}")
    assert "Traceback" not in record["outcome"]

    outcome = aulight(*command, "name=skipping", "data.on_error=skip")
    assert outcome.status == 0, outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert str(bad) in outcome.err
    assert outcome.err.startswith("skipped ")
    times = int(outcome.err.split()[1])
    assert yaml.safe_load((tmp_path / "runs/skipping/run.yaml").read_text())["skipped"] == {
        outcome.err.strip().partition(": ")[2]: times
    }
    assert times == {"validation": 4, "test": 1}.get(part, times)  # once an epoch, of three; once at the end
    scored = pd.read_parquet(tmp_path / "runs/skipping/predictions.parquet")["video_id"]
    assert scored.nunique() == 3 - (part == "test")
    assert data.videos["video_id"].iat[row] not in set(scored)


@pytest.mark.parametrize("part", ["unlabelled", "validation"])
def test_corrupt_video_in_stage_one(
    part: str, aulight: Command, tiny_pretrain: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    root = _copy(smoke_data, tmp_path / "copy")
    data = PreparedDataset(root)
    row = int(np.flatnonzero(data.videos["split"] == part)[0])
    bad = data.file(row)
    spoil(data, row)
    where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}/runs"]
    _refused(aulight(*tiny_pretrain, *where, "name=run"), str(bad), "not a readable video")
    outcome = aulight(*tiny_pretrain, *where, "name=skipping", "data.on_error=skip")
    assert outcome.status == 0, outcome.err
    (line,) = outcome.err.splitlines()
    times = 3 if part == "validation" else 1  # the probe of every epoch; one pass over 18 videos in 18 clips
    assert line.startswith(f"skipped {times} time")
    assert str(bad) in line
    skipped = yaml.safe_load((tmp_path / "runs/skipping/run.yaml").read_text())["skipped"]
    assert list(skipped.values()) == [times]


def _choices() -> list[tuple[str, str]]:
    """Every file of every group, with each command that has the group."""
    defaults = {
        command: {
            next(iter(entry))
            for entry in yaml.safe_load((conf_dir(command) / f"{command}.yaml").read_text())["defaults"]
            if isinstance(entry, dict)
        }
        for command in main.COMMANDS
    }
    return [
        (command, f"{path.parent.name}={path.stem}")
        for command in main.COMMANDS
        for path in sorted(conf_dir(command).glob("*/*.yaml"))
        if path.parent.name in defaults[command]
    ]


@pytest.mark.parametrize(("command", "choice"), [(command, "") for command in main.COMMANDS] + _choices())
def test_every_config_composes_and_passes_its_own_check(
    command: str, choice: str, aulight: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extra = [choice] if choice else []
    extra += ["experiment=smoke"] if choice.startswith("start=") else []  # a start is one of an experiment
    needed = {"report": ["runs=somewhere"], "sample": ["output=somewhere"], "dashboard": []}
    needed |= {"label": [], "agreement": []}
    needed |= {"export": ["run=somewhere"], "predict": ["input=somewhere"], "prepare": ["data.source=somewhere"]}
    made_up = command == "prepare" and choice in ("data=synthetic", "data=avatars")
    extra += [] if made_up else needed.get(command, [f"root={tmp_path}"])
    beside = {"faces=none": ["model=somewhere"], "objective=dense": ["model=resnet_tiny_convgru"]}
    extra += (beside | {"cluster=slurm": ["executor=dask"]}).get(choice, [])
    shown = aulight(command, *extra, "--cfg", "job")
    assert shown.status == 0, shown.err
    assert shown.err == ""
    config = yaml.safe_load(shown.out)
    group, _, name = choice.partition("=")
    if group not in ("", "experiment", "start", "debug"):
        file = yaml.safe_load((conf_dir(command) / group / f"{name}.yaml").read_text())
        plain = {key: value for key, value in file.items() if key not in ("defaults",) and "$" not in str(value)}
        assert OmegaConf.merge(config[group], plain) == config[group]

    seen: list[Any] = []
    monkeypatch.setattr(main, "task", lambda command: seen.append)
    outcome = aulight(command, *extra, f"hydra.run.dir={tmp_path}")
    of_no_use = ("model=blendshapes", "model=frozen") if command == "pretrain" else ()
    if made_up or choice in of_no_use:
        _refused(outcome, choice)
        return
    assert outcome.status == 0, outcome.err
    assert len(seen) == 1


def test_every_group_is_used_by_a_command() -> None:
    files = [path for folder in ("", *OWN_CONF) for path in conf_dir(folder).glob("*/*.yaml")]
    assert {path.parent.name for path in files} - set(OWN_CONF) == {
        choice.partition("=")[0] for _, choice in _choices()
    }


@pytest.mark.slow
def test_the_terminal_is_clean(tiny_pretrain: list[str], tiny_finetune: list[str], tmp_path: Path) -> None:
    """No warnings, no tracebacks: what a user sees is what this project prints."""
    for settings, arguments in ((tiny_pretrain, []), (tiny_finetune, [f"pretrained={tmp_path}/pretrain/run"])):
        command = [*settings, *arguments, f"runs={tmp_path}", "name=run", "loader.workers=1"]
        done = subprocess.run(
            [sys.executable, "-m", "aulight", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        assert all(line.startswith("run: ") for line in lines)
        assert len(lines) == 7  # 6 steps and the end
