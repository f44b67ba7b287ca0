"""What was typed for a setting, put so that Hydra's grammar reads it as it was meant.

That grammar takes ``2024_01`` for a number, a comma for the end of a value and ``${`` for a reference. What is typed
for a path or a name is a text all the same, so Hydra is given it in quotes.
"""

import functools
import os
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from aulight.errors import AulightError
from aulight.settings.commands import settings_of
from aulight.settings.group import IS_A_NAME
from aulight.settings.training import TrainingSettings
from aulight.settings.walk import Kind, kind_of, nodes

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_PLAIN = re.compile(r"(?!(?:true|false|null|inf|nan)$)[a-z_/][\w/.+-]*", re.ASCII | re.IGNORECASE)
"""A text that Hydra takes for one without quotes, too."""

_SWEEPS = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(.*\)", re.DOTALL)
"""Hydra's own ways to say several values, with -m."""

_RESOLVERS = re.compile(r"(if_pretrained|taught|labels|equal_steps|oc\.select|hydra):")
"""References that are no settings, as the files in ``conf/`` have them."""


class Text(NamedTuple):
    """A setting that takes a text.

    Attributes:
        single: Whether one text will do.
        listed: Whether a list will.
        items: Whether that is a list of texts.
        nullable: Whether null is one of its values.
        chosen: Whether all its values can be listed.
        named: Whether it is a name and never a path, so that what lies on the disk is of no matter.
    """

    single: bool = True
    listed: bool = False
    items: bool = False
    nullable: bool = False
    chosen: bool = False
    named: bool = False

    def is_path(self, value: str) -> bool:
        """Whether a value is a path that is there."""
        return not self.named and is_there(value)


class Typed:
    """Reads what was typed for a command.

    Args:
        command: One of the commands.
        sweep: Whether commas part values, of which each makes a run, as with ``-m``.
        folder: A further folder of configurations, as ``--config-dir`` gives it.
    """

    def __init__(self, command: str, sweep: bool = False, folder: str | None = None) -> None:
        self._names, self._texts = _settings(command)
        self._sweep = sweep
        self._folder = folder
        self._refers = sweep or issubclass(settings_of(command), TrainingSettings)

    def readable(self, argument: str) -> str:
        """A setting as Hydra can read it: as it was typed, with quotes around what is a text.

        What is in quotes already is left as it is, and so is what is no text, unless Hydra could not read it at all. A
        path that is there as it was typed is one path, whatever is in its name, be it quotes. A text may refer to
        other settings, as ``name='wide-${seed}'``, where runs are told apart by it: in training, and with ``-m``.

        Args:
            argument: ``key=value``, ``+key=value``, ``~key``, ``group@package=choice``.

        Raises:
            AulightError: With ``-m``, for a value that is missing between commas, or a bracket that is left open.
        """
        key, sign, value = argument.partition("=")
        plain = re.fullmatch(r"\+{0,2}([\w.]+)", key)
        if not sign or plain is None:
            return argument
        text, name = self._texts.get(plain[1]), plain[1]
        if text is not None:
            return f"{key}={self._values(argument, name, value, text)}"
        if self._folder is not None and value and Path(self._folder, name, f"{value}.yaml").is_file():
            return f"{key}={quoted_text(value)}"  # a choice of the user's own, which may be called 2024_01
        if name in self._names and re.fullmatch(r"\{.*\S.*\}", value, re.DOTALL):
            return f"{key}={self._group(name, value)}"
        try:
            OverridesParser.create().parse_override(argument)
        except HydraException:
            return f"{key}={quoted(value)}"
        return argument

    def readable_grid(self, grid: Mapping[str, Any]) -> list[str]:
        """The swept settings of a file, likewise, as one would type them.

        Args:
            grid: Setting to its values, ``{"seed": "0,1,2"}``.

        Raises:
            AulightError: For a text that YAML took for something else.
        """
        for name, values in grid.items():
            if name in self._texts and isinstance(values, bool | int | float):
                raise AulightError(f"{name}: {values} of a sweep: a text is needed; in the file, put it in quotes")
        return [self.readable(f"{name}={'null' if values is None else values}") for name, values in grid.items()]

    def _values(self, argument: str, name: str, value: str, text: Text) -> str:
        if not self._sweep or text.is_path(value) or _SWEEPS.fullmatch(value):
            return value if self._sweep and _SWEEPS.fullmatch(value) else self._text(name, value, text)
        each = _split(value)
        if each is None and "," in value and not _QUOTED.fullmatch(value):
            raise AulightError(
                f"{argument}: with -m commas part values, and here a bracket is left open before one; close it, or put "
                "each value that has one in quotes of its own"
            )
        if each is None or len(each) == 1:
            return self._text(name, value, text)
        if "" in each:
            raise AulightError(f"{argument}: with -m, a value is missing before or after a comma")
        return ",".join(self._text(name, one, text) for one in each)

    def _text(self, name: str, value: str, text: Text) -> str:
        if _PLAIN.fullmatch(value) or (text.nullable and value == "null"):
            return value
        if text.is_path(value):
            return quoted(_escaped("./???" if value == "???" else value))  # OmegaConf's word for what is missing
        if _QUOTED.fullmatch(value):
            return value
        if text.listed and (inner := re.fullmatch(r"\[(.*)\]", value, re.DOTALL)):
            each = _split(inner[1])
            if not text.items or each is None or "" in each:
                return value
            return f"[{','.join(self._text(name, one, Text(named=text.named)) for one in each)}]"
        return quoted(self._referring(name, value)) if self._refers else quoted(_escaped(value))

    def _group(self, name: str, value: str) -> str:
        """A group as ``{key: value, ...}``, with its texts in quotes."""
        each = _split(value[1:-1])
        if each is None or not all(":" in one for one in each):
            return value
        said = []
        for one in each:
            key, _, inner = (part.strip() for part in one.partition(":"))
            text = self._texts.get(f"{name}.{key}")
            if text is not None:
                inner = self._text(f"{name}.{key}", inner, text)
            elif f"{name}.{key}" in self._names and re.fullmatch(r"\{.*\S.*\}", inner, re.DOTALL):
                inner = self._group(f"{name}.{key}", inner)
            said.append(f"{key}: {inner}")
        return f"{{{', '.join(said)}}}"

    def _referring(self, name: str, text: str) -> str:
        """A text for OmegaConf, in which only what refers to settings does."""
        done, at = "", 0
        while (start := text.find("${", at)) >= 0:
            end = _closing(text, start)
            if end is not None and self._is_reference(name, text[start + 2 : end]):
                before = text[at:start]
                done += _escaped(before) + _slashes(before) + text[start : end + 1]
                at = end + 1
            else:
                done += _escaped(text[at : start + 2])
                at = start + 2
        return done + text[at:]

    def _is_reference(self, name: str, inner: str) -> bool:
        """Whether ``${inner}`` in a setting means another one."""
        return bool(_RESOLVERS.match(inner)) or (inner in self._names and not f"{name}.".startswith(f"{inner}."))


@functools.cache
def _settings(command: str) -> tuple[frozenset[str], dict[str, Text]]:
    """Names of the settings and groups of a command, and those of them that are texts."""
    forms: dict[str, list[Text | None]] = {}
    for setting in nodes(settings_of(command)):
        forms.setdefault(setting.name, []).append(_form(setting.kind))
        if get_origin(setting.kind.annotation) is dict:
            keys, values = get_args(setting.kind.annotation)
            for key in get_args(keys):
                forms.setdefault(f"{setting.name}.{key}", []).append(_form(kind_of(values)))
    texts = {name: form for name, (form, *others) in forms.items() if form is not None and None not in others}
    return frozenset(forms), texts


def _form(kind: Kind) -> Text | None:
    """How a setting takes texts; ``None`` for one that takes something else."""
    parts = get_args(kind.annotation) if get_origin(kind.annotation) in (Union, types.UnionType) else [kind.annotation]
    parts = [kind_of(part).annotation for part in parts]
    lists = [kind_of(get_args(part)[0]) for part in parts if get_origin(part) is list]
    single = [part for part in parts if get_origin(part) is not list]
    items = any(_is_text(item.annotation) for item in lists)
    if not all(_is_text(part) for part in single) or not (single or items):
        return None
    named = any(IS_A_NAME in one.marks for one in [kind, *lists])
    return Text(bool(single), bool(lists), items, kind.nullable, bool(kind.choices), named)


def _is_text(annotation: Any) -> bool:
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return annotation is str or (bool(choices) and all(isinstance(choice, str) for choice in choices))


def texts(command: str) -> Mapping[str, Text]:
    """The settings of a command that take a text, by their names."""
    return _settings(command)[1]


def misread(command: str, plain: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Texts that a file gives without quotes and that YAML takes for something else, as it does with ``2024_01``.

    Args:
        command: One of the commands.
        plain: Its configuration in plain containers; what refers to other settings is left as it stands.

    Yields:
        The setting, and what YAML made of it.
    """
    for name, text in texts(command).items():
        value: Any = plain
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        for one in value if isinstance(value, list) and text.items else [value]:
            if isinstance(one, bool | int | float) and not text.chosen:
                yield name, one


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """The settings of each run of a sweep.

    Args:
        overrides: As Hydra takes them; each may have several values.

    Raises:
        HydraException: For what it cannot read.
    """
    return list(BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(list(overrides)), None)[0])


def quoted(value: str) -> str:
    """A value as Hydra's grammar takes any."""
    value = re.sub(r"(\\*)'", r"\1\1\'", value) + _slashes(value)
    return f"'{value}'"


def quoted_text(value: str) -> str:
    """The same, where OmegaConf is to find no reference in it either."""
    return quoted(_escaped(value))


def _escaped(text: str) -> str:
    """A text in which OmegaConf finds no reference."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def _slashes(text: str) -> str:
    """The backslashes that a text ends with."""
    return "\\" * (len(text) - len(text.rstrip("\\")))


def is_there(path: str) -> bool:
    """Whether there is something under a name, be it a link to nothing; never raises, as :meth:`Path.exists` does."""
    try:
        return path != "" and os.path.lexists(Path(path).expanduser())
    except RuntimeError:  # ~ of a user that there is not
        return False


def _closing(text: str, start: int) -> int | None:
    """Where the brace closes that a reference opens at ``start``."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if text[at] == "}" and depth == 0:
            return at
    return None


def parted(text: str) -> list[str] | None:
    """The values between the commas of a text; ``None`` where one is missing, or a bracket is left open."""
    each = _split(text)
    return None if each is None or "" in each else each


def _split(text: str) -> list[str] | None:
    """Parts a text at the commas outside brackets and quotes; ``None`` where a bracket is left open."""
    parts, awaited, at = [""], "", 0
    while at < len(text):
        word = _QUOTED.match(text, at) if not parts[-1].strip() or parts[-1].rstrip()[-1] in "[{(,:" else None
        one = text[at] if word is None else word[0]
        at += len(one)
        if one == "," and not awaited:
            parts.append("")
            continue
        parts[-1] += one
        if one in ("(", "[", "{"):
            awaited += {"(": ")", "[": "]", "{": "}"}[one]
        elif awaited and one == awaited[-1]:
            awaited = awaited[:-1]
    return None if awaited else [part.strip() for part in parts]


def typed_overrides() -> list[str]:
    """The settings that were typed in this run, as they were typed: references in them are left as they are."""
    overrides: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    return [str(override) for override in overrides]


def own_folders() -> list[str]:
    """Of what Hydra was told in this run, where the user's own configurations are: for composing once more."""
    overrides: Any = OmegaConf.to_container(HydraConfig.get().overrides.hydra, resolve=False)
    return [override for override in overrides if override.startswith("hydra.searchpath=")]
