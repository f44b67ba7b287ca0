"""How long a sweep will take, as the first of its runs can tell."""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import NamedTuple

OUTLOOK = "AULIGHT_OUTLOOK"
"""Environment variable by which the jobs of a sweep know what there is to do in all."""


class Outlook(NamedTuple):
    """What a sweep has to do.

    Attributes:
        teller: The name of the run that says how long it takes, once it knows its own speed.
        runs: How many there are to do.
        steps: Of all of them, over how many run side by side.
    """

    teller: str
    runs: int
    steps: float

    @contextlib.contextmanager
    def known(self) -> Iterator[None]:
        """Lets the jobs that are started in the block know it."""
        os.environ[OUTLOOK] = json.dumps(self)
        try:
            yield
        finally:
            del os.environ[OUTLOOK]

    @classmethod
    def of(cls, run: str) -> "Outlook | None":
        """What a run is to tell of the sweep that it is a job of; ``None`` for all but one, and without a sweep."""
        told = os.environ.get(OUTLOOK)
        outlook = None if told is None else cls(*json.loads(told))
        return outlook if outlook is not None and outlook.teller == run else None
