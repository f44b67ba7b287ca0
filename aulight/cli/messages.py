"""A user's mistakes in one line."""

import errno
import re
from difflib import get_close_matches

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from aulight.errors import AulightError, is_out_of_memory, one_line, printable, reason
from aulight.files import ROOM
from aulight.settings.commands import settings_of
from aulight.settings.reading import RENAMED
from aulight.settings.training import Experiment
from aulight.settings.walk import nodes

_HOMELESS = "Could not determine home directory."
"""What pathlib says where there is no HOME and the system does not know the user."""


def is_users(error: BaseException) -> bool:
    """Whether an error is a user's mistake, or a lack of room or rights: not a bug."""
    if isinstance(error, AulightError | HydraException | OmegaConfBaseException) or is_out_of_memory(error):
        return True
    if isinstance(error, RuntimeError) and str(error) == _HOMELESS:
        return True
    # no right to write there, no room, what is gone meanwhile, or a name that no file can have
    numbers = {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.ESTALE, *ROOM}
    numbers |= {errno.ENAMETOOLONG, errno.ELOOP, errno.EILSEQ}
    return isinstance(error, OSError) and error.errno in numbers


def message(error: BaseException, command: str = "") -> str:
    """What a user is told of it, on one line; of a table with mistakes, a line for each.

    Args:
        error: What was raised.
        command: The command in which it was, whose settings may be meant.
    """
    if is_out_of_memory(error):
        return reason(error)
    if isinstance(error, AulightError):
        wrong = str(error)  # of a table, a line for each row with a mistake
        return one_line(error) if "Traceback" in wrong else "\n".join(map(one_line, wrong.splitlines()))
    return printable(_of_others(error, command))


def _of_others(error: BaseException, command: str) -> str:
    """What is said of an error that Hydra or the system raised."""
    if str(error) == _HOMELESS:
        return "~: no such home folder is known; give the whole path"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    whole = re.search(r"full_key: (\S+)", "\n".join(map(str, (error, error.__cause__))))  # OmegaConf's word for it
    if missing := re.match("Missing mandatory value: (.+)", str(error)):
        key = whole[1] if whole else missing[1]
        return f"{key}: no value given; add {key}=..."
    if unset := re.search("Interpolation key '(.+?)' not found", str(error)):
        if unset[1] not in Experiment.model_fields:
            return f"{unset[1]}: is missing, and other settings are made of it; --help lists the settings"
        return f"{unset[1]}: no value given; the files in conf/experiment have one, so add experiment=..."
    if unknown := re.match("Could not override '(.+)'", str(error)):
        key = max(unknown[1], whole[1] if whole else "", key=len)  # what was typed, or a key in a group that was
        if key in RENAMED:
            return f"{key}: {RENAMED[key]}"
        return f"{key}: no such setting; {_near(key, command)}--help lists the settings"
    if gone := re.match("Could not delete from config. '(.+)' does not exist", str(error)):
        key = gone[1]
        if command and key in {setting.name for setting in nodes(settings_of(command))}:
            return f"~{key}: it is null already, and no setting is taken away; {key}=... gives it a value"
        return f"~{key}: no such setting; {_near(key, command)}--help lists the settings"
    if lone := re.search("Error parsing override '(.*)'\nmissing EQUAL", str(error)):
        return f"{lone[1]}: a setting is needed, key=value; --help lists the settings"
    if bad := re.search("no viable alternative at input '(.*)'", str(error)):
        return f"{f'{whole[1]}: ' if whole else ''}{bad[1]}: refers to no setting; ${{name of a setting}} does"
    if missing := re.search("Could not load '(hydra/launcher/.+?)'", str(error)):
        return f"{missing[1]}: is not installed; pip install 'aulight[sweep]'"
    lines = [line.strip() for line in str(error).partition("Config search path:")[0].splitlines() if line.strip()]
    # Hydra puts the reason into the cause, and OmegaConf adds lines about its internals
    lines = [line for line in lines if not line.startswith(("full_key:", "object_type=", "reference_type="))]
    if error.__cause__ is not None and is_users(error.__cause__) and len(lines) < 2:
        lines += [message(error.__cause__)]
    return "; ".join(dict.fromkeys(lines)).replace(":;", ":").replace(".;", ";")


def _near(key: str, command: str) -> str:
    """The setting of a command that a key is much like, if there is one."""
    names = [setting.name for setting in nodes(settings_of(command)) if setting.name != key] if command else []
    near = get_close_matches(key, names, 1)
    return f"did you mean {near[0]}? " if near else ""
