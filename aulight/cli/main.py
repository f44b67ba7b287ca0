"""The console script: which command, and a user's mistakes in one line.

Nothing heavy is imported here: ``aulight --help`` answers at once, and each command imports what it needs.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aulight.cli.streams import is_stuck, let_go, make_usable

COMMANDS = {
    "prepare": "raw videos to a prepared dataset of aligned faces",
    "sample": "which frames to label: a random draw, as a table to fill in and pictures",
    "label": "the page in the browser where coders score the drawn frames",
    "agreement": "how well coders agree, and the frames on which they differ most",
    "pretrain": "stage one: contrastive learning from unlabelled videos",
    "finetune": "stage two: a regressor from a few labelled frames, scored on test subjects",
    "report": "tables and figures from finished runs",
    "predict": "AU intensities in any video, as a table, with the model in the box or yours",
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
        from aulight.cli.arguments import no_command

        _fail(no_command([command, *arguments], COMMANDS))
    try:
        _run(command, arguments)
    except KeyboardInterrupt:
        from aulight.errors import INTERRUPTED

        print("aulight: interrupted; the same command goes on where it was", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        from aulight.cli.messages import is_users, message
        from aulight.errors import RunsFailed, VideosFailed

        unnamed = isinstance(error, OSError) and error.errno is not None and error.filename is None
        if not is_users(error) or (unnamed and is_stuck()):
            raise
        _fail(message(error, command), 1 if isinstance(error, RunsFailed | VideosFailed) else 2)


def task(command: str) -> Callable[..., None]:
    """The function behind a command: it takes the settings, and by these names ``folder`` and ``typed``.

    ``folder`` is the run directory, ``typed`` the settings as they were typed.
    """
    function: Callable[..., None] = getattr(importlib.import_module(f"aulight.cli.commands.{command}"), command)
    return function


def _run(command: str, words: Sequence[str]) -> None:
    from aulight.cli.arguments import told_apart
    from aulight.errors import AulightError
    from aulight.runs.composed import check_choices, composed, names_of, register_resolvers
    from aulight.runs.overrides import Typed, combinations
    from aulight.runs.own_files import whole_files

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed by Hydra
    register_resolvers()
    typed = told_apart(command, words, names_of(command))
    if typed.mode == "version":
        _main(["--version"])
        return
    folder = typed.folder
    if folder is not None and not Path(folder).is_dir():
        raise AulightError(f"--config-dir={folder}: no such folder")
    reading = Typed(command, typed.sweep, folder)
    overrides = [reading.readable(setting) for setting in typed.settings]
    check_choices(command, overrides)
    with whole_files(folder):
        if folder is not None and typed.mode in ("show", "sweep"):
            with composed(command, combinations(overrides)[0] if typed.sweep else overrides, folder):
                pass  # what Hydra would not come back from is refused
        if typed.mode == "help":
            from aulight.cli.help import print_help

            print_help(command, COMMANDS[command], combinations(overrides)[0] if typed.sweep else overrides, folder)
        elif typed.mode == "show":
            _with_hydra(command, [*typed.flags, *overrides], folder)
        elif typed.mode == "sweep" and command in SWEPT:
            _with_hydra(command, ["--multirun", *overrides], folder)
        elif typed.mode == "sweep":
            _one_after_the_other(command, overrides, folder)
        else:
            _once(command, overrides, folder, typed.settings)


def _once(command: str, overrides: Sequence[str], folder: str | None, typed: Sequence[str]) -> None:
    """Runs a command; what is wrong with its settings is said before anything is made."""
    from aulight.runs.composed import Composed, composed, settings_from

    with composed(command, overrides, folder) as config:
        settings = settings_from(command, config)
        whole = Composed.now(config)
    if command not in SWEPT:  # which have no folder of their own
        _call(command, settings, typed=typed)
        return
    whole.configure_logging()
    _call(command, settings, whole.folder, whole.overrides)
    whole.keep()


def _one_after_the_other(command: str, overrides: Sequence[str], folder: str | None) -> None:
    """Runs a command for each combination of the values that were typed; the settings of all are checked before."""
    from aulight.cli.messages import is_users, message
    from aulight.errors import AulightError, RunsFailed, printable
    from aulight.runs.composed import composed, settings_from
    from aulight.runs.overrides import combinations

    if launchers := [override for override in overrides if override.startswith("hydra/launcher=")]:
        raise AulightError(f"{launchers[0]}: for {' and '.join(SWEPT)} alone")
    jobs = []
    for each in combinations(overrides):
        with composed(command, each, folder) as config:
            jobs.append((each, settings_from(command, config)))
    failed, count = list[str](), 0
    for each, settings in jobs:
        try:
            _call(command, settings, typed=each)
        except Exception as error:
            if not is_users(error):
                raise
            if len(jobs) == 1:
                raise
            count += 1
            said = " ".join(setting for setting in each if any(setting not in others for others, _ in jobs))
            failed += f"{printable(said or ' '.join(each))}: {message(error)}".splitlines()
    if failed:
        raise RunsFailed(f"{count} of {len(jobs)} runs failed:", *failed)


def _with_hydra(command: str, arguments: Sequence[str], folder: str | None) -> None:
    """Leaves it to Hydra what the arguments ask for: a sweep, or to be shown the configuration."""
    import hydra

    from aulight.runs.composed import conf_dir

    def run(config: Any) -> str | None:
        from aulight.runs.sweep_job import run_job

        return run_job(command, config)

    typed = sys.argv
    sys.argv = [f"aulight {command}", *([] if folder is None else [f"--config-dir={folder}"]), *arguments]
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir(command)), config_name=command)(run)()
    finally:
        sys.argv = typed


def _call(command: str, settings: Any, folder: Path | None = None, typed: Sequence[str] = ()) -> None:
    import inspect  # not by `aulight --help`

    function = task(command)
    context = {"folder": folder, "typed": typed}
    wanted = inspect.signature(function).parameters
    function(settings, **{name: value for name, value in context.items() if name in wanted})


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
        'eval "$(aulight -sc install=bash)"   completion of commands and settings by the tab key, in this shell;\n'
        "                                     install=zsh for zsh"
    )


if __name__ == "__main__":
    main()
