"""README and the pages in docs/: what they link to is there, and what they tell people to type is taken."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from aulight.cli.main import COMMANDS, SWEPT
from aulight.settings.commands import settings_of
from aulight.settings.reading import read
from tests.conftest import Command

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [ROOT / "README.md", *PAGES]
LINK = re.compile(r"""(?:\]\(|<img src=")([^)"\s]+)""")


class Typed(NamedTuple):
    """A line of a block of shell, and the page that it is on."""

    page: str
    words: list[str]


def _lines() -> Iterator[Typed]:
    """What a page tells people to type, command by command, without what stands for something of theirs."""
    for path in TEXTS:
        for block in re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S):
            for line in re.split(r"\n|&&", block):
                words = shlex.split(line.replace("$settings", "trainer=ddp"), comments=True)
                if words:
                    yield Typed(path.name, words)


TYPED = list(_lines())
AULIGHT = [typed for typed in TYPED if typed.words[0] == "aulight" and "..." not in typed.words]


def _heading(line: str) -> str:
    """The name of a heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [link for link in LINK.findall(text) if not link.startswith(("https://", "http://"))]
    for link in links:
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        assert target.exists(), link
        assert ROOT in target.resolve().parents, link
        if anchor:
            lines = target.read_text(encoding="utf-8").splitlines()
            assert anchor in [_heading(line) for line in lines if line.startswith("#")], link


def test_every_page_and_picture_is_linked() -> None:
    linked = {
        (path.parent / link.partition("#")[0]).resolve()
        for path in TEXTS
        for link in LINK.findall(path.read_text(encoding="utf-8"))
    }
    readme = {(ROOT / link).resolve() for link in LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))}
    assert {path.resolve() for path in PAGES} <= readme
    assert {path.resolve() for path in (ROOT / "docs").iterdir()} <= linked


def test_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.encode()) <= 9000
    assert len(text.splitlines()) <= 150


@pytest.mark.parametrize("typed", AULIGHT, ids=lambda typed: f"{typed.page}: {' '.join(typed.words[1:])}"[:90])
def test_commands_take_what_pages_type(typed: Typed, aulight: Command) -> None:
    """Oracle: what the command would run with, by its own word, is what its settings may be."""
    command, *given = [word for word in typed.words[1:] if word != "-m"]
    if command.startswith("-"):
        assert command == "-sc"
        return
    assert command in COMMANDS
    if "-m" in typed.words:
        assert command in SWEPT
        given = [word.partition(",")[0] for word in given]  # the first of its jobs
    outcome = aulight(command, *given, "--cfg", "job", "--resolve")
    assert outcome.status == 0, outcome.err
    read(settings_of(command), yaml.safe_load(outcome.out))


def test_makefile_has_what_pages_make() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+)[a-z0-9 -]*:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    targets |= {"reproduce-disfa", "reproduce-bp4d"}
    made = {typed.words[1] for typed in TYPED if typed.words[0] == "make"}
    for path in TEXTS:
        made |= set(re.findall(r"`make ([a-z0-9-]+)", path.read_text(encoding="utf-8")))
    assert {"reproduce", "test", "install"} <= made <= targets
