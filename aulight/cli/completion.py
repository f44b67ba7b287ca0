"""``aulight -sc install=bash``: completion of commands and their settings in a shell, by Hydra's own."""

import os
import sys
from collections.abc import Collection

import hydra
from omegaconf import DictConfig

from aulight.runs.composed import conf_dir, register_resolvers


def complete(arguments: list[str], commands: Collection[str]) -> None:
    """Prints what a shell wants: a script to install, or the words that may come next.

    Args:
        arguments: As typed; Hydra's, ``-sc install=bash``, ``-sc query=bash``, ...
        commands: All there are.
    """
    command = next(iter(commands))
    if any(argument.startswith("query=") for argument in arguments):
        program, _, typed = os.environ.get("COMP_LINE", "").lstrip().partition(" ")
        command, space, settings = typed.lstrip().partition(" ")
        if not space:
            print(" ".join(commands))
        if not space or command not in commands:
            return
        os.environ["COMP_LINE"] = f"{program} {settings}"  # Hydra knows of no commands
    register_resolvers()
    sys.argv = ["aulight", *arguments]
    hydra.main(version_base="1.3", config_path=str(conf_dir(command)), config_name=command)(_nothing)()


def _nothing(config: DictConfig) -> None:
    """What Hydra would run, were it not asked for a completion."""
    raise AssertionError(config)
