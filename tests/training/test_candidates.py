import pytest
import torch
from torch import Tensor

from aulight.training.candidates import Candidates, ClipIds, weigh
from tests.training.slow import weights


def _all_of(ids: ClipIds, other_subjects: float, same_subject: float) -> Candidates:
    """With every moment of every clip as a positive in turn."""
    clips, steps = ids.frames.shape
    queries = torch.arange(clips * steps)
    return weigh(ids, queries // steps, queries % steps, other_subjects, same_subject)


def _clips(video: Tensor, subject: Tensor, steps: int, length: int = 160) -> ClipIds:
    """Clips as stage one draws them: at random places, with a stride of 4 to 8 frames."""
    stride = torch.randint(4, 9, video.shape)
    start = (torch.rand(video.shape) * (length - (steps - 1) * stride)).long()
    return ClipIds(video, subject, start[:, None] + stride[:, None] * torch.arange(steps))


ODD = ClipIds(
    video=torch.tensor([7, 7, 7, 2, 3, 3, 90]),
    subject=torch.tensor([1, 1, 1, 1, 0, 0, 5]),
    frames=torch.tensor(
        [
            [0, 4, 8, 12],
            [8, 10, 12, 14],  # shares frames with the first, and has some between those of it
            [30, 36, 42, 48],
            [0, 4, 8, 12],  # the same places, in another video of the same person
            [5, 5, 5, 9],  # the first frame three times
            [5, 5, 5, 5],  # one frame alone
            [8, 9, 10, 11],
        ]
    ),
)


@pytest.mark.parametrize("same_subject", [0.0, 0.5])
@pytest.mark.parametrize("other_subjects", [0.35, 7.0, 0.0])
@pytest.mark.parametrize("which", ["odd", "few people", "one person", "one clip"])
def test_weights_equal_slow_loops(which: str, other_subjects: float, same_subject: float) -> None:
    torch.manual_seed(0)
    few = torch.randint(5, (12,))
    ids = {
        "odd": ODD,
        "few people": _clips(few, few // 2, 6, length=50),
        "one person": _clips(torch.arange(4) // 2, torch.zeros(4, dtype=torch.int64), 5),
        "one clip": _clips(torch.tensor([3]), torch.tensor([1]), 5),
    }[which]
    found = _all_of(ids, other_subjects, same_subject)
    video, subject, frames = (part.tolist() for part in ids)
    clips, steps = ids.frames.shape
    for query, (clip, moment) in enumerate((c, t) for c in range(clips) for t in range(steps)):
        counted = weights(video, subject, frames, (clip, moment), other_subjects, same_subject)
        expected = [[counted.get((c, t), 0.0) for t in range(steps)] for c in range(clips)]
        torch.testing.assert_close(found.weight[query], torch.tensor(expected, dtype=torch.float32))
        assert found.own[query].tolist() == [number == video[clip] for number in video]
        assert found.positive[query] == clip * steps + moment


def _share(ids: ClipIds, queries: int, other_subjects: float) -> tuple[Tensor, Tensor]:
    """What other people's frames weigh together by the own video's, and the weights of the latter, for some queries."""
    clips, steps = ids.frames.shape
    clip, moment = torch.randint(clips, (queries,)), torch.randint(steps, (queries,))
    found = weigh(ids, clip, moment, other_subjects, same_subject=0.0)
    own = (found.weight * found.own[:, :, None]).sum((1, 2))
    return (found.weight * ~found.own[:, :, None]).sum((1, 2)) / own, own


@pytest.mark.parametrize("clips", [2, 8, 32, 256, 1024])
@pytest.mark.parametrize("people", [500, 14])
def test_other_people_weigh_the_same_at_any_batch(people: int, clips: int) -> None:
    """On 500 people and on the 14 that DISFA leaves to train: with a weight a frame it was .35, 1.55, 12.8 and 51."""
    torch.manual_seed(0)
    video = torch.arange(clips) % people  # every video in turn
    share, own = _share(_clips(video, video, 16), 64, other_subjects=0.35)
    torch.testing.assert_close(share, torch.full((64,), 0.35))
    torch.testing.assert_close(own, torch.full((64,), 16.0))


def test_at_eight_clips_each_frame_weighs_what_it_did() -> None:
    """The weight of .05 a frame that results so far were made with, and of 1 in ``objective=dense``."""
    torch.manual_seed(0)
    ids = _clips(torch.arange(8), torch.arange(8), 16)
    for together, each in ((0.35, 0.05), (7.0, 1.0)):
        found = _all_of(ids, together, 0.0)
        own = found.own[:, :, None].expand_as(found.weight)
        torch.testing.assert_close(found.weight, torch.where(own, 1.0, each))


def test_no_query_meets_its_own_frame_again() -> None:
    """Of 256 clips of 14 people, where it did in one query of twenty; nor the same person at the same time."""
    torch.manual_seed(0)
    people = torch.arange(256) % 14
    camera = torch.arange(256) // 14 % 2
    ids = _clips(2 * people + camera, people, 16)
    queries, clip = 400, torch.randint(256, (400,))
    moment = torch.randint(16, (queries,))
    found = weigh(ids, clip, moment, 0.35, 0.0)
    twin = (ids.subject[clip, None, None] == ids.subject[:, None]) & (
        ids.frames[clip, moment][:, None, None] == ids.frames
    )
    again = twin.flatten(1).scatter(1, found.positive[:, None], False)
    assert again.any(1).float().mean() > 0.1
    assert not found.weight.flatten(1)[again].any()
    other_moments = (ids.video[clip, None] == ids.video)[:, :, None] & ~twin
    assert (found.weight[other_moments] > 0).float().mean() > 0.8
