"""A trained model over a stream of frames, its recurrent state carried along."""

from collections.abc import Callable

import torch
from torch import Tensor

from aulight.nets.encoder import Encoder


class FrameStream:
    """Scores one video from its first frame on, in pieces, in constant memory.

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
        self._state: Tensor | None = None
        self._ended = False

    @torch.no_grad()
    def push(self, clip: Tensor) -> Tensor:
        """Scores the next frames.

        Args:
            clip: ``(1, n, H, W, 3)`` uint8; n a multiple of ``stride`` in every piece but the last.

        Returns:
            ``(n, outputs of the head)`` float32.

        Raises:
            ValueError: When a piece follows one that was not a multiple of ``stride``.
        """
        if self._ended:
            raise ValueError(f"only the last piece may have a length that is not a multiple of {self.stride}")
        count = clip.shape[1]
        padding = -count % self.stride
        self._ended = padding > 0
        embedding = self.encoder.embed(self.encoder.normalise(clip))[0]
        # frames beyond the end only fill up the last round; nothing after them is scored
        embedding = torch.cat([embedding, embedding[-1:].expand(padding, -1, -1, -1)])
        # (stride, n / stride, C, h, w)
        phases = embedding.reshape(-1, self.stride, *embedding.shape[1:]).transpose(0, 1)
        features, self._state = self.encoder.follow(phases, self._state)
        return self.head(features).transpose(0, 1).flatten(0, 1)[:count].float()
