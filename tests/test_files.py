import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from aulight.files import remove_leftovers, whole, write_table, write_yaml


def test_a_file_has_its_name_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with whole(path) as temporary:
        temporary.write_text("new, half")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".csv"  # some writers go by it
        assert temporary.name.startswith(".")
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_is_not_whole_leaves_what_was_there(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(error), whole(path) as temporary:
        _stop_after(temporary.write_text("new, half"), error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _stop_after(_written: int, error: type[BaseException]) -> None:
    raise error


def test_it_is_on_the_disk_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the order of the system calls."""
    calls: list[str] = []

    def noting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            calls.append(name)
            return call(*arguments)

        return noted

    monkeypatch.setattr(os, "fsync", noting("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", noting("replace", Path.replace))
    with whole(tmp_path / "a") as temporary:
        temporary.write_bytes(b"a")
    assert calls == ["fsync", "replace"]


def test_processes_of_one_number_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in two containers that share a folder: the number of the process is the same in both."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    path, inside = tmp_path / "run.yaml", threading.Barrier(2, timeout=30)

    def write(text: str) -> None:
        with whole(path) as temporary:
            temporary.write_text(text)
            inside.wait()
            assert temporary.read_text() == text
            inside.wait()

    other = threading.Thread(target=write, args=("one",))
    other.start()
    write("two")
    other.join()
    assert path.read_text() in ("one", "two")
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_killed_processes_are_known_from_other_files(tmp_path: Path) -> None:
    others = [".hydra", ".lock", ".a.tmp", ".a.0123456789abcdef", "a.0123456789abcdef.tmp.ckpt", "best.ckpt"]
    for name in others:
        (tmp_path / name).touch()
    for name in ("last.ckpt", "run.yaml", "no_suffix", "two.dots.parquet"):
        with whole(tmp_path / name) as temporary:
            temporary.touch()
        (tmp_path / name).rename(temporary)  # as a process leaves it that is killed
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
    remove_leftovers(tmp_path / "none")


def test_yaml_and_tables(tmp_path: Path) -> None:
    content = {"z": 1, "ä": ["ö", None], "a": {"b": 0.5}}
    write_yaml(content, tmp_path / "a.yaml")
    assert list(yaml.safe_load((tmp_path / "a.yaml").read_bytes())) == list(content)
    assert yaml.safe_load((tmp_path / "a.yaml").read_bytes()) == content
    table = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 7])
    write_table(table, tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), table.reset_index(drop=True))
