"""Pictures and films in which two landmarkers are compared: the astronaut moved, turned, small, cut off, not alone."""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from types import MappingProxyType

import cv2
import numpy as np

from aulight.data.video.types import Frames
from tests.data.faces.astronaut import ASTRONAUT, FACE, FPS, NOSE, couple, distant, film, painted, placed


def turned(yaw: float, pitch: float, size: int = 360, radius: float = 75.0) -> Frames:
    """The head turned aside and up or down (radians), as if the picture were painted on a ball of this radius."""
    scale = size / 300
    y, x = (np.mgrid[:size, :size] - size / 2) / (radius * scale)
    depth = np.sqrt(np.maximum(1 - x**2 - y**2, 0))
    around = np.cos(yaw) * x - np.sin(yaw) * depth, np.sin(yaw) * x + np.cos(yaw) * depth
    height, forth = np.cos(pitch) * y - np.sin(pitch) * around[1], np.sin(pitch) * y + np.cos(pitch) * around[1]
    across, down = ((NOSE[axis] + radius * value).astype(np.float32) for axis, value in enumerate((around[0], height)))
    head = cv2.remap(ASTRONAUT, across, down, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where((depth > 0)[..., None] & (forth > 0)[..., None], head, np.uint8(90)).astype(np.uint8)


def at(height: int, width: int, share: float, x: float, y: float, angle: float = 0.0) -> Frames:
    """A picture with the nose at a share of its sides, the face as wide as a share of the shorter one."""
    image = np.full((height, width, 3), 90, np.uint8)
    painted(image, placed(share * min(height, width) / FACE, angle, (x * width, y * height)))
    return image


def _pictures() -> Iterator[Frames]:
    yield ASTRONAUT
    grey = ASTRONAUT.mean(2, keepdims=True).repeat(3, 2)
    yield from (grey.astype(np.uint8), (0.2 * ASTRONAUT).astype(np.uint8), np.minimum(1.7 * grey, 255).astype(np.uint8))
    for height, width in ((360, 640), (640, 360), (333, 517), (719, 405), (97, 131), (1080, 1920)):
        yield from (at(height, width, share, 0.45, 0.5, angle) for share, angle in ((0.3, 0.2), (0.6, -0.5)))
    for x, y in product((0.0, 0.1, 0.5, 0.9, 1.0), (0.0, 0.2, 0.85)):  # cut off by the border, or far beyond it
        yield from (at(360, 640, share, x, y, 0.1) for share in (0.25, 0.7))
    yield from (at(360, 640, share, 0.6, 0.4) for share in (0.05, 0.1, 0.15, 0.2, 1.2))
    for degrees in range(-90, 91, 15):
        yield at(400, 400, 0.4, 0.5, 0.5, np.radians(degrees))


def _several() -> Iterator[Frames]:
    for many, side in ((2, 300), (3, 240), (4, 200)):
        faces = [at(side, side, 0.35 + 0.03 * place, 0.5, 0.5, 0.1 * (place - 2)) for place in range(many)]
        faces[1] = np.ascontiguousarray(faces[1][:, ::-1])
        yield np.concatenate(faces, 1)
        yield np.concatenate([np.concatenate(faces, 1), np.concatenate(faces[::-1], 1)], 0)


def _none() -> Iterator[Frames]:
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    yield from (noise, np.zeros_like(noise), np.full_like(noise, 255), noise // 32 + 100)
    for height, width in ((1, 1), (2, 3), (8, 8), (1, 200), (200, 1), (17, 40)):
        yield noise[:height, :width]
    yield np.ascontiguousarray(ASTRONAUT[250:])  # without the head


def _turning() -> Iterator[Frames]:
    for number in range(45):
        time_s = number / FPS
        yield turned(0.8 * np.sin(2.2 * time_s), 0.35 * np.sin(3.1 * time_s))


def _leaving() -> Iterator[Frames]:
    """Somebody goes out of the picture and comes back, and is covered for a while."""
    for number in range(60):
        image = at(360, 640, 0.4, 0.5 + 0.75 * np.sin(number / 11), 0.45 + 0.1 * np.cos(number / 9))
        if 40 <= number < 48:
            image[60:300] = 90
        yield image


SCENES: Mapping[str, Callable[[], Iterator[Frames]]] = MappingProxyType(
    {
        "pictures": _pictures,
        "several": _several,
        "none": _none,
        "moving": lambda: (frame.image for frame in film(30)),
        "turning": _turning,
        "leaving": _leaving,
        "coming nearer": lambda: (image for image, _ in distant(30, 640, 360, lambda time_s: 0.1 + 0.4 * time_s)),
        "couple": lambda: (frame.image for frame in couple(0, count=40)),
    }
)
"""By name; the first three are single pictures."""

SINGLE = ("pictures", "several", "none")
