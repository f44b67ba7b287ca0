"""Which moments of a batch a query of stage one is asked to tell apart, and how much each of them counts."""

from typing import NamedTuple

import torch
from torch import Tensor


class ClipIds(NamedTuple):
    """Where the V clips of a batch are from, over all ranks.

    Attributes:
        video: `(V,)` int64, equal for clips of one video.
        subject: `(V,)` int64, equal for clips of one person; where that is not known, a number for each video.
        frames: `(V, T)` int64, places of a clip's T moments in its video, in time order; one may come twice.
    """

    video: Tensor
    subject: Tensor
    frames: Tensor


class Candidates(NamedTuple):
    """The moments of all clips as Q queries see them.

    Attributes:
        weight: `(Q, V, T)` float32, 0 or more: what each moment's similarity is multiplied by, after exp. The positive
            has 1; what has 0 plays no part.
        own: `(Q, V)` bool, whether a clip is of the query's own video.
        positive: `(Q,)` int64, index of the positive into the V T moments.
    """

    weight: Tensor
    own: Tensor
    positive: Tensor


def weigh(ids: ClipIds, clip: Tensor, moment: Tensor, other_subjects: float, same_subject: float) -> Candidates:
    """Weighs all moments of a batch for each query, so that a loss means the same however many clips there are.

    Candidates come in groups, and it is the weight of a whole group that is given: more clips make more candidates,
    each of which counts less. With k the moments of the query's own clip that are neither the positive nor too near to
    it, the groups have, apart from the positive's 1::

        own video, the other clips of it included    k
        the same subject in other videos             same_subject * (k + 1)
        other subjects                               other_subjects * (k + 1)

    and all candidates of a group the same. What is too near plays no part: moments of the own video that show the
    positive's frame, or one less far from it than the samples of the query's own clip are from each other.

    Args:
        ids: Where the clips are from.
        clip: `(Q,)` int64, the query's own clip, an index into V.
        moment: `(Q,)` int64, the positive's place in that clip, an index into T.
        other_subjects: 0 or more.
        same_subject: 0 or more.
    """
    steps = ids.frames.shape[1]
    own = ids.video[clip, None] == ids.video  # (Q, V)
    known = ~own & (ids.subject[clip, None] == ids.subject)
    foreign = ~own & ~known
    places = ids.frames.int()
    away = (places - places[clip, moment, None, None]).abs()  # (Q, V, T)
    near = own[:, :, None] & (away < _spacing(places)[clip, None, None])  # the positive is one of them
    in_own_clip = steps - near[torch.arange(len(clip), device=clip.device), clip].sum(1)  # k

    def each(total: Tensor, count: Tensor) -> Tensor:
        return (total / count.clamp(min=1))[:, None]

    weight = (
        own * each(in_own_clip, own.sum(1) * steps - near.sum((1, 2)))
        + known * each(same_subject * (in_own_clip + 1), known.sum(1) * steps)
        + foreign * each(other_subjects * (in_own_clip + 1), foreign.sum(1) * steps)
    )
    weight = weight[:, :, None].masked_fill(near, 0.0)
    positive = clip * steps + moment
    weight.flatten(1).scatter_(1, positive[:, None], 1.0)
    return Candidates(weight, own, positive)


def _spacing(places: Tensor) -> Tensor:
    """`(V,)` least distance of two samples of a clip `(V, T)`, in frames; 1 where it shows one frame alone."""
    none = torch.iinfo(places.dtype).max
    steps = torch.cat([places.diff(dim=1), torch.zeros_like(places[:, :1])], dim=1)
    least = steps.masked_fill(steps == 0, none).amin(1)
    return least.masked_fill(least == none, 1)
