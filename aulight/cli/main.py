"""The console script: which command, and a user's mistakes in one line.

Nothing heavy is imported here: ``aulight --help`` answers at once, and each command imports what it needs.
"""

import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aulight.cli.messages import is_users, message
from aulight.runs.overrides import readable

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


TASKS = {
    "prepare": "preparation.dataset",
    "sample": "preparation.sampling",
    "pretrain": "training.stage_one",
    "finetune": "training.stage_two",
    "report": "report.report",
    "predict": "prediction.predict",
    "export": "prediction.export",
    "dashboard": "training.dashboard",
}
"""The module of each command."""

SWEPT = ("pretrain", "finetune")
"""Commands whose jobs, with -m, are processes of their own; the sweeper lists those that failed."""

OWN_CONF = ("predict",)
"""Commands whose configuration is a folder of its own, where `model` is a path and not a group."""

FREE = ("trainer", "augment")
"""Groups whose settings go to other libraries as they are, which check them."""

OPTIONAL = ("coverage", "data.synthetic", "label_fraction", "pretrained", "probe")
"""Settings with a default that null turns off."""

AT_LEAST_ONE = (
    "clip.length", "data.protocol.folds", "faces.max_faces", "fold", "keep_every_epochs", "label_count",
    "loader.batch_size", "loader.chunk", "model.embedding", "model.hidden", "model.size", "objective.hidden",
    "objective.projection", "probe.every_epochs", "steps", "steps_per_epoch",
)  # fmt: skip


def conf_dir(command: str = "") -> Path:
    """The configuration folder, of a command: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parents[1]
    conf = here / "conf" if (here / "conf").is_dir() else here.parent / "conf"
    return conf / command if command in OWN_CONF else conf


def main() -> None:
    """Entry point of ``aulight``; exits with status 2 for a user's mistake, 1 when a part of the work failed."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        sys.exit(0 if arguments else 2)
    if arguments[0] == "--version":
        from aulight.version import __version__

        print(f"aulight {__version__}")
        return
    if (sweep := os.environ.pop("AULIGHT_JOB", None)) is not None:
        from aulight.runs.sweep_job import live_and_die_with_the_sweep

        live_and_die_with_the_sweep(sweep)
    command, typed = arguments[0], sys.argv
    if command not in COMMANDS:
        _fail(f"{command}: no such command; one of {', '.join(COMMANDS)}")
    # argparse wants all overrides in one row: -m may stand anywhere in it
    sys.argv = [f"aulight {command}", *sorted(arguments[1:], key=lambda a: a not in ("-m", "--multirun"))]
    try:
        _run(command, typed)
    except KeyboardInterrupt:
        print("aulight: interrupted; the same command goes on where it was", file=sys.stderr)
        from aulight.errors import INTERRUPTED

        sys.exit(INTERRUPTED)
    except Exception as error:
        if not is_users(error):
            raise
        from aulight.errors import RunsFailed, VideosFailed

        _fail(message(error), 1 if isinstance(error, RunsFailed | VideosFailed) else 2)


def task(command: str) -> Callable[[Any], None]:
    """The function behind a command; it takes the composed config."""
    function: Callable[[Any], None] = getattr(importlib.import_module(f"aulight.{TASKS[command]}"), command)
    return function


def _run(command: str, typed: list[str]) -> None:
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    sys.argv[1:] = [readable(argument) for argument in sys.argv[1:]]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed by Hydra
    OmegaConf.register_new_resolver("if_pretrained", _if_pretrained, replace=True)

    mistakes: list[Exception] = []

    def run(config: Any) -> str | None:
        is_job = "hydra.mode=MULTIRUN" in HydraConfig.get().overrides.hydra
        if is_job and command in SWEPT:
            from aulight.runs.sweep_job import run_job

            return run_job(command, config)
        sys.argv = typed  # Lightning starts the other processes of a distributed run with it
        _own_start_method()
        try:
            check_values(config, command)
            task(command)(config)
        except Exception as error:
            if is_job or not is_users(error):
                raise  # of a sweep, Hydra says which job it was and lets the others go on
            mistakes.append(error)
        return None

    hydra.main(version_base="1.3", config_path=str(conf_dir(command)), config_name=command)(run)()
    if mistakes:
        raise mistakes[0]


def _own_start_method() -> None:
    """Undoes what joblib's launcher sets for its processes, from which none of ours could be started."""
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn", force=True)


def check_values(config: Any, command: str) -> None:
    """Compares every setting of a composed config with its default.

    Raises:
        AulightError: For a setting that does not exist, or whose value is of another kind or out of range.
    """
    from hydra import compose
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    def is_choice(override: str) -> bool:
        return (conf_dir(command) / override.partition("=")[0].lstrip("+~")).is_dir()

    defaults = compose(command, [o for o in HydraConfig.get().overrides.task if is_choice(o)])
    plain = [OmegaConf.to_container(c, resolve=True, throw_on_missing=False) for c in (config, defaults)]
    _compare(plain[0], plain[1], "")


def _compare(given: Any, default: Any, key: str) -> None:
    from aulight.errors import AulightError

    if key in FREE or (default is None and given != {}) or (given is None and key in OPTIONAL):
        return
    wanted = ""
    if isinstance(default, dict) and isinstance(given, dict):
        prefix = f"{key}." if key else ""
        for name in sorted(default.keys() ^ given.keys()):
            problem = "is missing" if name in default else "no such setting"
            raise AulightError(f"{prefix}{name}: {problem}; --cfg job lists the settings")
        for name, value in default.items():
            _compare(given[name], value, f"{prefix}{name}")
    elif isinstance(default, list) and isinstance(given, list) and given:
        if len(given) != len(default) and key not in ("objective.horizons", "model.penalties"):
            wanted = f"{len(default)} values are"
        for value in given:
            _compare(value, default[0], key)
    elif isinstance(default, bool) or default is None:
        wanted = "" if isinstance(given, bool) else "true or false is"
    elif isinstance(default, int | float):
        kind: Any = int if isinstance(default, int) else int | float
        least = int(key in AT_LEAST_ONE)
        if isinstance(given, bool) or not isinstance(given, kind):
            wanted = "a whole number is" if kind is int else "a number is"
        elif given < least:
            wanted = f"at least {least} is"
    elif isinstance(default, str):
        wanted = "" if isinstance(given, str | int | float) else "a name is"
    else:
        wanted = "something of the same kind is"
    if wanted:
        raise AulightError(f"{key}={given}: {wanted} needed; the default is {default}")


def _if_pretrained(yes: Any, no: Any, *, _root_: Any) -> Any:
    """``${if_pretrained:yes,no}`` in a config: one value on top of stage one, another from scratch."""
    return no if _root_.pretrained is None else yes


def _fail(message: str, status: int = 2) -> None:
    print(f"aulight: {message}", file=sys.stderr)
    sys.exit(status)


def _usage() -> str:
    commands = "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
    return (
        "Facial action unit intensities from unlabelled video and a few labelled frames.\n\n"
        f"usage: aulight <command> [key=value ...] [-m]\n\n{commands}\n\n"
        "aulight <command> --help      its settings and defaults\n"
        "aulight <command> --cfg job   the configuration it would run with\n"
        "aulight <command> -m k=a,b    one run for each value"
    )


if __name__ == "__main__":
    main()
