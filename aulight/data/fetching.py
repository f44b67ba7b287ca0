"""Files that aulight does not bring along: where they are kept, and how pip fetches the packages that hold them."""

import os
import subprocess
import sys
from pathlib import Path

from aulight.errors import AulightError


def cached(name: str) -> Path:
    """Where a file is kept: in ``$AULIGHT_CACHE``, else ``$XDG_CACHE_HOME/aulight``, else ``~/.cache/aulight``.

    Raises:
        AulightError: When none of them is known.
    """
    if given := os.environ.get("AULIGHT_CACHE"):
        return Path(given) / name
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "aulight" / name
    try:
        return Path.home() / ".cache" / "aulight" / name
    except RuntimeError as error:  # no HOME, and the system does not know the user
        raise AulightError(
            f"no home folder is known, where {name} would be; set the environment variable AULIGHT_CACHE to a folder"
        ) from error


def download(package: str, folder: Path) -> tuple[Path | None, str]:
    """Has pip fetch a package, and nothing that it asks for.

    Args:
        package: With its version, ``name==1.2``.
        folder: Where its wheel goes.

    Returns:
        The wheel; ``None`` where it could not be had, and the last that pip said of that.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(folder), package]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    if (wheel := next(folder.glob("*.whl"), None)) is not None:
        return wheel, ""
    said = [line for line in pip.stderr.splitlines() if line.strip()] or ["nothing"]
    return None, said[-1].strip()
