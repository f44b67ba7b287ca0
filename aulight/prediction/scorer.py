"""How a network scores the aligned faces of one person in one video, in order."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from aulight.data.video.types import Frames
from aulight.errors import AulightError
from aulight.facs import MAX_INTENSITY
from aulight.nets.reference import RunningReference, related
from aulight.nets.tracks import Times, Which
from aulight.prediction.heat import over_crop

Intensities = npt.NDArray[np.float32]


class Stream(Protocol):
    """One video through a network; :class:`FrameStream` is the one of torch."""

    def push(self, clip: Tensor, times: Times, faces: Which, anew: Which) -> Tensor:
        """Frames ``(1, n, size, size, 3)`` uint8 to intensities ``(n, AUs)`` float32: :meth:`FrameStream.push`.

        With a reference, ``(n, 2 AUs)`` as of :func:`aulight.nets.reference.related`.
        """

    def explain(self, clip: Tensor, output: int, times: Times, faces: Which, anew: Which) -> tuple[Tensor, Tensor]:
        """The same, and the heat ``(n, h, w)`` float32 of one of them: :meth:`FrameStream.explain`."""


class Moments(NamedTuple):
    """When frames were taken, and whether they show a face.

    Attributes:
        times: ``(n,)`` float64 seconds, in order.
        faces: ``(n,)`` bool, whether there is a face.
        anew: ``(n,)`` bool, whether it is another person than before, or the face is elsewhere.
    """

    times: Times
    faces: Which
    anew: Which


class Scorer:
    """Scores the aligned faces of one person in one video, in order; :meth:`Model.scorer` makes it.

    With a reference, each frame is seen in the light of those so far; :meth:`parts` is for whoever knows them all.
    """

    def __init__(
        self,
        stream: Stream,
        size: int,
        aus: Sequence[int],
        fps: float,
        name: str = "model",
        reference: RunningReference | None = None,
    ) -> None:
        self._stream, self._size, self._aus, self._fps, self._name = stream, size, tuple(aus), fps, name
        self._reference = reference
        self._next_s = 0.0

    def push(self, crops: Frames, when: Moments | None = None) -> Intensities:
        """Scores the next frames; frames without a face are given as well, cut where the face was.

        Args:
            crops: ``(n, S, S, 3)`` uint8 RGB; any number of frames, of any size.
            when: When each was taken. ``None``: at the rate of the videos that the model learned from, all with a face.

        Returns:
            ``(n, AUs)`` float32, 0..5.
        """
        if not len(crops):
            return np.empty((0, len(self._aus)), np.float32)
        moments = self._moments(crops, when)
        return self._related(self._finite(self._stream.push(self._clip(crops), *moments)), moments).numpy()

    def parts(self, crops: Frames, when: Moments | None = None) -> Intensities:
        """In place of :meth:`push`, with a reference: ``(n, 2 AUs)``, from which it is still to be taken away.

        Args:
            crops: As of :meth:`push`, at least one; as the next.
            when: As there.
        """
        return self._finite(self._stream.push(self._clip(crops), *self._moments(crops, when))).numpy()

    def _related(self, said: Tensor, moments: Moments) -> Tensor:
        if self._reference is None:
            return said
        reference = self._reference.push(said.chunk(2, -1)[1].numpy(), moments.faces, moments.anew)
        return related(said, torch.from_numpy(reference))

    def explain(
        self, crops: Frames, au: int, when: Moments | None = None
    ) -> tuple[Intensities, npt.NDArray[np.float32]]:
        """In place of :meth:`push`: scores the next frames, and says where in each of them one AU is seen.

        Gradient times activation of the network's last map (see :meth:`FrameStream.explain`), made as large as the
        crop. A map has few places (4 x 4 with ``resnet_tiny`` at 64 x 64), so the heat tells the brows from the mouth,
        not one lip from the other. In each frame its peak is the intensity as a share of 5: a face that does not show
        the AU has no heat, where a peak of 1 in every frame would make much of nothing.

        Args:
            crops: ``(n, S, S, 3)`` uint8 RGB; any number of frames, of any size.
            au: Number of the AU.
            when: As of :meth:`push`.

        Returns:
            Intensities ``(n, AUs)`` float32, 0..5, and heat ``(n, S, S)`` float32, 0..1.

        Raises:
            AulightError: For an AU that the model does not have, and for a model that was read from an ``.onnx`` file.
        """
        if au not in self._aus:
            known = ", ".join(map(str, self._aus))
            raise AulightError(f"explain={au}: the model does not know this AU, only {known}")
        if not len(crops):
            return self.push(crops), np.empty(crops.shape[:3], np.float32)
        output = self._aus.index(au)
        moments = self._moments(crops, when)
        said, heat = self._stream.explain(self._clip(crops), output, *moments)
        intensities = self._related(self._finite(said), moments)
        heat = heat * (intensities[:, output] / MAX_INTENSITY)[:, None, None]
        return intensities.numpy(), over_crop(heat, self._size, crops.shape[1]).numpy()

    def _moments(self, crops: Frames, when: Moments | None) -> Moments:
        if when is None:
            count = len(crops)
            times = self._next_s + np.arange(count) / self._fps
            when = Moments(times, np.ones(count, bool), np.zeros(count, bool))
        self._next_s = float(when.times[-1]) + 1 / self._fps
        return when

    def _finite(self, intensities: Tensor) -> Tensor:
        """Intensities as they are, if they are numbers: others come of a damaged model."""
        if not bool(torch.isfinite(intensities).all()):
            raise AulightError(
                f"{self._name}: its scores are not finite numbers; it is damaged, or its training came to nothing"
            )
        return intensities

    def _clip(self, crops: Frames) -> Tensor:
        clip = torch.from_numpy(np.ascontiguousarray(crops))
        if crops.shape[1:3] != (self._size, self._size):
            # what training and evaluation do while they decode
            small = interpolate(clip.permute(0, 3, 1, 2), (self._size, self._size), mode="bilinear", antialias=True)
            clip = small.permute(0, 2, 3, 1)
        torch.set_flush_denormal(True)  # of this thread; features near 0 make a CPU ten times slower otherwise
        return clip[None]
