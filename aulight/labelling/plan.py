"""Who codes which frames, and in which order: by hashes, so that the same names always give the same plan."""

import hashlib
from collections.abc import Collection, Iterable, Sequence

from aulight.labelling.sample import Key


def ranked(frames: Iterable[Key], seed: int, what: str) -> list[Key]:
    """Frames in an order that looks random, of its own for each seed and each purpose.

    What is added or left out does not change the order of the others.

    Args:
        frames: In any order.
        seed: Of the plan.
        what: What the order is for, as the name of a coder.
    """

    def rank(key: Key) -> bytes:
        return hashlib.sha256(f"{seed}\0{what}\0{key[0]}\0{key[1]}".encode()).digest()

    return sorted(frames, key=rank)


def shared_of(frames: Collection[Key], share: float, seed: int) -> set[Key]:
    """The frames that go to every coder: a random share of all, rounded."""
    return set(ranked(frames, seed, "shared\n")[: round(share * len(frames))])


def dealt(frames: Iterable[Key], coders: Sequence[str], seed: int) -> dict[Key, str]:
    """Deals frames to coders at random, as many to each, give or take one."""
    return {key: coders[place % len(coders)] for place, key in enumerate(ranked(frames, seed, "dealt\n"))}
