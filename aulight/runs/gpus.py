"""The GPUs of this machine, shared out among the jobs on it."""

import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator

from omegaconf import DictConfig

from aulight.files import Taken, alone, remove_leftovers
from aulight.runs.machine import own_folder


@contextlib.contextmanager
def own_gpu(trainer: DictConfig) -> Iterator[dict[str, str]]:
    """What shows a job one of this machine's GPUs, that with the fewest jobs; nothing where there is no choice."""
    gpus = _gpus() if trainer.devices == 1 and trainer.accelerator != "cpu" else []
    if len(gpus) < 2:
        yield {}
        return
    folder = own_folder()
    remove_leftovers(folder)
    for place, gpu in ((place, gpu) for place in itertools.count() for gpu in gpus):
        with contextlib.suppress(Taken), alone(folder / f"{gpu}-{place}", "another job has it"):
            yield {"CUDA_VISIBLE_DEVICES": gpu}
            return


def _gpus() -> list[str]:
    """The GPUs that this process may use, by what CUDA calls them."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu for gpu in visible.split(",") if gpu]
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()
