"""``aulight <command> --help``: every setting with its default, its choices and what it is."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aulight.cli.arguments import FREE
from aulight.cli.examples import EXAMPLES
from aulight.runs.composed import composed, conf_dir
from aulight.settings.commands import settings_of
from aulight.settings.walk import Kind, Setting, nodes

COLUMN = 34
"""Letters of a setting and its default that stand on one line with what it is."""

LEAST, MOST = 80, 120
"""Letters of a line, whatever the terminal."""

LONGEST = 60
"""Letters of a value that are shown."""

NOT_FOR = {
    ("prepare", "data"): {"avatars", "synthetic"},
    ("pretrain", "model"): {"blendshapes", "frozen"},
    ("pretrain", "debug"): {"overfit"},
}
"""Choices of a group that a command refuses, for they would do nothing there."""

_BOUNDS = {"ge": "at least {:.12g}", "gt": "more than {:.12g}", "le": "at most {:.12g}", "lt": "less than {:.12g}"}


def print_help(command: str, about: str, overrides: Sequence[str], folder: str | None = None) -> None:
    """Prints the help of a command; what was typed beside ``--help`` counts as a default.

    Args:
        command: One of the commands.
        about: What it does, in a line.
        overrides: ``key=value`` and ``group=choice``; of groups, the settings of the choice are shown.
        folder: A further folder of configurations, as ``--config-dir`` gives it.
    """
    width = min(max(shutil.get_terminal_size().columns, LEAST), MOST)
    with composed(command, overrides, folder) as config:
        print(f"aulight {command}: {about}\n")
        free = " [path ...]" if command in FREE else ""
        print(f"usage: aulight {command}{free} [group=choice ...] [key=value ...] [-m]\n")
        print("Examples:")
        for typed, does in EXAMPLES[command]:
            print(f"  aulight {command} {typed}", *textwrap.wrap(does, width - 6), sep="\n      ")
        print()
        if groups := list(_groups(command)):
            print("Groups, a file of settings for each choice:")
            for name, chosen, choices in groups:
                print(*_entry(f"{name}={chosen}", ", ".join(choices), width), sep="\n")
        for line in _settings(command, config, width):
            print(line)
    print(f"\naulight {command} --cfg job   the configuration it would run with, as YAML")
    print(f"aulight {command} -m k=a,b    one run for each value")


def _groups(command: str) -> Iterator[tuple[str, str, list[str]]]:
    """The groups of a command's configuration: name, what is chosen, and all choices."""
    from hydra.core.hydra_config import HydraConfig

    conf = conf_dir(command)
    for name, chosen in sorted(HydraConfig.get().runtime.choices.items()):
        if (conf / name).is_dir() and not name.startswith("hydra/"):
            choices = sorted({path.stem for path in (conf / name).glob("*.yaml")} - NOT_FOR.get((command, name), set()))
            yield name, "null" if chosen is None else str(chosen), choices


def _settings(command: str, config: DictConfig, width: int) -> Iterator[str]:
    """A heading for each group of settings, and an entry for each setting."""
    given = _plain(config)
    listed = list(nodes(settings_of(command), given))
    sections: dict[str, list[Setting]] = {"": [], _VARIABLES: []}
    about = {"": "Settings", _VARIABLES: "Variables that experiments may set"}
    for setting in listed:
        if setting.kind.groups:
            about[setting.name] = f"{setting.name}: {setting.description}"
            sections[setting.name] = []
        else:
            group = setting.name.rpartition(".")[0]
            sections[group if group or setting.required else _VARIABLES].append(setting)
    variables = sections.pop(_VARIABLES)
    for name, settings in [*sections.items(), (_VARIABLES, variables)]:
        if settings:
            yield from ("", about[name])
        elif not any(other.startswith(f"{name}.") for other in sections) and name != _VARIABLES:
            yield from ("", f"{about[name]} ({_shown(_at(given, name))})")
        for setting in settings:
            there = setting.required or _at(given, setting.name) is not None
            value = f"={_shown(_at(given, setting.name))}" if there else ""
            yield from _entry(f"{setting.name}{value}", _about(setting), width)


_VARIABLES = "?"


def _plain(config: DictConfig) -> dict[str, Any]:
    """The configuration, with what it leaves open as it stands there."""
    try:
        plain: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException:  # an interpolation of what must be typed
        plain = OmegaConf.to_container(config, resolve=False)
    return dict(plain)


def _at(given: Any, name: str) -> Any:
    for part in name.split("."):
        given = given.get(part) if isinstance(given, Mapping) else None
    return given


def _shown(value: Any) -> str:
    """A value as one would type it; nothing for one that must be typed."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return _shortened(f"[{','.join(map(_shown, value))}]")
    if isinstance(value, Mapping):
        return _shortened(f"{{{', '.join(f'{key}: {_shown(inner)}' for key, inner in value.items())}}}")
    if value == "???":
        return ""
    return str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _about(setting: Setting) -> str:
    values = [value for value in _values(setting.kind) if not (value == "or null" and "null" in setting.description)]
    return f"{setting.description} ({'; '.join(values)})" if values else setting.description


def _values(kind: Kind) -> list[str]:
    """What values a setting takes, where its default alone does not say it."""
    said = [", ".join(kind.choices)] if kind.choices and kind.annotation is not bool else []
    if {"ge", "le"} <= kind.bounds.keys():
        said.append(f"{kind.bounds['ge']:.12g} to {kind.bounds['le']:.12g}")
    else:
        said += [text.format(kind.bounds[bound]) for bound, text in _BOUNDS.items() if bound in kind.bounds]
    said += [f"each {text}" for text in ([] if kind.item is None else _values(kind.item))]
    return [*said, *(["or null"] if kind.nullable else [])]


def _entry(setting: str, about: str, width: int) -> list[str]:
    """Lines of a setting and what it is, in two columns."""
    indent = " " * (COLUMN + 2)
    wrapped = textwrap.wrap(about, width - len(indent)) or [""]
    first = f"  {setting}"
    if len(first) >= len(indent):
        return [first, *(indent + line for line in wrapped)]
    return [first.ljust(len(indent)) + wrapped[0], *(indent + line for line in wrapped[1:])]
