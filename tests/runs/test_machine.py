"""The folder in which a user's processes meet, and which of a run's processes is the first."""

import os
import tempfile
from pathlib import Path

import pytest

from aulight.runs.machine import is_first, own_folder


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, another one for this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    own_folder.cache_clear()
    return tmp_path


def test_it_is_the_same_for_all_and_nobody_elses(system: Path) -> None:
    assert own_folder() == system / f"aulight-{os.getuid()}"
    assert own_folder().stat().st_mode & 0o777 == 0o700
    own_folder.cache_clear()
    own_folder.__wrapped__().chmod(0o777)
    assert own_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "another's"])
def test_one_that_somebody_else_made_first_is_left_alone(
    kind: str, system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = system / f"aulight-{os.getuid()}"
    if kind == "link":
        (system / "theirs").mkdir()
        place.symlink_to(system / "theirs")
    elif kind == "file":
        place.touch()
    else:
        uid = os.getuid()
        place = system / f"aulight-{uid + 1}"
        place.mkdir()
        monkeypatch.setattr(os, "getuid", lambda: uid + 1)  # it is not this user's
    own = own_folder()
    assert own != place
    assert (own.parent, own.stat().st_mode & 0o777) == (system, 0o700)


def test_a_session_has_a_place_of_its_own(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (system / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(system / "run"))
    assert own_folder() == system / "run" / "aulight"


TORCHRUN = {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "4"}
SRUN = {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train"}


@pytest.mark.parametrize(
    ("machines", "environment", "first"),
    [
        (1, {}, True),
        # started by Lightning: the first process of each machine is the one that was typed
        (1, {"LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        (1, {"LOCAL_RANK": "1", "NODE_RANK": "0"}, False),
        (2, {"NODE_RANK": "0", "MASTER_ADDR": "first"}, True),
        (2, {"NODE_RANK": "1", "MASTER_ADDR": "first"}, False),
        (2, {"NODE_RANK": "1", "LOCAL_RANK": "0"}, False),
        (2, {"GROUP_RANK": "1", "LOCAL_RANK": "0"}, False),
        (1, {"NODE_RANK": "1"}, True),  # of a cluster that numbers all machines; the run has one
        # torchrun counts over all machines
        (2, TORCHRUN | {"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}, True),
        (2, TORCHRUN | {"RANK": "2", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False),
        (1, TORCHRUN | {"RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0"}, False),
        # and so does srun
        (2, SRUN | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}, True),
        (2, SRUN | {"SLURM_PROCID": "2", "SLURM_LOCALID": "0", "SLURM_NODEID": "1"}, False),
        (1, SRUN | {"SLURM_PROCID": "0"}, True),  # a batch script without srun
        (1, {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "bash", "SLURM_PROCID": "3"}, True),  # a shell in an allocation
        (1, {"SLURM_PROCID": "3"}, True),  # a job of a sweep, whose processes Lightning starts
    ],
)
def test_the_first_process_of_a_run(machines: int, environment: dict[str, str], first: bool) -> None:
    assert is_first(machines, environment) is first
