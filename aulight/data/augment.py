"""Augmentation, on uint8 frames; the only file that imports albumentations."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.errors import AulightError
from aulight.settings.augment import AugmentSettings, TransformSettings

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks the network for a newer version

Frames = npt.NDArray[np.uint8]


class Augmentation:
    """Two levels of random change: one draw for a whole clip, then one more for each of its frames.

    The frame level makes neighbours differ in what does not matter (place, light), so that a contrastive loss cannot
    be solved by it.

    Args:
        settings: Transforms of albumentations, drawn once a clip and anew for every frame.

    Raises:
        AulightError: For a transform that albumentations does not have, or arguments it does not take.
    """

    def __init__(self, settings: AugmentSettings) -> None:
        self._clip = _compose(settings.clip, "augment.clip")
        self._frame = _compose(settings.frame, "augment.frame")

    def __call__(self, frames: Frames, seed: Sequence[int]) -> Frames:
        """A changed copy of a clip.

        Args:
            frames: ``(T, H, W, 3)`` uint8.
            seed: What the draw depends on, alone.

        Returns:
            ``(T, H, W, 3)`` uint8.

        Raises:
            AulightError: When a transform changes the size or the type of frames.
        """
        first, second = np.random.SeedSequence(seed).generate_state(2)
        changed = list(frames)
        if self._clip is not None:
            self._clip.set_random_seed(int(first))
            changed = list(self._clip(images=frames)["images"])
        if self._frame is not None:
            self._frame.set_random_seed(int(second))
            changed = [self._frame(image=frame)["image"] for frame in changed]
        for frame in changed:
            if frame.shape != frames.shape[1:] or frame.dtype != np.uint8:
                raise AulightError(
                    f"augment: frames of {frames.shape[1:]} uint8 became {tuple(frame.shape)} {frame.dtype}; "
                    "use transforms that keep size and type"
                )
        return np.stack(changed)


def _compose(wanted: Sequence[TransformSettings], key: str) -> Any:
    if not wanted:
        return None
    import albumentations

    transforms = []
    for place, one in enumerate(wanted):
        name, arguments = one.name, one.model_extra or {}
        kind = getattr(albumentations, name, None)
        if not (isinstance(kind, type) and issubclass(kind, albumentations.BasicTransform)):
            raise AulightError(f"{key}[{place}].name={name}: albumentations has no such transform")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # how albumentations reports an unknown argument
                transforms.append(kind(**arguments))
        except (TypeError, ValueError, UserWarning) as error:
            raise AulightError(f"{key}[{place}] ({name}): {' '.join(str(error).split())}") from error
    return albumentations.Compose(transforms, seed=0)
