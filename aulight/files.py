"""The way every file is written: under a temporary name that is changed when it is whole."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml


def write_yaml(content: Mapping[str, Any], path: Path) -> None:
    """Writes a YAML file under a temporary name and renames it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
    temporary.replace(path)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a Parquet table under a temporary name and renames it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    table.to_parquet(temporary, index=False)
    temporary.replace(path)
