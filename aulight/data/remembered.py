"""What a file was found to be, kept until it changes: to open thousands of pictures again and again takes long."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

MOST = 2**17
"""Files of which it is kept."""

Answer = TypeVar("Answer")


def remembered(path: Path, look: Callable[[Path], Answer]) -> Answer:
    """What a look into a file tells, without opening it where this process knows it already.

    Args:
        path: The file.
        look: Opens it; a function of a module, for what is kept is kept by it.

    Raises:
        OSError: When the file cannot be read, which is not kept.
    """
    state = path.stat()
    answer: Answer = _known(look, path, (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))
    return answer


@lru_cache(MOST)
def _known(look: Callable[[Path], Any], path: Path, _state: tuple[int, ...]) -> Any:
    return look(path)
