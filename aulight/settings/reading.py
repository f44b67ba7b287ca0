"""From a composed configuration to settings, or to the one line that says what is wrong with it."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aulight.errors import AulightError, one_line
from aulight.settings.group import MISTAKE, Group
from aulight.settings.walk import Kind, Setting, nodes

Settings = TypeVar("Settings", bound=Group)

LONGEST = 200
"""Letters of a list or a group that a message shows."""

_NO_SUCH = "no such setting; --help lists the settings"

RENAMED = {
    "objective.other_video_weight": "is objective.other_subjects now, of all other subjects' frames "
    "together: at N clips a batch, N - 1 times as much"
}
"""Settings that have got another meaning, and so another name."""

_NEEDED = {
    "bool_type": "true or false is needed",
    "dict_type": "names, each with a value, are needed",
    "finite_number": "a finite number is needed",
    "float_type": "a number is needed",
    "greater_than": "more than {gt:.12g} is needed",
    "greater_than_equal": "at least {ge:.12g} is needed",
    "int_from_float": "a whole number is needed",
    "int_parsing_size": "a smaller number is needed",
    "int_type": "a whole number is needed",
    "less_than": "less than {lt:.12g} is needed",
    "less_than_equal": "at most {le:.12g} is needed",
    "list_type": "a list is needed",
    "multiple_of": "a multiple of {multiple_of:g} is needed",
    "none_required": "null is needed",
    "string_type": "a text is needed",
}
"""What is needed, by pydantic's type of error."""


def read(cls: type[Settings], plain: Mapping[str, Any], key: str = "") -> Settings:
    """Builds settings from a composed configuration.

    Args:
        cls: Their class.
        plain: The configuration in plain containers, with all interpolations resolved.
        key: What it is called in messages, where it is a group: ``model``.

    Raises:
        AulightError: For a setting that is unknown or missing, or whose value is none that it takes, by itself or in
            the light of others; of several mistakes it names the first.
    """
    try:
        return cls.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    raise AulightError(one_line(_line(cls, plain, first, key)))


def _line(cls: type[Group], plain: Mapping[str, Any], error: ErrorDetails, prefix: str) -> str:
    kind, told, place = error["type"], error.get("ctx", {}), list(error["loc"])
    if place[-1:] == ["[key]"]:  # of a dict, a key that it may not have
        kind, place = "extra_forbidden", place[:-1]
    if kind == MISTAKE and told["key"]:
        place += told["key"].split(".")
    while kind != "invalid_key" and place and isinstance(place[-1], int):
        place.pop()  # of a list, all of it is shown
    key, value = _dotted(place, prefix), _value(plain, place)
    if kind in ("extra_forbidden", "invalid_key"):
        return f"{key}: {RENAMED.get(key, _NO_SUCH)}"
    if kind == "missing":
        return f"{key}: is missing; --help lists the settings"
    shown = value if kind != MISTAKE or told["shown"] is None else told["shown"]
    name = ".".join(str(part) for part in place if isinstance(part, str))
    setting = next((s for s in nodes(cls, plain) if s.name == name), None)
    needed = _needed(error, setting)
    if kind != MISTAKE or not told["key"]:  # else it is wrong in the light of others, which null may not mend
        needed += ", or null" if setting is not None and setting.kind.nullable and "null" not in needed else ""
    unsaid = kind == MISTAKE and told["shown"] == ""
    return f"{key}: {needed}" if unsaid else f"{key}={_shortened(shown)}: {needed}"


def _needed(error: ErrorDetails, setting: Setting | None) -> str:
    kind, told = error["type"], error.get("ctx", {})
    bounds = {} if setting is None else setting.kind.bounds
    if kind == MISTAKE:
        return str(told["needed"])
    if kind == "literal_error":
        choices = setting.kind.choices if setting is not None else ()
        return f"one of {', '.join(choices)} is needed" if choices else f"{told['expected']} is needed"
    if kind in ("too_short", "too_long", "list_type") and "max_length" in bounds:
        values = f"{bounds['max_length']} values"
        return f"a list of {values} is needed" if kind == "list_type" else f"{values} are needed"
    if kind == "too_short":
        return "at least one value is needed"
    if kind == "model_type":
        whole = Kind(None) if setting is None else setting.kind.item or setting.kind
        fields = dict.fromkeys(field for group in whole.groups for field in group.model_fields)
        return f"its settings are needed ({', '.join(fields)})"
    return _NEEDED.get(kind, "another value is needed").format(**told)


def _value(plain: Any, place: Sequence[str | int]) -> Any:
    """What stands at a place; ``None`` where there is nothing."""
    for part in place:
        try:
            plain = plain[part]
        except (KeyError, IndexError, TypeError):
            return None
    return plain


def _dotted(place: Sequence[str | int], prefix: str) -> str:
    key = prefix
    for part in place:
        key += f"[{part}]" if isinstance(part, int) and key else f".{part}" if key else str(part)
    return key


def _shortened(value: Any) -> str:
    text = str(value)
    return text if isinstance(value, str) or len(text) <= LONGEST else f"{text[:LONGEST]} ..."
