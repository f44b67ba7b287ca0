"""Oracle: loops over clips and hidden moments in float64, and recurrences that are run by hand both ways."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from aulight.data.batches import ClipBatch
from aulight.settings.objective import MaskedSettings
from aulight.settings.reading import read
from aulight.training.masked import Masked
from tests.training.stages import OPTIM, Alone, batch_of, encoder_of, learned, objective_of


class _Stage(Alone, Masked):
    hidden: Tensor

    def _hidden(self, batch: ClipBatch) -> Tensor:
        self.__dict__["hidden"] = super()._hidden(batch)
        return self.hidden


def _stage(objective: dict[str, Any], norm: str = "group") -> _Stage:
    torch.manual_seed(0)
    stage = _Stage(encoder_of("gru", norm), read(MaskedSettings, objective), OPTIM)
    with torch.no_grad():
        stage.token.normal_()
    return stage


@torch.no_grad()
def _oracle(stage: _Stage, given: ClipBatch) -> float:
    o, clips = stage.objective, given["clips"]
    batch, views, steps = clips.shape[:3]
    pixels = [((clips[:, view] / 255 - 0.5) / 0.25).permute(0, 1, 4, 2, 3) for view in range(views)]
    total, count = 0.0, 0
    for view in range(views):
        embedded = stage.encoder.embed(pixels[view])
        taught = stage.teacher.projector(stage.teacher.encoder.embed(pixels[(view + 1) % views])[..., 0, 0])
        for clip in range(batch):
            hidden = stage.hidden[view * batch + clip].tolist()
            shown = [stage.token if hidden[t] else embedded[clip, t] for t in range(steps)]
            before, after, state = [], dict[int, Tensor](), None
            for t in range(steps):
                out, state = stage.encoder.temporal(shown[t][None, None], state)
                before.append(out[0, 0, :, 0, 0])
            state = None
            for t in reversed(range(steps)):
                out, state = stage.backwards(shown[t][None, None], state)
                after[t] = out[0, 0, :, 0, 0]
            found = [stage.predictor(torch.cat([before[t], after[t]])[None])[0].double() for t in range(steps)]
            theirs = [taught[clip, t].double() for t in range(steps)]
            means = [sum(x) / steps if o.within else torch.zeros(1) for x in (found, theirs)]
            for t in range(steps):
                if hidden[t]:
                    p, q = found[t] - means[0], theirs[t] - means[1]
                    total += float((p / p.norm() - q / q.norm()).square().sum())
                    count += 1
    return total / count


@pytest.mark.parametrize(("views", "changes"), [(2, {}), (2, {"within": False}), (1, {"views": 1, "share": 0.2})])
def test_loss_equals_slow_loops(views: int, changes: dict[str, Any]) -> None:
    stage, batch = _stage(objective_of("masked", **changes)), batch_of(3, views, 6)
    loss = stage(batch).item()
    expected = _oracle(stage, batch)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert stage.logged == pytest.approx({"train/masked_loss": expected, "train/loss": expected}, rel=1e-4)


@pytest.mark.parametrize(("share", "count"), [(0.4, 4), (0.01, 1), (0.99, 9)])
def test_as_many_frames_of_each_clip_are_hidden_and_all_alike(share: float, count: int) -> None:
    stage = _stage(objective_of("masked", share=share))
    frames = torch.arange(10) + torch.arange(1000)[:, None]
    batch: Any = {"video": torch.arange(1000) % 7, "frames": frames}
    hidden = stage._hidden(batch)
    rest: Any = {name: value[500:] for name, value in batch.items()}
    some = stage._hidden(rest)
    torch.testing.assert_close(torch.cat([hidden[500:1000], hidden[1500:]]), some)
    assert (hidden.sum(1) == count).all()
    often = hidden.float().mean(0)
    assert torch.allclose(often, torch.full((10,), count / 10), atol=5 * math.sqrt(0.25 / 2000))


def test_what_is_hidden_is_not_seen() -> None:
    """The features of a clip whose hidden frames are other pictures are the same: only what is to be found changes."""
    stage, batch = _stage(objective_of("masked", views=1)), batch_of(2, 1, 6)
    seen = list[Tensor]()
    handle = stage.predictor.register_forward_hook(lambda _module, given, _out: seen.append(given[0].detach()))
    for _ in range(2):
        stage(batch)
        batch["clips"] = torch.where(stage.hidden[:, None, :, None, None, None], 255 - batch["clips"], batch["clips"])
    handle.remove()
    torch.testing.assert_close(seen[0], seen[1])


def test_learns_a_few_clips_by_heart() -> None:
    stage, batch = _stage(objective_of("masked", momentum=0.9), "batch"), batch_of(3, 2, 6)
    losses = learned(stage, batch, 40)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
