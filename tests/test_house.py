"""The layout of the package: rooms on floors, imports that run downwards, files that can be read in one go."""

import ast
import functools
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "aulight"

FLOORS = (
    ("version", "errors", "facs", "spelling", "datasets", "files", "processes"),
    ("settings", "scoring", "protocol", "foreign", "workers"),
    ("data", "nets"),
    ("runs", "drawing"),
    ("prediction", "training", "preparation", "labelling", "report"),
    ("cli",),
    ("__init__", "__main__"),
)
"""Folders and files of the package's root, from the lowest floor to the highest."""

LONGEST = 400
ROOT_FILES = 10


@functools.cache
def modules() -> dict[str, Path]:
    """Files by their dotted names; a folder's ``__init__.py`` by the name of the folder."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(PACKAGE.rglob("*.py"))}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


@functools.cache
def imports() -> dict[str, set[str]]:
    """What each module imports of the package, wherever in the file; what stands in ``if TYPE_CHECKING`` as well."""
    found: dict[str, set[str]] = {}
    for name, path in modules().items():
        of_module = found.setdefault(name, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                of_module |= {alias.name for alias in node.names if alias.name in modules()}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                parts = {f"{node.module}.{alias.name}" for alias in node.names}
                of_module |= {part if part in modules() else node.module for part in parts} & modules().keys()
    return found


def room(name: str) -> str:
    """``data`` for ``aulight.data.video.raw``."""
    return [*name.split("."), "__init__"][1]


def test_every_room_is_on_a_floor() -> None:
    listed = [name for floor in FLOORS for name in floor]
    assert len(listed) == len(set(listed))
    assert {room(name) for name in modules()} == set(listed)


def test_imports_run_downwards() -> None:
    floor_of = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    upwards = [
        f"{name} imports {other}"
        for name, others in imports().items()
        for other in others
        if floor_of[room(other)] > floor_of[room(name)]
    ]
    assert upwards == []


def test_rooms_of_a_floor_do_not_import_each_other_in_a_circle() -> None:
    between: dict[str, set[str]] = {}
    for name, others in imports().items():
        between.setdefault(room(name), set()).update({room(other) for other in others} - {room(name)})
    graphlib.TopologicalSorter(between).prepare()  # raises CycleError


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graphlib.TopologicalSorter(imports()).prepare()  # raises CycleError


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_can_be_read_in_one_go(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_the_root_tells_the_story() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= ROOT_FILES


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*/__init__.py")), ids=lambda path: path.parent.name)
def test_a_folder_says_in_a_sentence_what_lives_there(path: Path) -> None:
    """Nothing else is in it: no names are handed on."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    sentence = ast.get_docstring(module) or ""
    assert len(module.body) == 1
    assert re.fullmatch(r"[^.\n]*(\.\w[^.\n]*)*\.", sentence), sentence


def test_few_dicts_of_anything_are_left() -> None:
    """Each is what a library hands over or takes; what is ours has a class."""
    count = sum(path.read_text(encoding="utf-8").count("dict[str, Any]") for path in modules().values())
    assert count < 20


def test_the_docs_say_what_is_in_every_folder() -> None:
    development = (ROOT / "docs" / "develop.md").read_text(encoding="utf-8")
    for folder in sorted({path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}):
        assert re.search(rf"`(aulight/)?{folder.name}/`", development), folder
