"""A trained model over a stream of frames, its recurrent state carried along."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from aulight.nets.encoder import Encoder
from aulight.nets.recurrence import Recurrence
from aulight.nets.tracks import Times, Which


class FrameStream:
    """Scores one video from its first frame on, in pieces of any length, in constant memory.

    Each frame goes through the backbone once; what state it continues is said in :mod:`aulight.nets.recurrence`.

    Args:
        encoder: In eval mode.
        head: What is wanted of each frame: features ``(B, T, C, h, w)`` to ``(B, T, n)``, for example the intensities
            by ``IntensityRegressor.predict``.
        step_s: As of :class:`Recurrence`, as the next.
        primed: As there.
        unclamped: ``head`` before it clips, up to scale and shift, for :meth:`explain`: what is clipped has no slope.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: Callable[[Tensor], Tensor],
        step_s: float,
        primed: int,
        unclamped: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.encoder, self.head, self.unclamped = encoder, head, unclamped or head
        self._recurrence = Recurrence(step_s, primed)

    @torch.no_grad()
    def push(self, clip: Tensor, times: Times, faces: Which | None = None, anew: Which | None = None) -> Tensor:
        """Scores the next frames.

        Args:
            clip: ``(1, n, H, W, 3)`` uint8.
            times: ``(n,)`` seconds.
            faces: ``(n,)`` whether there is a face; ``None``: there always is.
            anew: ``(n,)`` whether it is another person, or the face is elsewhere; ``None``: it never is.

        Returns:
            ``(n, outputs of the head)`` float32; of no use for frames without a face.
        """

        def step(embedding: Tensor, before: Tensor | None) -> tuple[tuple[Tensor, ...], Tensor | None]:
            features, state = self.encoder.follow(embedding[:, None], before)
            return (features[:, 0],), state

        def embed(frames: Tensor) -> Tensor:
            return self.encoder.embed(self.encoder.normalise(frames[None]))[0]

        (features,) = self._recurrence.push(clip[0], times, *_which(clip, faces, anew), embed, step)
        return self.head(features[None])[0].float()

    def explain(
        self, clip: Tensor, output: int, times: Times, faces: Which | None = None, anew: Which | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scores the next frames as :meth:`push` does, and says where in each the evidence for one output lies.

        At each place of the backbone's map, how much its channels add to the output of the same frame: gradient times
        activation, of which the positive part is taken. What came before is a constant. This is HiResCAM (Draelos &
        Carin 2020, arXiv:2011.08891). Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) takes the mean of the gradient
        over all places first. The two are the same for networks that themselves take the mean over the map; ours give
        each place weights of its own, of which the mean says little: in three networks trained on synthetic faces, .55
        to .71 of Grad-CAM's heat for AU01 and AU12 lay on the half of the face that moves, .79 to .93 of this one's.

        Args:
            clip: ``(1, n, H, W, 3)`` uint8.
            output: Which output of the head.
            times: As of :meth:`push`, as the next ones.
            faces: As there.
            anew: As there.

        Returns:
            The scores ``(n, outputs of the head)`` float32, and the heat ``(n, h, w)`` float32 on the backbone's map,
            or on the frame where that has a margin: 1 where it is highest in the frame, 0 where nothing adds to the
            output.
        """

        def step(maps: Tensor, before: Tensor | None) -> tuple[tuple[Tensor, ...], Tensor | None]:
            # one frame a row, so that its gradient is that of its own output alone
            maps = maps.detach().requires_grad_()
            # cuDNN's recurrences have no gradient in eval mode
            with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
                features, state = self.encoder.follow(self.encoder.embed_maps(maps[:, None]), before)
                (slope,) = torch.autograd.grad(self.unclamped(features)[..., output].sum(), maps)
            with torch.no_grad():
                scores, heat = self.head(features)[:, 0].float(), (slope * maps).float().sum(1).relu()
            return (scores, heat), None if state is None else state.detach()

        def see(frames: Tensor) -> Tensor:
            return self.encoder.maps(self.encoder.normalise(frames[None]))[0]

        with torch.no_grad():
            scores, heat = self._recurrence.push(clip[0], times, *_which(clip, faces, anew), see, step)
        highest = heat.amax((-2, -1), keepdim=True)
        heat = torch.where(highest > 0, heat / highest, 0.0)
        if margin := self.encoder.config.margin:
            seen = self.encoder.config.seen
            inside = interpolate(heat[:, None], (seen, seen), mode="bilinear", align_corners=False)[:, 0]
            heat = pad(inside, (margin, margin, margin, margin))
        return scores, heat


def _which(clip: Tensor, faces: Which | None, anew: Which | None) -> tuple[Which, Which]:
    count = clip.shape[1]
    return np.ones(count, bool) if faces is None else faces, np.zeros(count, bool) if anew is None else anew
