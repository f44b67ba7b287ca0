"""One scene, drawn small, that several tests look at."""

import pytest

from aulight.data.avatars.assets import Assets, load_assets
from aulight.data.avatars.scene import Scene


@pytest.fixture(scope="session")
def assets() -> Assets:
    """Fetched as `make install` does it, where they are not in the cache."""
    return load_assets()


@pytest.fixture(scope="session")
def scene() -> Scene:
    return Scene(seed=0, subject=5, video=0, frames=12, fps=25.0, pixels=64)
