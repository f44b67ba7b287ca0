"""The sweeper of ``aulight pretrain -m`` and ``aulight finetune -m``; Hydra finds it by where it is.

Hydra's own grid of values, and around it what a sweep of long runs needs: an experiment brings a grid for each
command, no two runs share a folder, finished runs are not launched again, and the end lists what failed.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf, open_dict, read_write


class Job(NamedTuple):
    """One run of a sweep.

    Attributes:
        overrides: Its settings, as Hydra's launchers take them.
        name: Of the run.
        folder: The run directory.
        done: Whether nothing is left to do.
    """

    overrides: list[str]
    name: str
    folder: Path
    done: bool


class GridSweeper(BasicSweeper):
    """Runs every combination of the swept settings that is not done yet.

    Args:
        grids: Command to its swept settings, ``{"seed": "0,1,2"}``; what is typed replaces them one by one.
    """

    def __init__(self, **grids: Mapping[str, Any]) -> None:
        super().__init__(max_batch_size=None)
        self.grids = grids

    def sweep(self, arguments: list[str]) -> None:
        """Launches what is to be run and waits for it.

        Raises:
            AulightError: Before anything is launched, for a wrong setting or two runs in one folder.
            RunsFailed: At the end, when runs failed.
        """
        from aulight.errors import RunsFailed, one_line, reason
        from aulight.runs.sweep_job import lifeline, stamp, unfinished

        assert self.config is not None
        assert self.launcher is not None
        command = str(self.config.hydra.job.config_name)
        grid = [f"{key}={value}" for key, value in self.grids.get(command, {}).items()]
        (combinations,) = self.split_arguments(OverridesParser.create().parse_overrides([*grid, *arguments]), None)
        jobs = self._plan(command, combinations)
        missing = [job for job in jobs if not job.done]
        if not missing:
            return
        before = [stamp(job.folder) for job in missing]
        early = ""
        queued = str(self.config.hydra.launcher._target_).endswith("SlurmLauncher")
        try:
            with nullcontext() if queued else lifeline():
                returned = self.launcher.launch([job.overrides for job in missing], initial_job_idx=0)
            said = [r._return_value if r.status == JobStatus.COMPLETED else reason(r._return_value) for r in returned]
        except Exception as error:  # a process of the launcher's own died
            early = f"; the launcher ended early: {one_line(error)[:200]}"
            said = [unfinished(job.folder, then) for job, then in zip(missing, before, strict=True)]
        failed = [f"\n{job.name}: {why}" for job, why in zip(missing, said, strict=True) if why is not None]
        if failed:
            raise RunsFailed(f"{len(failed)} of {len(jobs)} runs failed{early}:{''.join(failed)}")

    def _plan(self, command: str, combinations: Sequence[list[str]]) -> list[Job]:
        """The runs, composed and checked."""
        from aulight.errors import AulightError
        from aulight.runs.composed import settings_from
        from aulight.runs.run import Run
        from aulight.settings.training import TrainingSettings

        assert self.config is not None
        assert self.hydra_context is not None
        jobs: dict[Path, Job] = {}
        sweeps_own = HydraConfig.instance().cfg
        try:
            for overrides in combinations:
                whole = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
                HydraConfig.instance().set_config(whole)
                folder = Path(whole.hydra.sweep.dir, whole.hydra.sweep.subdir).absolute()
                with read_write(whole.hydra.runtime), open_dict(whole.hydra.runtime):
                    whole.hydra.runtime.output_dir = str(folder)
                HydraConfig.instance().set_config(whole)
                config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
                settings = settings_from(command, config)
                assert isinstance(settings, TrainingSettings)
                if folder in jobs:
                    other = " ".join(value for value in jobs[folder].overrides if value not in overrides)
                    mine = " ".join(value for value in overrides if value not in jobs[folder].overrides)
                    raise AulightError(
                        f"{folder}: the folder of two runs, {other} and {mine}; put what differs into name="
                    )
                done = False
                with suppress(AulightError):  # said again, and listed, when it is run
                    done = Run.begin(folder, settings, overrides).done
                jobs[folder] = Job(overrides, str(config.name), folder, done)
        finally:
            HydraConfig.instance().cfg = sweeps_own
        return list(jobs.values())
