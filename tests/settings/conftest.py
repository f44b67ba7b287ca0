from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

CONF = Path(__file__).parents[2] / "conf"

NEEDED = {
    "export": ["run=somewhere"],
    "predict": ["input=somewhere"],
    "prepare": [],
    "report": ["runs=somewhere"],
    "sample": ["output=somewhere"],
}
"""Settings that have no default."""


def _if_pretrained(yes: Any, no: Any, *, _root_: Any) -> Any:
    return no if _root_.pretrained is None else yes


@pytest.fixture(scope="session")
def composed() -> Callable[..., dict[str, Any]]:
    """``composed(command, *overrides)``: its configuration in plain containers, as Hydra composes it."""
    OmegaConf.register_new_resolver("if_pretrained", _if_pretrained, replace=True)

    def plain(command: str, *overrides: str) -> dict[str, Any]:
        folder = CONF / "predict" if command == "predict" else CONF
        with initialize_config_dir(str(folder), version_base="1.3"):
            config = compose(command, [*NEEDED.get(command, []), *overrides], return_hydra_config=True)
        HydraConfig.instance().set_config(config)  # an experiment asks it which objective was chosen
        try:
            own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
            resolved: Any = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
        finally:
            HydraConfig.instance().cfg = None
        return dict(resolved)

    return plain
