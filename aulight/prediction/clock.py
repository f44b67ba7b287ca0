"""How long each stage of a command's work takes, whichever of them wait for each other."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Any

from aulight.processes import Item


class Clock:
    """The seconds that each stage takes by itself, in whichever thread it runs."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def made_by(self, stage: str, items: Iterable[Item], sign: int = 1) -> Generator[Item, None, None]:
        """The same items; the time that it takes to make them counts for a stage."""
        with closing(iter(items)) as made:  # type: ignore[type-var]  # of generators
            while True:
                begin = time.perf_counter()
                try:
                    item = next(made)
                except StopIteration:
                    return
                finally:
                    self.seconds[stage] = self.seconds.get(stage, 0.0) + sign * (time.perf_counter() - begin)
                yield item

    def stage(
        self, stage: str, work: Callable[[Iterator[Item]], Iterable[Any]], items: Iterable[Item]
    ) -> Generator[Any, None, None]:
        """What a stage makes of items; the time that it waits for them does not count for it."""
        return self.made_by(stage, work(self.made_by(stage, items, -1)))
