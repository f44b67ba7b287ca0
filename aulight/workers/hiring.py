"""Which workers the settings of a command ask for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aulight.processes import cpus
from aulight.settings.cluster import AddressSettings, SlurmSettings
from aulight.workers.crew import Crew
from aulight.workers.local import LocalCrew
from aulight.workers.shared import SharedCrew

CPUS_EACH = 4
"""CPUs that a process with many threads keeps busy, whose Python runs one at a time."""


@dataclass(frozen=True)
class Workers:
    """Who does the jobs of a command.

    Attributes:
        count: Processes of this machine; ``None``: one a CPU.
        cluster: Where else the workers are; ``None``: nowhere.
        patience_s: Seconds without progress after which a worker is taken for lost; ``None``: for ever.
        each: Jobs that a process of this machine does at once; with more than one there is by default a process for
            each :data:`CPUS_EACH` CPUs.
    """

    count: int | None = None
    cluster: AddressSettings | SlurmSettings | None = None
    patience_s: float | None = None
    each: int = 1

    def crew(self, jobs: int, folder: Path, reads: Sequence[Path]) -> Crew:
        """The workers for so many jobs.

        Args:
            jobs: How many there are.
            folder: Where they write to; it is there, and all workers are to see it.
            reads: What they read, which all of them are to see as well.

        Raises:
            AulightError: When what is needed for a cluster is not installed.
        """
        if self.cluster is None and self.each > 1:
            processes = min(jobs, self.count or max(1, cpus() // CPUS_EACH))
            return SharedCrew(processes, min(self.each, math.ceil(jobs / processes)))
        if self.cluster is None:
            return LocalCrew(min(jobs, self.count or cpus()))
        from aulight.workers.cluster import ClusterCrew  # with dask

        return ClusterCrew(self.cluster, folder, reads)


HERE = Workers()
"""A process for each CPU of this machine."""


class Asking(Protocol):
    """Settings that ask for workers."""

    @property
    def workers(self) -> int | None:
        """Processes of this machine."""

    @property
    def chosen_cluster(self) -> AddressSettings | SlurmSettings | None:
        """Where else they are."""

    @property
    def patience_s(self) -> float:
        """Seconds without progress."""


def hire(settings: Asking) -> Workers:
    """The workers that settings ask for."""
    return Workers(settings.workers, settings.chosen_cluster, settings.patience_s)
