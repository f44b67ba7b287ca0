"""A user's own files of configurations, in the folder of ``--config-dir``: what is wrong with them, in one line."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from aulight.errors import AulightError, one_line
from aulight.foreign.yaml import refuse_too_much
from aulight.runs.overrides import own_folders


@contextmanager
def whole_files(folder: str | None) -> Iterator[None]:
    """Says in one line what is wrong with a file of configurations that cannot be read in the block.

    Args:
        folder: A further folder of configurations, as ``--config-dir`` gives it.

    Raises:
        AulightError: With the file, and the line where that is known.
    """
    for path in [] if folder is None else _files(folder):
        refuse_too_much(path)
    try:
        yield
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        for path in [] if folder is None else _files(folder):
            try:
                OmegaConf.to_container(OmegaConf.load(path))
            except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError, OSError) as wrong:
                raise AulightError(f"{path}{_what(wrong)}") from error
        if not isinstance(error, RecursionError):
            raise
        raise AulightError("settings refer to each other in a circle") from error
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        if folder is None or not _of_configurations(error):
            raise
        raise AulightError(f"--config-dir={folder}: {one_line(error)}") from error


def _of_configurations(error: Exception) -> bool:
    """Whether it was raised by what reads and composes configurations: no bug of a command's."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).partition(".")[0] in ("hydra", "omegaconf", "antlr4", "yaml")


def _what(error: Exception) -> str:
    """What is wrong with a file of YAML, and where."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = "" if mark is None else f":{mark.line + 1}"
        return f"{place}: not YAML: {error.problem or error.context}"
    if isinstance(error, UnicodeDecodeError):
        return ": not a text in UTF-8"
    return ": goes round in a circle" if isinstance(error, RecursionError) else f": not YAML: {one_line(error)}"


def _files(folder: str | Path) -> list[Path]:
    """The files in a folder of configurations, and in its groups."""
    return sorted(path for depth in ("*", "*/*", "*/*/*") for path in Path(folder).glob(f"{depth}.yaml"))


def file_with(name: str, value: Any) -> str:
    """The file of the user's own that gives a setting a value, as the beginning of a message; empty where none does.

    Args:
        name: Of the setting, with dots.
        value: As YAML reads it.
    """
    for option in own_folders():
        for folder in OmegaConf.create(f"of: {option.partition('=')[2]}").of:
            for path in _files(folder):
                config = OmegaConf.load(path)
                for key in (name, name.rpartition(".")[2]):
                    if isinstance(config, DictConfig) and OmegaConf.select(config, key) == value:
                        return f"{path}: "
    return ""
