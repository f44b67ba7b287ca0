"""A trained model over a stream of frames, its recurrent state carried along."""

from collections.abc import Callable

import torch
from torch import Tensor

from aulight.nets.encoder import Encoder


class FrameStream:
    """Scores one video from its first frame on, in pieces of any length, in constant memory.

    The recurrence was trained on frames ``stride`` apart, so it runs here as ``stride`` interleaved sequences: frame t
    continues the state of frame t - stride. Each frame goes through the backbone once.

    Args:
        encoder: In eval mode.
        head: What is wanted of each frame: features ``(B, T, C, h, w)`` to ``(B, T, n)``, for example the intensities
            by ``IntensityRegressor.predict``.
        stride: Frames from one sample of the recurrence to the next.
        unclamped: ``head`` before it clips, up to scale and shift, for :meth:`explain`: what is clipped has no slope.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: Callable[[Tensor], Tensor],
        stride: int,
        unclamped: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.encoder, self.head, self.stride, self.unclamped = encoder, head, stride, unclamped or head
        self._state: Tensor | None = None  # (stride, C, h, w); zero stands for a sequence that has not begun
        self._next = 0  # the sequence whose turn it is

    @torch.no_grad()
    def push(self, clip: Tensor) -> Tensor:
        """Scores the next frames.

        Args:
            clip: ``(1, n, H, W, 3)`` uint8.

        Returns:
            ``(n, outputs of the head)`` float32.
        """
        embedding = self.encoder.embed(self.encoder.normalise(clip))[0]
        scores = []
        while len(embedding):
            # whole rounds of all sequences together; else those that are left of a round
            width = min(self.stride - self._next, len(embedding))
            rounds = max(1, len(embedding) // self.stride) if width == self.stride else 1
            now, embedding = embedding[: width * rounds], embedding[width * rounds :]
            # (width, rounds, C, h, w)
            features = self._follow(now.reshape(rounds, width, *now.shape[1:]).transpose(0, 1))
            scores.append(self.head(features).transpose(0, 1).flatten(0, 1).float())
        return torch.cat(scores)

    def explain(self, clip: Tensor, output: int) -> tuple[Tensor, Tensor]:
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

        Returns:
            The scores ``(n, outputs of the head)`` float32, and the heat ``(n, h, w)`` float32 on the backbone's map:
            1 where it is highest in the frame, 0 where nothing adds to the output.
        """
        with torch.no_grad():
            maps = self.encoder.maps(self.encoder.normalise(clip))[0]
        scores, heats = [], []
        while len(maps):
            # one frame of each sequence, so that its gradient is that of its own output alone
            width = min(self.stride - self._next, len(maps))
            now, maps = maps[:width].requires_grad_(), maps[width:]
            # cuDNN's recurrences have no gradient in eval mode
            with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
                features = self._follow(self.encoder.embed_maps(now[:, None]))
                (slope,) = torch.autograd.grad(self.unclamped(features)[..., output].sum(), now)
            with torch.no_grad():
                scores.append(self.head(features)[:, 0].float())
                heats.append((slope * now).float().sum(1).relu())
        heat = torch.cat(heats)
        highest = heat.amax((-2, -1), keepdim=True)
        return torch.cat(scores), torch.where(highest > 0, heat / highest, 0.0)

    def _follow(self, embedding: Tensor) -> Tensor:
        """Carries on as many sequences as there are rows, from the next one on."""
        mine = slice(self._next, self._next + len(embedding))
        # a copy, since the gradient of `explain` wants it as it is now
        before = None if self._state is None else self._state[mine].clone()
        features, state = self.encoder.follow(embedding, before)
        if state is not None:
            if self._state is None:
                self._state = state.new_zeros(self.stride, *state.shape[1:])
            self._state[mine] = state.detach()
        self._next = mine.stop % self.stride
        return features
