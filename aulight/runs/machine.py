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
