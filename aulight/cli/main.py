"""The console script: which command, and a user's mistakes in one line.

Nothing heavy is imported here: ``aulight --help`` answers at once, and each command imports what it needs.
"""

import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aulight.cli.streams import let_go, make_usable

COMMANDS = {
    "prepare": "raw videos to a prepared dataset of aligned faces",
    "sample": "which frames to label: a random draw, as a table to fill in and pictures",
    "pretrain": "stage one: contrastive learning from unlabelled videos",
    "finetune": "stage two: a regressor from a few labelled frames, scored on test subjects",
    "report": "tables and figures from finished runs",
    "predict": "AU intensities in any video, as a table; works without a model, too",
    "export": "a finished model as one file, with a card that describes it",
    "dashboard": "the workspace on Weights & Biases in which to watch runs",
}

SWEPT = ("pretrain", "finetune")
"""Commands whose jobs, with -m, are processes of their own; the sweeper lists those that failed."""


def main() -> None:
    """Entry point of ``aulight``; exits with status 2 for a user's mistake, 1 when a part of the work failed."""
    make_usable()
    try:
        try:
            _main(sys.argv[1:])
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # who reads it has had enough, as `head` has
        let_go()
        sys.exit(1)
    except OSError as error:
        if error.filename is not None:
            raise
        let_go()
        _fail(f"what is printed cannot be written ({error.strerror})", 1)


def _main(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        sys.exit(0 if arguments else 2)
    if arguments[0] == "--version":
        from aulight.version import __version__

        print(f"aulight {__version__}")
        return
    if arguments[0] in ("-sc", "--shell-completion"):
        from aulight.cli.completion import complete

        complete(arguments, COMMANDS)
        return
    if (sweep := os.environ.pop("AULIGHT_JOB", None)) is not None:
        from aulight.runs.sweep_job import live_and_die_with_the_sweep

        live_and_die_with_the_sweep(sweep)
    command, *arguments = arguments
    if command not in COMMANDS:
        _fail(f"{command}: no such command; one of {', '.join(COMMANDS)}")
    try:
        _run(command, arguments)
    except KeyboardInterrupt:
        from aulight.errors import INTERRUPTED

        print("aulight: interrupted; the same command goes on where it was", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        from aulight.cli.messages import is_users, message
        from aulight.errors import RunsFailed, VideosFailed

        if not is_users(error):
            raise
        _fail(message(error), 1 if isinstance(error, RunsFailed | VideosFailed) else 2)


def task(command: str) -> Callable[..., None]:
    """The function behind a command: it takes the settings, and by these names ``folder`` and ``typed``.

    ``folder`` is the run directory, ``typed`` the settings as they were typed.
    """
    function: Callable[..., None] = getattr(importlib.import_module(f"aulight.cli.commands.{command}"), command)
    return function


def _run(command: str, arguments: Sequence[str]) -> None:
    from aulight.errors import AulightError
    from aulight.runs.composed import check_choices, composed, register_resolvers, settings_from
    from aulight.runs.overrides import readable

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed by Hydra
    register_resolvers()
    arguments = [readable(argument) for argument in arguments]
    flags, overrides, folder = _told_apart(arguments)
    if folder is not None and not Path(folder).is_dir():
        raise AulightError(f"--config-dir={folder}: no such folder")
    check_choices(command, overrides)
    if {"-h", "--help"} & {*flags}:
        from aulight.cli.help import print_help

        print_help(command, COMMANDS[command], overrides, folder)
        return
    if not flags:
        # before Hydra makes a folder: what is wrong with the settings
        with composed(command, overrides, folder) as config:
            settings = settings_from(command, config)
            if command not in SWEPT:  # nor does it need a folder of Hydra's
                _call(command, settings, typed=tuple(overrides))
                return
    _run_with_hydra(command, arguments)


def _told_apart(arguments: Sequence[str]) -> tuple[list[str], list[str], str | None]:
    """Flags of Hydra's, settings, and the folder of ``--config-dir``, which does not count as a flag."""
    rest, flags, overrides = list(arguments), list[str](), list[str]()
    folder = None
    while rest:
        argument = rest.pop(0)
        name, sign, value = argument.partition("=")
        if name in ("--config-dir", "-cd") and (sign or rest):
            folder = value if sign else rest.pop(0)
        else:
            (flags if argument.startswith("-") else overrides).append(argument)
    return flags, overrides, folder


def _run_with_hydra(command: str, arguments: Sequence[str]) -> None:
    """Leaves it to Hydra what the arguments ask for: a run with a folder, a sweep, to be shown the configuration."""
    import hydra
    from hydra.core.hydra_config import HydraConfig

    from aulight.cli.messages import is_users
    from aulight.runs.composed import conf_dir, settings_from

    mistakes: list[Exception] = []
    typed = sys.argv

    def run(config: Any) -> str | None:
        hydra_config = HydraConfig.get()
        is_job = "hydra.mode=MULTIRUN" in hydra_config.overrides.hydra
        if is_job and command in SWEPT:
            from aulight.runs.sweep_job import run_job

            return run_job(command, config)
        sys.argv = typed  # Lightning starts the other processes of a distributed run with it
        _own_start_method()
        try:
            settings = settings_from(command, config)
            _call(command, settings, hydra_config.runtime.output_dir, tuple(hydra_config.overrides.task))
        except Exception as error:
            if is_job or not is_users(error):
                raise  # of a sweep, Hydra says which job it was and lets the others go on
            mistakes.append(error)
        return None

    # argparse wants all overrides in one row: -m may stand anywhere in it
    sys.argv = [f"aulight {command}", *sorted(arguments, key=lambda a: a not in ("-m", "--multirun"))]
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir(command)), config_name=command)(run)()
    finally:
        sys.argv = typed
    if mistakes:
        raise mistakes[0]


def _call(command: str, settings: Any, folder: str | None = None, typed: Sequence[str] = ()) -> None:
    import inspect  # not by `aulight --help`

    function = task(command)
    context = {"folder": None if folder is None else Path(folder), "typed": typed}
    wanted = inspect.signature(function).parameters
    function(settings, **{name: value for name, value in context.items() if name in wanted})


def _own_start_method() -> None:
    """Undoes what joblib's launcher sets for its processes, from which none of ours could be started."""
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn", force=True)


def _fail(message: str, status: int = 2) -> None:
    print(f"aulight: {message}", file=sys.stderr)
    sys.exit(status)


def _usage() -> str:
    commands = "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
    return (
        "Facial action unit intensities from unlabelled video and a few labelled frames.\n\n"
        f"usage: aulight <command> [key=value ...] [-m]\n\n{commands}\n\n"
        "aulight <command> --help      its settings: defaults, choices, what they are\n"
        "aulight <command> --cfg job   the configuration it would run with\n"
        "aulight <command> -m k=a,b    one run for each value\n\n"
        'eval "$(aulight -sc install=bash)"   completion of commands and settings by the tab key, in this shell'
    )


if __name__ == "__main__":
    main()
