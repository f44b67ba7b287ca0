"""Settings as Hydra's grammar reads them."""

import re

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException


def readable(argument: str) -> str:
    """A setting as Hydra's grammar can read it: in quotes where it cannot, such as a path with ``~`` or ``ü``."""
    key, sign, value = argument.partition("=")
    if not sign or not re.fullmatch(r"\+{0,2}[\w.]+", key):
        return argument
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        return f"{key}={quoted(value)}"
    return argument


def quoted(value: str) -> str:
    """A value as Hydra's grammar takes any."""
    value = re.sub(r"(\\*)'", r"\1\1\'", value) + "\\" * (len(value) - len(value.rstrip("\\")))
    return f"'{value}'"


def own_folders() -> list[str]:
    """Of what Hydra was told in this run, where the user's own configurations are: for composing once more."""
    return [override for override in HydraConfig.get().overrides.hydra if override.startswith("hydra.searchpath=")]
