"""How many labels runs were given: what they are pooled and compared by."""

from typing import NamedTuple

from aulight.drawing.names import percent


class Labels(NamedTuple):
    """How many labels were asked for: a share of them, or a number, which may be another share in each fold.

    Attributes:
        fraction: The share; of a number, that of the training frames, as a mean over runs; ``None`` for no labels.
        number: The number; ``None`` where a share was asked for.
    """

    fraction: float | None
    number: int | None = None

    def __str__(self) -> str:
        """As a reader expects it: ``2%``, or ``50``."""
        return percent(self.fraction) if self.number is None else str(self.number)
