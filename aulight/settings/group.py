"""What all classes of settings are made of: their base, and what a field's annotation may hold besides its type.

Defaults are in ``conf/`` alone, so fields have none: a setting that is missing is a mistake that is named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MISTAKE = "mistake"
"""Type of the errors that are raised here; :mod:`aulight.settings.reading` knows what they carry."""


class Group(BaseModel):
    """Settings that belong together: those of a group of ``conf/``, of a block in it, or of a command.

    A value is of the kind that its field says, and nothing is guessed: ``true`` is no number and 1.5 no whole one. A
    whole number does where any number does.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


# ---- what may stand in an annotation ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    """What else is to be known of a setting, or of a whole group: ``seed: Annotated[int, NAMES_THE_RUN]``.

    Attributes:
        says: In words.
    """

    says: str


CHANGES_NO_RESULT = Mark("changes no result, so it may differ between a run and its continuation")
NAMES_THE_RUN = Mark("tells runs apart that are pooled, so it may differ between them")
IS_A_NAME = Mark("a name, so it is never taken for a path")


class Needed:
    """Says what is needed in words of its own, whatever is wrong with a value.

    It stands after what it speaks for: ``Annotated[int, Field(ge=32), Needed("an even number from 32 on")]``.

    Args:
        text: The words; ``{value}`` in them is what was given.
        choices: For the help, where the type does not tell them.
    """

    def __init__(self, text: str, choices: tuple[str, ...] = ()) -> None:
        self.text, self.choices = text, choices

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """One error in place of all that the type has to say."""

        def check(value: Any, inner: core_schema.ValidatorFunctionWrapHandler) -> Any:
            try:
                return inner(value)
            except ValidationError as error:
                raise mistake("", self.text.replace("{value}", str(value))) from error

        return core_schema.no_info_wrap_validator_function(check, handler(source))


class Choose:
    """Takes one of several classes by the settings that are there, so that a mistake is told in terms of that one.

    Args:
        needed: What is needed, where the settings are like none of the classes.
        by: A setting that tells some of the classes apart, each of which lists its own values of it.
    """

    def __init__(self, needed: str, by: str = "") -> None:
        self.needed, self.by = needed, by

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Hands the settings to the class that is meant."""
        classes: tuple[type[Group], ...] = get_args(source)

        def check(value: Any) -> Group:
            return value if isinstance(value, classes) else self.meant(classes, value).model_validate(value)

        return core_schema.no_info_plain_validator_function(check)

    def meant(self, classes: tuple[type[Group], ...], given: Any) -> type[Group]:
        """The class that settings are most like.

        Raises:
            PydanticCustomError: When they are like none.
        """
        if not isinstance(given, Mapping):
            raise mistake("", self.needed)
        if self.by in given:
            told = [kind for kind in classes if self.by in kind.model_fields]
            choices = {choice: kind for kind in told for choice in get_args(kind.model_fields[self.by].annotation)}
            if (choice := given[self.by]) not in list(choices):  # it may be anything, a dict as well
                raise mistake(self.by, f"one of {', '.join(choices)} is needed")
            return choices[choice]

        def unlike(kind: type[Group]) -> tuple[bool, int]:
            fields = kind.model_fields.keys()
            return bool(fields) and not fields & given.keys(), len(fields ^ given.keys())

        best = min(classes, key=unlike)
        if unlike(best)[0]:
            shared = [name for name in best.model_fields if all(name in kind.model_fields for kind in classes)]
            raise missing(shared[0]) if shared else mistake("", self.needed)
        return best


_URL = re.compile(r"[a-z][a-z0-9+.\-]*://", re.IGNORECASE)


def is_url(place: object) -> bool:
    """Whether a place is an URL and no path."""
    return _URL.match(str(place)) is not None


# ---- mistakes ---------------------------------------------------------------------------------------------------


def mistake(key: str, needed: str, shown: Any = None) -> PydanticCustomError:
    """The error for a value that is wrong in the light of others, to be raised by a validator.

    Args:
        key: The setting, as the class that raises calls it; empty for the one that is being validated.
        needed: What is needed.
        shown: What is shown as its value, instead of the value itself.
    """
    return PydanticCustomError(MISTAKE, "{needed}", {"key": key, "needed": needed, "shown": shown})


def missing(key: str, needed: str = "is missing; --help lists the settings") -> PydanticCustomError:
    """The error for a setting without a value, likewise."""
    return PydanticCustomError(MISTAKE, "{needed}", {"key": key, "needed": needed, "shown": ""})


# ---- kinds of values that many groups have ----------------------------------------------------------------------


def _as_text(value: Any) -> Any:
    """What YAML takes for a number, as in ``name=123``, is a name all the same."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _each_once(values: list[int] | None) -> list[int] | None:
    twice = next((value for value in values or () if (values or []).count(value) > 1), None)
    if twice is not None:
        raise mistake("", f"{twice} is in it twice; each once is needed")
    return values


AsText = BeforeValidator(_as_text)
AsList = BeforeValidator(_as_list)
EachOnce = AfterValidator(_each_once)

Name = Annotated[str, AsText, Field(min_length=1), Needed("a name is needed"), IS_A_NAME]
FilePath = Annotated[str, AsText, Field(min_length=1), Needed("a path is needed")]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
ActionUnit = Annotated[int, Field(ge=1, le=99)]
