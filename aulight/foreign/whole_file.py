"""A file that anybody may have made, read as a whole where it is one and no larger than expected."""

import os
import stat
from pathlib import Path

from aulight.errors import AulightError


def read_bytes(path: Path, most: int) -> bytes:
    """What is in a file; a pipe or a device, which might never end, is not read.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        AulightError: When it is larger, no file, or cannot be read; the file's name comes first.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:  # pathlib's takes no opener
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise AulightError(f"{path}: a pipe or a device, where a file is needed")
            data = file.read(most + 1) if found.st_size <= most else None
    except IsADirectoryError as error:
        raise AulightError(f"{path}: a folder, where a file is needed") from error
    except FileNotFoundError as error:
        raise AulightError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:  # ValueError: no path can be of this name
        raise AulightError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if data is None or len(data) > most:
        raise AulightError(f"{path}: larger than {_size(most)}, and no more is read of such a file")
    return data


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would be waited for until somebody writes into it


def _size(count: int) -> str:
    return f"{count >> 20} MB" if count >= 2**20 else f"{count >> 10} kB"
