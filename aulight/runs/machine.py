"""What a run ran on: versions, the revision of the code, the memory that it took; and where its processes meet."""

import atexit
import contextlib
import functools
import importlib.metadata
import os
import platform
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    packages = ("aulight", "torch", "pytorch-lightning", "albumentations", "numpy")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def git_revision() -> str | None:
    """Revision of the checkout that this package runs from; ``None`` for an installed one."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        tracked = subprocess.run(
            ["git", "-C", str(here), "ls-files", "--error-unmatch", __file__], capture_output=True, check=False
        )
        if tracked.returncode:
            return None
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def processor() -> str:
    """What this machine's CPU is called."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def peak_rss_mb() -> int:
    """Peak resident memory of the largest process of this run so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return int(max(peaks) * unit / 1e6)


def peak_gpu_mb() -> int | None:
    """Most memory that torch had allocated on this process's GPU, in MB; ``None`` where it uses none."""
    torch = sys.modules.get("torch")  # not imported for this
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated() / 1e6)


def is_first(machines: int = 1, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is the only process of a run, or the first of all on its machines: the one that writes and speaks.

    Asked before Lightning is there and knows, by the rules that it goes by: what starts the processes tells each its
    place, be it ``torchrun``, ``srun``, or Lightning itself on machines that ``NODE_RANK`` tells apart.

    Args:
        machines: Of the run, ``trainer.num_nodes``.
        environment: Where the variables are.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        places = ["RANK"]
    elif "SLURM_NTASKS" in environment and environment.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        places = ["SLURM_PROCID"]
    else:
        places = ["LOCAL_RANK"]
        if machines > 1:  # else it is of no account, as where a cluster gives it to every job
            places.append("NODE_RANK" if "NODE_RANK" in environment else "GROUP_RANK")
    if any(environment.get(place, "0") != "0" for place in places):
        return False
    lightning = sys.modules.get("lightning_fabric.utilities.rank_zero")  # not imported for this: it takes torch along
    return lightning is None or getattr(lightning.rank_zero_only, "rank", 0) == 0


@functools.cache
def own_folder() -> Path:
    """This user's folder for locks and other things of the processes of this machine, into which nobody else writes.

    ``$XDG_RUNTIME_DIR/aulight`` or ``aulight-<uid>`` in the system's temporary folder. One there that another user has
    made first is left alone, and this process has one of its own.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    places = [Path(runtime, "aulight")] if runtime else []
    for place in [*places, Path(tempfile.gettempdir(), f"aulight-{os.getuid()}")]:
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileExistsError):
                place.mkdir(0o700)
            found = place.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                place.chmod(0o700)
                return place
    own = tempfile.mkdtemp(prefix="aulight-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)
