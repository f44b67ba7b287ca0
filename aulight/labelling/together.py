"""What several coders say of one frame: where they differ, what they agree on, and what counts in the end."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from aulight.labelling.sample import Key
from aulight.labelling.store import Score, Store
from aulight.settings.label import CONSENSUS

Said = dict[str, int | None]
"""Coder to score, ``None`` where they cannot tell."""


@dataclass(frozen=True)
class Frame:
    """A frame that several coders have coded.

    Attributes:
        key: The frame.
        said: AU to what each coder says, without the consensus.
    """

    key: Key
    said: Mapping[int, Said]

    @property
    def differing(self) -> list[int]:
        """The AUs of which not all say the same."""
        return [au for au, said in self.said.items() if len(set(said.values())) > 1]

    @property
    def apart(self) -> int:
        """How far coders are apart: the distance of the extreme scores, summed over the AUs."""
        known = [[score for score in said.values() if score is not None] for said in self.said.values()]
        return sum(max(scores) - min(scores) for scores in known if scores)


def by_frame(scores: Iterable[Score]) -> dict[Key, dict[int, Said]]:
    """Scores by frame, AU and coder."""
    found: defaultdict[Key, defaultdict[int, Said]] = defaultdict(lambda: defaultdict(dict))
    for score in scores:
        found[score.key][score.au][score.coder] = score.score
    return {key: {au: dict(sorted(said.items())) for au, said in aus.items()} for key, aus in found.items()}


def open_frames(store: Store) -> tuple[list[Frame], dict[str, int]]:
    """The frames that may be looked at together, and whom the others wait for.

    A frame is closed until everybody who has begun to code, and is to code it, has scored all its AUs: coders stay
    blind to each other.

    Args:
        store: The scores.

    Returns:
        The frames that two coders or more have coded, those on which they differ most first; and of each coder whom
        frames wait for, how many.
    """
    scores, aus = store.scores(), store.aus
    coders = sorted({score.coder for score in scores} - {CONSENSUS})
    plans = {coder: store.frames_for(coder) for coder in coders}
    frames, waiting = list[Frame](), defaultdict[str, int](int)
    for key, of in by_frame(scores).items():
        theirs = {au: {who: score for who, score in said.items() if who != CONSENSUS} for au, said in of.items()}
        done = [coder for coder in coders if all(coder in theirs.get(au, {}) for au in aus)]
        late = [coder for coder in coders if key in plans[coder] and coder not in done]
        if done and late:
            for coder in late:
                waiting[coder] += 1
        elif len(done) > 1:
            frames.append(Frame(key, {au: theirs[au] for au in aus}))
    return sorted(frames, key=lambda frame: (-frame.apart, -len(frame.differing), frame.key)), dict(waiting)


def counting(said: Said, differing: Literal["empty", "median"]) -> tuple[int | None, str]:
    """The label that several scores of an AU in a frame make.

    Args:
        said: By everybody, the consensus among them; at least one.
        differing: What to do where coders differ and there is no consensus.

    Returns:
        The label, ``None`` where it is unknown; and how it came about: ``consensus``, ``alike``, ``differing``.

    Example:
        >>> counting({"c1": 2, "c2": None}, "empty"), counting({"c1": 2, "c2": 3}, "median")
        ((2, 'alike'), (2, 'differing'))
    """
    if CONSENSUS in said:
        return said[CONSENSUS], "consensus"
    known = sorted(score for score in said.values() if score is not None)
    if len(set(known)) < 2:
        return (known[0] if known else None), "alike"
    return (known[(len(known) - 1) // 2] if differing == "median" else None), "differing"
