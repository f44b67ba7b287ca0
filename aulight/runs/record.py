"""``run.yaml``: what a run was and how it ended."""

from pathlib import Path
from typing import Any

import yaml

from aulight.errors import AulightError, one_line

IRRELEVANT = (
    "data.root", "data.source", "data_dir", "equal_steps", "loader.workers", "logger", "name", "progress_s", "root",
    "runs", "threads", "trainer.accelerator", "trainer.channels_last", "trainer.compile", "trainer.devices",
    "trainer.log_every_n_steps", "trainer.num_nodes", "trainer.strategy",
)  # fmt: skip
"""Settings that may differ between a run and its continuation, since they change no result."""


def read_run(folder: Path) -> dict[str, Any] | None:
    """What ``run.yaml`` of a run directory says; ``None`` where there is none.

    Raises:
        AulightError: When it cannot be read.
    """
    path = folder / "run.yaml"
    if not path.is_file():
        return None
    try:
        record = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AulightError(f"{path}: not readable ({one_line(error)}); remove the run directory") from error
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        raise AulightError(f"{path}: not the record of a run; remove the run directory")
    return record


def dotted(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names, for example ``clip.length``."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        flat |= dotted(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """How settings differ that may not differ between a run and its continuation, a text for each."""
    before, now = dotted(old), dotted(new)
    keys = [key for key in before | now if not any(key == i or key.startswith(f"{i}.") for i in IRRELEVANT)]
    return [f"{key} was {before.get(key)}, is {now.get(key)}" for key in keys if before.get(key) != now.get(key)]
