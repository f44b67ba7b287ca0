from collections.abc import Callable
from typing import Any

import pytest
from omegaconf import OmegaConf

from aulight.runs.composed import composed as whole
from aulight.runs.composed import register_resolvers

NEEDED = {
    "export": ["run=somewhere"],
    "predict": ["input=somewhere"],
    "prepare": [],
    "report": ["runs=somewhere"],
    "sample": ["output=somewhere"],
}
"""Settings that have no default."""


@pytest.fixture(scope="session")
def composed() -> Callable[..., dict[str, Any]]:
    """``composed(command, *overrides)``: its configuration in plain containers, as Hydra composes it."""
    register_resolvers()

    def plain(command: str, *overrides: str) -> dict[str, Any]:
        with whole(command, [*NEEDED.get(command, []), *overrides]) as config:
            resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        return dict(resolved)

    return plain
