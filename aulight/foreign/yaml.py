"""YAML that anybody may have written: small files of plain values grow into gigabytes if their aliases are followed.

What is written here can be read here, or there is no file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aulight.errors import AulightError, one_line, shown
from aulight.files import whole
from aulight.foreign.json import encodable_values
from aulight.foreign.whole_file import read_bytes

MOST_BYTES = 16 * 2**20
MOST_VALUES = 200_000
"""With what aliases stand for counted each time."""


@dataclass(frozen=True)
class Most:
    """What a file may have at most.

    Attributes:
        bytes: Of the file.
        values: In it.
    """

    bytes: int = MOST_BYTES
    values: int = MOST_VALUES


USUAL = Most()
DEEPEST = 50
LONGEST_NUMBER = 1000
"""Characters of what looks like a number: Python makes integers of any length, slowly, and cannot print them."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times faster, and not everywhere


# of a value that is none of its tag PyYAML has errors of all kinds
_ERRORS = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _TooMuch(ValueError):
    """The message says of what."""


class _Collection:
    """A list or mapping whose end has not come yet."""

    def __init__(self, anchor: str | None, mapping: bool) -> None:
        self.anchor, self.keys = anchor, set[str]() if mapping else None
        self.values, self.size = 0, 1  # what stands directly in it, and all that is in it, itself included


def read_yaml(path: Path, most: Most = USUAL) -> Any:
    """The plain values in a YAML file: numbers, texts, lists, mappings.

    Args:
        path: The file.
        most: What it may have.

    Raises:
        AulightError: When it cannot be read, is not YAML, has a key twice, or is too large, too deep or refers to
            itself; the file's name comes first.
    """
    data = read_bytes(path, most.bytes)
    try:
        return _values(data, most)
    except _ERRORS as error:
        raise AulightError(_not_readable(path, error)) from error


def _values(data: bytes, most: Most) -> Any:
    text = data.decode("utf-8-sig")
    _check(yaml.parse(text, _LOADER), most.values)
    return yaml.load(text, _LOADER)


def write_yaml(content: Mapping[str, Any], path: Path, most: Most = USUAL) -> None:
    """Writes plain values as YAML, in ASCII, keys in their order; what is no UTF-8 in texts becomes its numbers.

    Args:
        content: The values.
        path: Where they go.
        most: What who reads it takes.

    Raises:
        AulightError: When it could not be read again, as :func:`read_yaml` has it; what was there stays.
    """
    with whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(encodable_values(dict(content)), sort_keys=False))
        try:
            _values(read_bytes(temporary, most.bytes), most)
        except _ERRORS as error:
            raise AulightError(_not_readable(path, error)) from error


def refuse_too_much(path: Path) -> None:
    """Refuses a YAML file that would take too much to read, and leaves whatever else is wrong to who reads it.

    Raises:
        AulightError: When it is too large, too deep or refers to itself, or is no file; the file's name comes first.
    """
    data = read_bytes(path, MOST_BYTES)
    try:
        _check(yaml.parse(data.decode("utf-8-sig"), _LOADER), MOST_VALUES)
    except _TooMuch as error:
        raise AulightError(_not_readable(path, error)) from error
    except _ERRORS:
        return


def _not_readable(path: Path, error: Exception) -> str:
    return f"{path}: not readable as YAML ({shown(one_line(error), 200)})"


def _check(events: Iterable[yaml.Event], most: int) -> None:
    """Raises for what would take too much to build, and for a key that is there twice; nothing is built for it."""
    sizes: dict[str, int] = {}  # of what has an anchor
    inside, total = [_Collection(None, False)], 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            inside.append(_Collection(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            if len(inside) > DEEPEST:
                raise _TooMuch(f"deeper than {DEEPEST} lists or mappings in one another")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            ended = inside.pop()
            size, anchor = ended.size, ended.anchor
        elif isinstance(event, yaml.ScalarEvent):
            size, anchor = 1, event.anchor
            _check_scalar(event, inside[-1])
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise _TooMuch(f"*{event.anchor} stands in what it refers to, or refers to nothing")
            size, anchor = sizes[event.anchor], None
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        inside[-1].values += 1
        inside[-1].size += size
        total += size if isinstance(event, yaml.AliasEvent) else 1
        if total > most:
            raise _TooMuch(f"more than {most} values")


def _check_scalar(event: yaml.ScalarEvent, inside: _Collection) -> None:
    text = event.value
    if event.implicit[0] and len(text) > LONGEST_NUMBER and text[0] in "+-.0123456789":
        raise _TooMuch(f"a number of {len(text)} characters")
    if inside.keys is not None and inside.values % 2 == 0:
        if text in inside.keys and text != "<<":
            raise ValueError(f"the key {text[:40]!r} is there twice")
        inside.keys.add(text)
