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
    """

    def __init__(self, encoder: Encoder, head: Callable[[Tensor], Tensor], stride: int) -> None:
        self.encoder, self.head, self.stride = encoder, head, stride
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

    def _follow(self, embedding: Tensor) -> Tensor:
        """Carries on as many sequences as there are rows, from the next one on."""
        mine = slice(self._next, self._next + len(embedding))
        features, state = self.encoder.follow(embedding, None if self._state is None else self._state[mine])
        if state is not None:
            if self._state is None:
                self._state = state.new_zeros(self.stride, *state.shape[1:])
            self._state[mine] = state
        self._next = mine.stop % self.stride
        return features
