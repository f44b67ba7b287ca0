"""The GPUs of this machine, shared out among the jobs on it."""

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from omegaconf import DictConfig


@contextlib.contextmanager
def own_gpu(trainer: DictConfig) -> Iterator[dict[str, str]]:
    """What shows a job one of this machine's GPUs, that with the fewest jobs; nothing where there is no choice."""
    gpus = _gpus() if trainer.devices == 1 and trainer.accelerator != "cpu" else []
    if len(gpus) < 2:
        yield {}
        return
    folder = Path(tempfile.gettempdir(), f"aulight-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    for place, gpu in ((place, gpu) for place in itertools.count() for gpu in gpus):
        with contextlib.suppress(Timeout), FileLock(folder / f"{gpu}-{place}.lock", timeout=0):
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
