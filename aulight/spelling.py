"""Names as people spell them: which spellings are one name."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable


def clean(name: str) -> str:
    """A name without what nobody sees: one form of each letter, no invisible signs, single spaces.

    ``é`` is one sign or an ``e`` and an accent, macOS writes file names the second way; spreadsheets add spaces, and
    what is copied from a web page brings signs of no width.
    """
    return _settled(name, lambda text: unicodedata.normalize("NFC", _seen(text)))


def fold(name: str) -> str:
    """What is equal for all spellings of a name: :func:`clean`, without case, full-width letters as narrow ones.

    Digits count: ``P1`` and ``P01`` are two names, and so are ``P 1`` and ``P1``.
    """
    return _settled(name, lambda text: unicodedata.normalize("NFKC", _seen(text).casefold()))


def ambiguous(names: Iterable[str]) -> list[list[str]]:
    """Those names that are spelt in more than one way, all spellings of one together, in order."""
    groups = defaultdict(set)
    for name in names:
        groups[fold(name)].add(name)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def exactly(name: str) -> str:
    """A name for a message that sets it apart from other spellings of it, however alike they look."""
    return repr(name) if name == clean(name) and name.isascii() else ascii(name)


def _seen(text: str) -> str:
    """The text without signs that nobody sees, with single spaces."""
    spaced = re.sub(r"\s+", " ", text)
    return " ".join("".join(sign for sign in spaced if unicodedata.category(sign) not in ("Cc", "Cf")).split())


def _settled(text: str, change: Callable[[str], str]) -> str:
    """The text changed until it stays: leaving out a sign may let two others become one."""
    while (after := change(text)) != text:
        text = after
    return text
