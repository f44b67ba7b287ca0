from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aulight.settings.commands import CLASSES, settings_of
from aulight.settings.reading import read

CONF = Path(__file__).parents[2] / "conf"
Composed = Callable[..., dict[str, Any]]


def _folder(command: str) -> Path:
    return CONF / command if command == "predict" else CONF


def _choices() -> list[tuple[str, str]]:
    """Every file of every group, with each command that has the group."""
    found = [(command, "") for command in CLASSES]
    for command in CLASSES:
        entries = yaml.safe_load((_folder(command) / f"{command}.yaml").read_text())["defaults"]
        for group in [next(iter(entry)) for entry in entries if isinstance(entry, dict)]:
            files = [] if group.startswith("override ") else sorted(_folder(command).glob(f"{group}/*.yaml"))
            found += [(command, f"{group}={file.stem}") for file in files]
    return found


REFUSED = {
    ("pretrain", "model=blendshapes"),
    ("pretrain", "model=frozen"),
    ("prepare", "data=synthetic"),
    ("prepare", "data=avatars"),
    ("pretrain", "debug=overfit"),
}
"""Of no use there; test_reading.py has what is said."""

BESIDE = {
    "faces=none": ["model=somewhere"],
    "cluster=slurm": ["executor=dask"],
    "objective=dense": ["model=resnet_tiny_convgru"],
    "start=pretrained": ["experiment=smoke"],
    "start=scratch": ["experiment=smoke"],
    "start=scratch_equal_compute": ["experiment=smoke"],
}
"""What a choice needs beside it."""


@pytest.mark.parametrize(("command", "choice"), [choice for choice in _choices() if choice not in REFUSED])
def test_what_conf_gives_is_taken_as_it_is(command: str, choice: str, composed: Composed) -> None:
    overrides = [*([choice] if choice else []), *BESIDE.get(choice, [])]
    overrides += ["data.source=somewhere"] if command == "prepare" else []
    plain = composed(command, *overrides)
    settings = read(settings_of(command), plain)
    assert settings.model_dump(exclude_unset=True) == plain


def test_every_file_is_one_of_a_group_that_is_read() -> None:
    groups = {f"{_folder(command)}/{choice.replace('=', '/')}.yaml" for command, choice in _choices() if choice}
    files = {str(path) for folder in (CONF, CONF / "predict") for path in folder.glob("*/*.yaml")}
    commands = {str(_folder(command) / f"{command}.yaml") for command in CLASSES}
    assert files == groups | (commands & files)
    assert {str(path) for path in CONF.glob("*.yaml")} == commands - files


RUNS = {"tries": "runs/reproduce"}
"""Where the runs of an experiment are that shares its stage one with another."""


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_what_experiments_sweep_is_taken(command: str, experiment: str, composed: Composed) -> None:
    for swept in _grids(experiment, command):
        for place in range(max([1, *(len(values.split(",")) for values in swept.values())])):
            chosen = [f"{key}={values.split(',')[place % len(values.split(','))]}" for key, values in swept.items()]
            settings = read(settings_of(command), composed(command, f"experiment={experiment}", *chosen))
            assert settings.model_dump()["runs"] == RUNS.get(experiment, f"runs/{experiment}")


def _grids(experiment: str, command: str) -> list[dict[str, str]]:
    """The settings that an experiment sweeps, one grid of them or several that have names."""
    file = yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())
    swept = file.get("hydra", {}).get("sweeper", {}).get(command, {})
    grids = [grid for grid in swept.values() if grid is None or isinstance(grid, dict)]
    return [grid for grid in grids if grid] if grids else [swept]
