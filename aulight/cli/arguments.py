"""What was typed after ``aulight <command>``: flags and settings, and what to type where it is neither."""

import difflib
import re
import shlex
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from aulight.errors import AulightError
from aulight.runs.overrides import is_there, parted, quoted_text

TAKES = {
    "prepare": "data.source",
    "sample": "data.name",
    "label": "data.name",
    "agreement": "sample",
    "finetune": "pretrained",
    "report": "runs",
    "predict": "input",
    "export": "run",
}
"""The setting that is meant by a lone word, as in ``aulight predict clip.mp4``."""

FREE = ("predict",)
"""Commands that take lone words, any number of them, and settings with dashes: ``aulight predict *.mp4 --overlay``."""

_FLAGS = {
    "-h": "--help", "-m": "--multirun", "-r": "--run", "-c": "--cfg", "-p": "--package", "-i": "--info",
    "-cd": "--config-dir",
}  # fmt: skip
_VALUES = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    "--package": (),
    "--config-dir": (),
}
"""Flags with a value, and what that may be."""

_KNOWN = ("--help", "--multirun", "--run", "--resolve", "--hydra-help", "--version", *_VALUES)
_SHOWING = ("--cfg", "--info", "--hydra-help")

Mode = Literal["run", "sweep", "help", "show", "version"]


class Arguments(NamedTuple):
    """What was typed, told apart.

    Attributes:
        settings: ``key=value``, ``group=choice``, ``~key``, as they were typed.
        folder: That of ``--config-dir``.
        mode: What is to be done with them.
        sweep: Whether ``-m`` was typed, whatever else.
        flags: Those of Hydra's that say what it is to show.
    """

    settings: list[str]
    folder: str | None
    mode: Mode
    sweep: bool
    flags: list[str]


def told_apart(command: str, words: Sequence[str], names: Collection[str]) -> Arguments:
    """Tells flags from settings.

    Args:
        command: One of the commands.
        words: What was typed after it.
        names: Its settings and groups.

    Raises:
        AulightError: For what is neither a flag nor a setting, with what to type instead; for flags that do not go
            together.
    """
    rest, settings, values = list(words), list[str](), dict[str, str]()
    wrong, lone = list[str](), list[str]()
    while rest:
        word = rest.pop(0)
        if word.startswith("-") and word != "-":
            name, sign, value = word.partition("=")
            flag = _FLAGS.get(name, name)
            if flag in _KNOWN:
                values[flag] = _value(flag, sign, value, rest) if flag in _VALUES else ""
            else:
                settings.append(_undashed(word, rest, names))
                wrong += [] if command in FREE else [word]
        elif _is_setting(word, names) and not (word.endswith("=") and rest and _is_lone(rest[0], names)):
            settings.append(word)
        elif command in FREE and not (word in names or word.endswith("=") or word.lower() == "help"):
            lone.append(word)
        else:
            wrong.append(word)
            settings.append(_meant(command, word, rest, settings, names))
    if wrong:
        kept = [f"{flag}={value}" if value else flag for flag, value in values.items()]
        typed = shlex.join(["aulight", command, *kept, *settings, *lone])
        raise AulightError(f"{wrong[0]}: a setting is typed as key=value; type: {typed}")
    if command in FREE:
        settings = _with_lone(TAKES[command], settings, lone, "--multirun" in values)
    return Arguments(settings, values.get("--config-dir"), _mode(values), "--multirun" in values, _shown(values))


def no_command(words: Sequence[str], commands: Collection[str]) -> str:
    """What to say where the first word is no command, with what to type instead.

    Args:
        words: All that was typed.
        commands: All there are.
    """
    first, *rest = words
    told = f"{first}: no such command; "
    if first.lower() == "help":
        return told + f"type: {shlex.join(['aulight', *(word for word in rest[:1] if word in commands), '--help'])}"
    for at, word in enumerate(words):
        if (plain := word.lstrip("-").lower()) in commands and (word == plain or at == 0):
            return told + f"type: {shlex.join(['aulight', plain, *words[:at], *words[at + 1 :]])}"
    if near := difflib.get_close_matches(first.lower(), commands, 1):
        return told + f"did you mean {near[0]}? One of {', '.join(commands)}"
    if "=" in first or is_there(first) or re.search(r"[/.]|^webcam:", first):
        setting = first if first.startswith("input=") else f"input={first}"
        if setting == first or "=" not in first or is_there(first):
            return told + f"type: {shlex.join(['aulight', 'predict', setting, *rest])}"
    return told + f"one of {', '.join(commands)}"


def _with_lone(takes: str, settings: list[str], lone: Sequence[str], sweep: bool) -> list[str]:
    """Settings, among them one that takes all lone words; what was typed for it as well is the first of them."""
    typed = [setting for setting in settings if setting.startswith(f"{takes}=")]
    others = [setting for setting in settings if setting not in typed]
    given = typed[-1].partition("=")[2] if typed else ""
    several = [given]
    if "," in given and not (sweep or is_there(given)) and given[0] not in "[{'\"":
        several = parted(given) or several  # input=a.mp4,b.mp4
    if not lone and len(several) == 1:
        return settings
    if given.startswith("[") or (sweep and typed):
        raise AulightError(f"{lone[0]}: a setting is needed, key=value; or give all of them as {takes}=[a,b]")
    words = list[str]()
    for word in [*(several if typed else []), *lone]:
        if words and is_there(f"{words[-1]} {word}") and not is_there(words[-1]):
            words[-1] += f" {word}"  # a name with a space in it
        else:
            words.append(word)
    if len(words) == 1:
        return [*others, f"{takes}={words[0]}"]
    return [*others, f"{takes}=[{','.join(map(quoted_text, words))}]"]


def _is_setting(word: str, names: Collection[str]) -> bool:
    key, sign, _ = word.partition("=")
    if not sign:
        return bool(re.fullmatch(r"~[\w./@:]+", word)) and not is_there(word)
    name = key.lstrip("+~")
    return name in names or bool(re.fullmatch(r"[\w.@:$-][\w./@:$-]*", name) and not is_there(word))


def _is_lone(word: str, names: Collection[str]) -> bool:
    return not word.startswith("-") and not _is_setting(word, names)


def _value(flag: str, sign: str, value: str, rest: list[str]) -> str:
    choices = _VALUES[flag]
    if not sign:
        optional = flag == "--info" and (not rest or rest[0] not in choices)
        value = "all" if optional else rest.pop(0) if rest and not rest[0].startswith("-") else ""
    if value == "" or (choices and value not in choices):
        needed = f"one of {', '.join(choices)} is needed" if choices else "a value is needed"
        raise AulightError(f"{flag}={value}: {needed}" if value else f"{flag}: {needed}")
    return value


def _undashed(word: str, rest: list[str], names: Collection[str]) -> str:
    """The setting that ``--input=clip.mp4`` or ``--input clip.mp4`` means."""
    typed, sign, value = word.lstrip("-").partition("=")
    for name in (typed, typed.replace("-", "_")):
        if name in names:
            if not sign:
                value = rest.pop(0) if rest and _is_lone(rest[0], names) else "true"
            return f"{name}={value}"
    flags = ", ".join(sorted({*_KNOWN, *_FLAGS}))
    near = difflib.get_close_matches(word.partition("=")[0], [*_KNOWN, *(f"--{name}" for name in names)], 1)
    hint = f"did you mean {near[0].removeprefix('--') + '=' if near[0] not in _KNOWN else near[0]}? " if near else ""
    raise AulightError(f"{word}: no such flag; {hint}Settings are typed without dashes, as key=value; flags: {flags}")


def _meant(command: str, word: str, rest: list[str], settings: list[str], names: Collection[str]) -> str:
    """The setting that a word without ``=`` in it, or with spaces around that, is meant for."""
    if word.endswith("=") and _is_setting(word, names):
        return word + rest.pop(0)
    if word in names and rest and (rest[0].startswith("=") or _is_lone(rest[0], names)):
        sign, _, value = rest.pop(0).rpartition("=") if rest[0].startswith("=") else ("", "", rest.pop(0))
        if not value and rest and _is_lone(rest[0], names):
            value = rest.pop(0)
        return f"{word}={sign}{value}"
    if word in names:
        raise AulightError(f"{word}: a value is needed, {word}=...")
    if word.lower() == "help":
        raise AulightError(f"{word}: type: aulight {command} --help")
    if settings and is_there(f"{settings[-1].partition('=')[2]} {word}"):
        return f"{settings.pop()} {word}"  # a name with a space in it
    takes = TAKES.get(command)
    if takes is None or any(setting.partition("=")[0] == takes for setting in settings):
        several = f", several values as -m {takes}=a,b" if takes else ""
        advice = f"; a name with spaces goes in quotes{several}" if settings else ""
        raise AulightError(f"{word}: a setting is needed, key=value{advice}; --help lists the settings")
    return f"{takes}={word}"


def _mode(values: Collection[str]) -> Mode:
    asked = [flag for flag in (*_SHOWING, "--multirun", "--run") if flag in values]
    if "--help" in values:
        return "help"
    if "--version" in values:
        return "version"
    if len(asked) > 1:
        raise AulightError(f"{asked[0]} and {asked[1]}: one of the two")
    for flag in ("--resolve", "--package"):
        if flag in values and "--cfg" not in values:
            raise AulightError(f"{flag}: goes with --cfg job")
    return "sweep" if asked == ["--multirun"] else "show" if asked and asked != ["--run"] else "run"


def _shown(values: dict[str, str]) -> list[str]:
    flags = {flag: value for flag, value in values.items() if flag in (*_SHOWING, "--resolve", "--package")}
    return [f"{flag}={value}" if value else flag for flag, value in flags.items()]
