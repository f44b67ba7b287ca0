"""What is said of a model, wherever it is kept."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aulight.errors import AulightError
from aulight.prediction.seal import OPEN
from aulight.version import __version__

FORMAT = 1
"""Version of the description and of what goes with it; a reader refuses a newer one."""

ALIGNED = "eyes and nose to a template, upright"
"""``alignment`` of crops that :class:`FaceAligner` has cut; any other came aligned into the dataset."""


def plain(value: Any) -> Any:
    """As JSON can say it: NaN becomes null."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def header(meta: dict[str, Any]) -> dict[str, str]:
    """The description of a model as the text that goes into its file, and the place of the seal."""
    about = {"format_version": FORMAT, "written_by": f"aulight {__version__}"}
    about["created"] = datetime.now(UTC).date().isoformat()
    text = json.dumps(about | meta | about, ensure_ascii=False, allow_nan=False)
    return {"aulight": text, "seal": OPEN.decode()}


def described(text: str | None, path: Path) -> dict[str, Any]:
    """The description in a file, if it is one that this aulight can read."""
    meta: dict[str, Any] = json.loads(text or "{}")
    version = int(meta["format_version"])
    if version > FORMAT:
        raise AulightError(
            f"{path}: format {version}, written by {meta.get('written_by')}; "
            f"this aulight {__version__} reads up to {FORMAT}; update aulight"
        )
    return meta
