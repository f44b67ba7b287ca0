"""aulight: facial action unit intensities from unlabelled video and a few labelled frames."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from aulight.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from aulight.prediction.model import Model
    from aulight.prediction.table import RuleTable

__all__ = ["__version__", "events", "load", "read_csv"]


@overload  # a literal is a text as well, and gives something else: that is meant
def load(path: Literal["table"]) -> "RuleTable": ...  # type: ignore[overload-overlap]


@overload
def load(path: "str | Path" = "default") -> "Model": ...


def load(path: "str | Path" = "default") -> "Model | RuleTable":
    """Reads a trained model, or gives the table of rules that does without.

    Args:
        path: As of :func:`aulight.prediction.loading.load`, ``"default"`` for the one in the box; or ``"table"``, for
            :class:`aulight.prediction.table.RuleTable`, which is asked in the same way (a file of that name is
            ``./table``).

    Raises:
        AulightError: When there is no model, it is not finished, is damaged, or is of a newer aulight.
    """
    if path == "table":
        from aulight.prediction.table import RuleTable

        return RuleTable()
    from aulight.prediction import loading  # with torch, which `import aulight` and most commands do without

    return loading.load(path)


def read_csv(path: "str | Path", fps: float | None = None) -> "pd.DataFrame":
    """Reads a table of OpenFace, py-feat, LibreFace or aulight: see :func:`aulight.foreign.tables.read_csv`."""
    from aulight.foreign import tables

    return tables.read_csv(path, fps)


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
