"""JSON that anybody may have written."""

import json
from pathlib import Path
from typing import Any

from aulight.errors import AulightError, encodable, one_line, shown
from aulight.foreign.whole_file import read_bytes

MOST_BYTES = 16 * 2**20
"""Python takes up to thirty times as much for what is in it."""


def read_json(path: Path) -> Any:
    """The plain values in a JSON file.

    Raises:
        AulightError: When it cannot be read, is not JSON, or is too large or too deep; the file's name comes first.
    """
    data = read_bytes(path, MOST_BYTES)
    try:
        return json.loads(data)
    except RecursionError as error:
        raise AulightError(f"{path}: not readable as JSON (too deep)") from error
    except ValueError as error:
        raise AulightError(f"{path}: not readable as JSON ({shown(one_line(error), 200)})") from error


def encodable_values(value: Any) -> Any:
    """Plain values with texts that UTF-8 has (:func:`aulight.errors.encodable`), which is all that readers take.

    Args:
        value: Names, numbers, texts, and lists and mappings of them; what is there twice stays one.
    """
    made: dict[int, Any] = {}

    def of(value: Any) -> Any:
        if isinstance(value, str):
            return value if value.isascii() else encodable(value)
        if not (isinstance(value, dict | list | tuple) and value):
            return value
        if id(value) not in made:
            items = {of(key): of(item) for key, item in value.items()} if isinstance(value, dict) else [*map(of, value)]
            made[id(value)] = items
        return made[id(value)]

    return of(value)
