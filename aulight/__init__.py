"""aulight: facial action unit intensities from unlabelled video and a few labelled frames."""

from pathlib import Path
from typing import TYPE_CHECKING

from aulight.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from aulight.prediction.model import Model

__all__ = ["__version__", "events", "load"]


def load(path: "str | Path") -> "Model":
    """Reads a trained model: see :func:`aulight.prediction.loading.load`."""
    from aulight.prediction import loading  # with torch, which `import aulight` and most commands do without

    return loading.load(path)


def events(
    table: "pd.DataFrame",
    enter: float | None = None,
    leave: float | None = None,
    min_s: float | None = None,
    merge_s: float | None = None,
) -> "pd.DataFrame":
    """The events of the action units in a table: see :func:`aulight.prediction.after.events.events`."""
    from aulight.prediction.after import events  # with pandas

    return events.events(table, enter, leave, min_s, merge_s)
