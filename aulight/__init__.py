"""aulight: facial action unit intensities from unlabelled video and a few labelled frames."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aulight.model import Model

__version__ = "0.1.0"


def load(path: "str | Path") -> "Model":
    """Reads a trained model: see :func:`aulight.model.load`."""
    from aulight import model  # with torch, which `import aulight` and most commands do without

    return model.load(path)
