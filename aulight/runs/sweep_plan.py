"""What a sweep runs: grids of settings to runs, of which no two share a folder, and those that are not done yet."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, open_dict, read_write

from aulight.errors import AulightError, RunsFailed, one_line, reason
from aulight.runs.ahead import Looked, check_ahead
from aulight.runs.composed import settings_from, without_hydra
from aulight.runs.outlook import Outlook
from aulight.runs.overrides import Typed
from aulight.runs.references import refuse_growth
from aulight.runs.run import Run
from aulight.runs.sweep_job import lifeline, stamp, unfinished
from aulight.settings.training import TrainingSettings

_NOT_HYDRAS = "hydra.output_subdir=null"  # a job keeps its configuration itself, once it is done


class Job(NamedTuple):
    """One run of a sweep.

    Attributes:
        overrides: Its settings, as Hydra's launchers take them.
        name: Of the run.
        folder: The run directory.
        settings: What they make.
        done: Whether nothing is left to do.
    """

    overrides: list[str]
    name: str
    folder: Path
    settings: TrainingSettings
    done: bool


def grids(command: str, given: Mapping[str, Any]) -> list[list[str]]:
    """The swept settings of each grid, as one would type them.

    Args:
        command: ``pretrain`` or ``finetune``.
        given: Setting to its values, ``{"seed": "0,1,2"}``, or the name of a grid to such settings, or to ``None`` for
            one that is left out.

    Raises:
        AulightError: When it is partly the one and partly the other, and for a text that YAML took for something else.
    """
    named = [grid for grid in given.values() if grid is None or isinstance(grid, Mapping)]
    if named and len(named) < len(given):
        raise AulightError(f"hydra.sweeper.{command}: either settings with their values, or grids of them, are needed")
    each = [grid for grid in named if grid is not None] if named else [given]
    reading = Typed(command, sweep=True)
    return [reading.readable_grid(grid) for grid in each]


def planned(command: str, combinations: Sequence[list[str]], compose: Callable[[list[str]], DictConfig]) -> list[Job]:
    """The runs of a sweep, composed and checked; one that is asked for twice is run once.

    Args:
        command: ``pretrain`` or ``finetune``.
        combinations: The settings of each.
        compose: Settings to the whole configuration, with Hydra's part.

    Raises:
        AulightError: For a wrong setting, two runs in one folder, and runs that would fail, as far as it can be told.
    """
    jobs: dict[Path, Job] = {}
    looked = Looked()
    refused: list[str] = []
    sweeps_own = HydraConfig.instance().cfg
    try:
        for overrides in combinations:
            whole = compose(overrides)
            refuse_growth(whole)
            HydraConfig.instance().set_config(whole)
            folder = Path(whole.hydra.sweep.dir, whole.hydra.sweep.subdir).absolute()
            with read_write(whole.hydra.runtime), open_dict(whole.hydra.runtime):
                whole.hydra.runtime.output_dir = str(folder)
            HydraConfig.instance().set_config(whole)
            config = without_hydra(whole)
            settings = settings_from(command, config)
            assert isinstance(settings, TrainingSettings)
            if folder in jobs:
                _refuse_another(jobs[folder], overrides, settings)
                continue
            done = False
            try:
                run = Run.begin(folder, settings, overrides)
                done = run.done
                if not done:
                    check_ahead(settings, looked, run.last is not None)
            except AulightError as error:
                refused.append(f"{config.name}: {one_line(error)}")
            jobs[folder] = Job(overrides, str(config.name), folder, settings, done)
    finally:
        HydraConfig.instance().cfg = sweeps_own
    if refused:
        raise AulightError(f"{len(refused)} of {len(jobs)} runs cannot be done, so none is begun:", *refused)
    return list(jobs.values())


def carry_out(jobs: Sequence[Job], launcher: Launcher, queued: bool, side_by_side: int) -> None:
    """Launches the runs that are not done yet and waits for them.

    Args:
        jobs: All runs of the sweep.
        launcher: One of Hydra's.
        queued: Whether they are in the queue of a cluster, where they go on when this process ends.
        side_by_side: How many of them run at a time, elsewhere.

    Raises:
        RunsFailed: At the end, when runs failed.
    """
    missing = [job for job in jobs if not job.done]
    if not missing:
        return
    before = [stamp(job.folder) for job in missing]
    steps = sum(job.settings.steps for job in missing) / min(side_by_side, len(missing))
    outlook = Outlook(missing[0].name, len(missing), steps)
    early = ""
    try:
        with nullcontext() if queued else lifeline(), nullcontext() if queued else outlook.known():
            returned = launcher.launch([[*job.overrides, _NOT_HYDRAS] for job in missing], initial_job_idx=0)
        said = [r._return_value if r.status == JobStatus.COMPLETED else reason(r._return_value) for r in returned]
    except Exception as error:  # a process of the launcher's own died
        early = f"; the launcher ended early: {one_line(error)[:200]}"
        said = [unfinished(job.folder, then) for job, then in zip(missing, before, strict=True)]
    failed = [f"{job.name}: {why}" for job, why in zip(missing, said, strict=True) if why is not None]
    if failed:
        raise RunsFailed(f"{len(failed)} of {len(jobs)} runs failed{early}:", *failed)


def _refuse_another(job: Job, overrides: list[str], settings: TrainingSettings) -> None:
    """Refuses a second run in a job's folder, unless it is the same."""
    if settings == job.settings:
        return
    one = " ".join(value for value in job.overrides if value not in overrides)
    other = " ".join(value for value in overrides if value not in job.overrides)
    raise AulightError(f"{job.folder}: the folder of two runs, {one} and {other}; put what differs into name=")
