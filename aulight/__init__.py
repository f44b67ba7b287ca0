"""aulight: facial action unit intensities from unlabelled video and a few labelled frames."""

from pathlib import Path
from typing import TYPE_CHECKING

from aulight.version import __version__

if TYPE_CHECKING:
    from aulight.prediction.model import Model

__all__ = ["__version__", "load"]


def load(path: "str | Path") -> "Model":
    """Reads a trained model: see :func:`aulight.prediction.loading.load`."""
    from aulight.prediction import loading  # with torch, which `import aulight` and most commands do without

    return loading.load(path)
