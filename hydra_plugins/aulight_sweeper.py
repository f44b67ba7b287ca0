"""The sweeper of ``aulight pretrain -m`` and ``aulight finetune -m``; Hydra finds it by where it is.

Hydra's own grid of values; what a sweep of long runs needs around it is in :mod:`aulight.runs.sweep_plan`.
"""

from collections.abc import Mapping
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class GridSweeper(BasicSweeper):
    """Runs every combination of the swept settings that is not done yet.

    Args:
        grids: Command to its swept settings, ``{"seed": "0,1,2"}``, or to several such grids, each under a name; what
            is typed replaces the settings of every grid one by one.
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
        from aulight.processes import cpus
        from aulight.runs.overrides import combinations
        from aulight.runs.sweep_plan import carry_out, grids, planned

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        command, config, compose = self.config.hydra.job.config_name, self.config, self.hydra_context.config_loader
        runs = [
            run for grid in grids(command, self.grids.get(command, {})) for run in combinations([*grid, *arguments])
        ]
        jobs = planned(command, runs, lambda overrides: compose.load_sweep_config(config, overrides))
        queued = str(config.hydra.launcher._target_).endswith("SlurmLauncher")
        at_a_time = int(config.hydra.launcher.get("n_jobs", 1))
        carry_out(jobs, self.launcher, queued, at_a_time if at_a_time > 0 else cpus())
