"""docs/troubleshooting.md: every message that a user can be given is found there, and what stands there can be met."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"

RAISED = {
    "AulightError", "VideoError", "VideosFailed", "RunsFailed", "Taken", "Forbidden", "mistake", "missing", "Problem",
    "Needed",
}  # fmt: skip
"""What is called with a message that a user sees."""

LEAST = 8
"""Letters below which a message has no words of its own: it hands on another's."""


class Message(NamedTuple):
    """What is said, with an ellipsis for what is put in, and where that stands."""

    text: str
    place: str


def _texts(node: ast.expr) -> list[str]:
    """All that an expression can say, as far as it stands in it; an ellipsis for the rest."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(_texts(value)[0] if isinstance(value, ast.Constant) else "…" for value in node.values)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [one + other for one in _texts(node.left) for other in _texts(node.right)]
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    return ["…"]


@cache
def parsed() -> dict[Path, list[ast.AST]]:
    """Every node of every file of the package."""
    paths = sorted([*(ROOT / "aulight").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")])
    return {path: list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) for path in paths}


@cache
def messages() -> list[Message]:
    """What the package raises, by reading it."""
    found = []
    for path, nodes in parsed().items():
        for node in nodes:
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", None))
                if name in RAISED:
                    texts = [" ".join(parts) for parts in _every([_texts(part) for part in node.args])]
                    place = f"{path.relative_to(ROOT)}:{node.lineno}"
                    found += [Message(text, place) for text in texts if len(re.findall(r"[a-z]", text)) >= LEAST]
    return found


def _every(parts: list[list[str]]) -> Iterator[list[str]]:
    """Each choice of one of each."""
    if not parts:
        yield []
        return
    for first in parts[0]:
        for rest in _every(parts[1:]):
            yield [first, *rest]


@cache
def rows() -> dict[str, str]:
    """What a message says, by the rows of the page, and what to do."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith(("| ---", "| what you see")):
            seen, cure = re.split(r"(?<!\\) \| ", line.strip("| "), maxsplit=1)
            for phrase in re.findall(r"`([^`]+)`", seen):
                found[phrase] = cure
    return found


@cache
def words(phrase: str) -> re.Pattern[str]:
    """A phrase of the page, with whatever is put in where it has dots."""
    return re.compile(".*".join(map(re.escape, phrase.split("..."))))


def lacking(said: list[Message]) -> list[Message]:
    return [message for message in said if not any(words(phrase).search(message.text) for phrase in rows())]


def test_every_message_is_found_on_the_page() -> None:
    """A new kind of message wants a row: words of it in backticks, why, and what to do."""
    assert len(messages()) > 350
    assert [f"{place}: {text}" for text, place in lacking(messages())] == []


def test_a_message_of_a_new_kind_is_missed() -> None:
    """The page has no row that fits whatever is said."""
    strange = [Message(text, "") for text in ("the moon is too bright", "…: bring …; … cheese", "…: wrong colour")]
    assert lacking(strange) == strange
    assert all(len(re.findall(r"[a-z]", phrase)) >= 4 for phrase in rows())
    most = max(sum(bool(words(phrase).search(message.text)) for message in messages()) for phrase in rows())
    assert most < 0.2 * len(messages())


def test_what_the_page_names_can_be_met() -> None:
    """Each phrase stands in a text of the package, be it raised or printed."""
    nodes = [
        node for of_file in parsed().values() for node in of_file if isinstance(node, ast.Constant | ast.JoinedStr)
    ]
    texts = "\n".join([message.text for message in messages()] + [text for node in nodes for text in _texts(node)])
    assert [phrase for phrase in rows() if not words(phrase).search(texts)] == []


def test_every_row_has_a_cure() -> None:
    assert len(rows()) > 150
    assert [phrase for phrase, cure in rows().items() if len(cure) < 15] == []
