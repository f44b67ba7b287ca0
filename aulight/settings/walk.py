"""A walk over the fields of a class of settings, through its groups: for the help, for messages and for tests."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from aulight.settings.group import Choose, Group, Mark, Needed

_BOUNDS = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length")


@dataclass(frozen=True)
class Kind:
    """What values a setting takes.

    Attributes:
        annotation: Their type, without ``None`` and without what :data:`typing.Annotated` adds.
        nullable: Whether null is one of them.
        choices: All there are, where they can be listed.
        bounds: ``ge``, ``gt``, ``le``, ``lt``, ``multiple_of``, ``min_length``, ``max_length``: those that there are.
        marks: What else is to be known of it.
        item: Of a list, what values its elements take.
        groups: Of a group, the class, or those of which it is one.
        choose: How it is told which.
    """

    annotation: Any
    nullable: bool = False
    choices: tuple[str, ...] = ()
    bounds: Mapping[str, float] = field(default_factory=dict)
    marks: frozenset[Mark] = frozenset()
    item: "Kind | None" = None
    groups: tuple[type[Group], ...] = ()
    choose: Choose | None = None


@dataclass(frozen=True)
class Setting:
    """A field of a class of settings, or of a group in it.

    Attributes:
        name: With dots, for example ``clip.length``.
        description: A line.
        kind: What values it takes.
        required: Whether it must be there.
        owner: The class that has the field.
    """

    name: str
    description: str
    kind: Kind
    required: bool
    owner: type[Group]


def walk(cls: type[Group], given: Mapping[str, Any] | None = None) -> Iterator[Setting]:
    """Every setting that is no group.

    Args:
        cls: A class of settings.
        given: Settings, plain; of groups that may be of several classes, only the one that they mean is walked. Without
            them all are, so that a name may come more than once.
    """
    return (setting for setting in nodes(cls, given) if not setting.kind.groups)


def groups(cls: type[Group], given: Mapping[str, Any] | None = None) -> Iterator[Setting]:
    """Every group of settings, likewise."""
    return (setting for setting in nodes(cls, given) if setting.kind.groups)


def marked(cls: type[Group], *marks: Mark) -> tuple[str, ...]:
    """Names of the settings and of the whole groups that have one of some marks, sorted."""
    return tuple(sorted({setting.name for setting in nodes(cls) if setting.kind.marks & set(marks)}))


def nodes(cls: type[Group], given: Mapping[str, Any] | None = None, prefix: str = "") -> Iterator[Setting]:
    """Every setting, with each group before what is in it; arguments as for :func:`walk`."""
    for name, info in cls.model_fields.items():
        kind = kind_of(info.annotation, tuple(info.metadata))
        yield Setting(f"{prefix}{name}", info.description or "", kind, info.is_required(), cls)
        block = None if given is None else given.get(name)
        for group in _meant(kind, block):
            yield from nodes(group, block if isinstance(block, Mapping) else None, f"{prefix}{name}.")


def _meant(kind: Kind, given: Any) -> tuple[type[Group], ...]:
    if kind.choose is None or given is None:
        return kind.groups
    try:
        return (kind.choose.meant(kind.groups, given),)
    except PydanticCustomError:
        return kind.groups


def kind_of(annotation: Any, metadata: tuple[Any, ...] = ()) -> Kind:
    """What values an annotation stands for.

    Args:
        annotation: Of a field.
        metadata: What stood around it in :data:`typing.Annotated`.
    """
    nullable = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *inner = get_args(annotation)
            metadata = (*inner, *metadata)
        elif get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation):
            nullable = True
            others = tuple(part for part in get_args(annotation) if part is not type(None))
            annotation = others[0] if len(others) == 1 else Union[others]  # noqa: UP007  # of a tuple
        else:
            break
    metadata = tuple(
        part for whole in metadata for part in (whole.metadata if isinstance(whole, FieldInfo) else [whole])
    )
    parts = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return Kind(
        annotation,
        nullable,
        choices=_choices(parts, metadata),
        bounds={
            bound: getattr(part, bound)
            for part in metadata
            for bound in _BOUNDS
            if getattr(part, bound, None) is not None
        },
        marks=frozenset(part for part in metadata if isinstance(part, Mark)),
        item=kind_of(get_args(annotation)[0]) if get_origin(annotation) is list else None,
        groups=tuple(part for part in parts if isinstance(part, type) and issubclass(part, Group)),
        choose=next((part for part in metadata if isinstance(part, Choose)), None),
    )


def _choices(parts: tuple[Any, ...], metadata: tuple[Any, ...]) -> tuple[str, ...]:
    for part in metadata:
        if isinstance(part, Needed) and part.choices:
            return part.choices
    if parts == (bool,):
        return ("true", "false")
    return tuple(str(choice) for part in parts if get_origin(part) is Literal for choice in get_args(part))
