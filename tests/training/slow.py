"""Oracles: what a loss of stage one is, by loops anyone can check by eye."""

import math
from collections.abc import Sequence

from torch import Tensor

Moment = tuple[int, int]
"""A clip of the batch, and a place in it."""


def weights(
    video: Sequence[int],
    subject: Sequence[int],
    frames: Sequence[Sequence[int]],
    positive: Moment,
    other_subjects: float,
    same_subject: float,
) -> dict[Moment, float]:
    """What each moment of the batch counts for a query whose positive is given; those that do not are left out."""
    clip, place = positive
    steps = [after - before for before, after in zip(frames[clip], frames[clip][1:], strict=False) if after > before]
    spacing = min(steps, default=1)
    own, own_clip, same_person, strangers = [], 0, [], []
    for other in range(len(video)):
        for moment in range(len(frames[other])):
            if video[other] == video[clip]:
                if abs(frames[other][moment] - frames[clip][place]) >= spacing:
                    own.append((other, moment))
                    own_clip += other == clip
            elif subject[other] == subject[clip]:
                same_person.append((other, moment))
            else:
                strangers.append((other, moment))
    counted = {positive: 1.0}
    for group, together in (
        (own, own_clip),
        (same_person, same_subject * (own_clip + 1)),
        (strangers, other_subjects * (own_clip + 1)),
    ):
        if together > 0:
            counted |= {candidate: together / len(group) for candidate in group}
    return counted


class Sums:
    """Of InfoNCE over some queries: the loss, and how often the positive comes first, with its chance."""

    def __init__(self) -> None:
        self.count = 0
        self.loss = self.top1 = self.top1_same = self.chance = self.chance_same = 0.0

    def add(
        self,
        query: Tensor,
        keys: dict[tuple[int, int, int], Tensor],
        positive: tuple[int, int, int],
        counted: dict[Moment, float],
        video: Sequence[int],
        temperature: float,
    ) -> None:
        """One query; keys are by clip, moment and place, and all vectors of length 1, in float64."""
        similar = {key: float(query @ vector) for key, vector in keys.items() if key[:2] in counted}
        total = sum(counted[key[:2]] * math.exp(value / temperature) for key, value in similar.items())
        same = {key: value for key, value in similar.items() if video[key[0]] == video[positive[0]]}
        self.count += 1
        self.loss -= similar[positive] / temperature - math.log(total)
        self.top1 += similar[positive] == max(similar.values())
        self.top1_same += same[positive] == max(same.values())
        self.chance += 1 / len(similar)
        self.chance_same += 1 / len(same)

    def means(self) -> dict[str, float]:
        """By the names of :class:`aulight.training.losses.InfoNCE`."""
        names = ("loss", "top1", "top1_same", "chance", "chance_same")
        return {name: getattr(self, name) / self.count for name in names}
