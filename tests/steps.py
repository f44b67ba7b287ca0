"""Counts what a function does, so that a test can tell what grows with the square of something from what does not."""

import sys
from collections.abc import Callable


def steps(function: Callable[[], object]) -> int:
    """Calls of Python and C functions until a function ends: unlike its time, the same on any machine."""
    count = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count
