"""Augmentation, on uint8 frames; the only file that imports albumentations."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.composed import on_cpu
from aulight.data.draws import Draws, Transform, draw, first_unknown
from aulight.errors import AulightError
from aulight.settings.augment import AugmentSettings, TransformSettings

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks the network for a newer version

Frames = npt.NDArray[np.uint8]


class Augmentation:
    """Two levels of random change: one draw for a whole clip, then one more for each of its frames.

    The frame level makes neighbours differ in what does not matter (place, light), so that a contrastive loss cannot
    be solved by it. Lists of transforms that :mod:`aulight.data.draws` knows are drawn first and applied at once, here
    or on a device; albumentations applies others, or all where it is asked for, here alone.

    Args:
        settings: Transforms of albumentations, drawn once a clip and anew for every frame.

    Attributes:
        empty: Whether nothing is changed.
        unknown: The first transform that only albumentations can apply, if there is one.

    Raises:
        AulightError: For a transform that albumentations does not have, or arguments it does not take; and for one that
            a device is to apply and cannot.
    """

    def __init__(self, settings: AugmentSettings) -> None:
        self._on = settings.on
        self._clip = _make(settings.clip, "augment.clip")
        self._frame = _make(settings.frame, "augment.frame")
        self.empty = not (self._clip or self._frame)
        self.unknown = first_unknown([*self._clip, *self._frame])
        if self._on == "device" and self.unknown is not None:
            raise AulightError(f"augment.on=device: {_told(self.unknown)}; use augment.on=loader")
        alone = self.unknown is not None or self._on == "albumentations"
        self._chains = (_compose(self._clip), _compose(self._frame)) if alone else None

    def on_device(self, gpu: bool, say: bool = True) -> bool:
        """Whether frames are to be changed where the network is; says so when a GPU is left out against the rule.

        Args:
            gpu: Whether that is a GPU; on a CPU the loader is faster.
            say: Whether this process is the one to speak.
        """
        if self.empty:
            return False
        if self._on == "auto" and gpu and self.unknown is not None and say:
            print(f"augment.on=auto: the loader applies all of augment; {_told(self.unknown)}", file=sys.stderr)
        return self._on == "device" or (self._on == "auto" and gpu and self.unknown is None)

    def draw(self, shape: Sequence[int], seed: Sequence[int]) -> Draws:
        """What would happen to a clip, where no transform is unknown.

        Args:
            shape: Of its frames, ``(T, H, W, 3)``.
            seed: What the draw depends on, alone.
        """
        first, second = _seeds(seed)
        return draw([(self._clip, first, 1), (self._frame, second, shape[0])], *shape[:3])

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
        if self._chains is None:
            return frames.copy() if self.empty else on_cpu(frames, self.draw(frames.shape, seed))
        (first, second), (clip, frame) = _seeds(seed), self._chains
        changed = list(frames)
        if self._clip:
            clip.set_random_seed(first)
            changed = list(clip(images=frames)["images"])
        if self._frame:
            frame.set_random_seed(second)
            changed = [frame(image=one)["image"] for one in changed]
        for one in changed:
            if one.shape != frames.shape[1:] or one.dtype != np.uint8:
                raise AulightError(
                    f"augment: frames of {frames.shape[1:]} uint8 became {tuple(one.shape)} {one.dtype}; "
                    "use transforms that keep size and type"
                )
        return np.stack(changed)


def _seeds(seed: Sequence[int]) -> tuple[int, int]:
    """Of the draw for the clip, and of those for its frames."""
    first, second = np.random.SeedSequence(seed).generate_state(2)
    return int(first), int(second)


def _told(unknown: Transform) -> str:
    return f"no device applies {unknown.key} ({unknown.name}) with these arguments in this place"


def _compose(transforms: Sequence[Transform]) -> Any:
    import albumentations

    return albumentations.Compose([one.made for one in transforms], seed=0)


def _make(wanted: Sequence[TransformSettings], key: str) -> list[Transform]:
    if not wanted:
        return []
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
                transforms.append(Transform(f"{key}[{place}]", name, kind(**arguments)))
        except (TypeError, ValueError, UserWarning) as error:
            raise AulightError(f"{key}[{place}] ({name}): {' '.join(str(error).split())}") from error
    return transforms
