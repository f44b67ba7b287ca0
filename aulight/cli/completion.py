"""``aulight -sc install=bash`` or ``zsh``: completion of commands and their settings in a shell, by Hydra's own."""

import os
import sys
from collections.abc import Collection

import hydra
from omegaconf import DictConfig

from aulight.runs.composed import conf_dir, register_resolvers

_ZSH = """whence compdef > /dev/null || { autoload -Uz compinit && compinit }
_aulight() {
    local -a choices
    choices=(${=$(COMP_LINE="${(j: :)words[1,CURRENT]}" aulight -sc query=zsh 2> /dev/null)})
    (( $#choices )) && compadd -S '' -- $choices && return
    compset -P '*='
    _files
}
compdef _aulight aulight"""
"""What zsh runs: words of Hydra's, and the names of files where there are none."""


def complete(arguments: list[str], commands: Collection[str]) -> None:
    """Prints what a shell wants: a script to install, or the words that may come next.

    Args:
        arguments: As typed; Hydra's, ``-sc install=bash``, ``-sc query=bash``, ...
        commands: All there are.
    """
    if "install=zsh" in arguments:  # Hydra has the script of bash for it
        print(_ZSH)
        return
    if "uninstall=zsh" in arguments:
        print("compdef -d aulight; unfunction _aulight")
        return
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
