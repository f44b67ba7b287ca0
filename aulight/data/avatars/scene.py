"""One video of somebody: who, what they do, in which light, before what, through which camera; frame by frame.

A frame depends on the seeds and its number alone, so that any frame can be drawn without those before it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.avatars.actions import Array, Rig
from aulight.data.avatars.assets import load_assets
from aulight.data.avatars.camera import HEIGHT, WIDTH, Camera, crop_matrix, cut
from aulight.data.avatars.chart import Map
from aulight.data.avatars.figure import Figure, Pose
from aulight.data.avatars.identity import Person, person
from aulight.data.avatars.motion import Acting, act, wander
from aulight.data.avatars.render import Light, Renderer, blurred
from aulight.data.avatars.skin import linear, paint, paint_eye
from aulight.data.avatars.wrinkles import Surface, wrinkles

Image = npt.NDArray[np.uint8]
_TILE = 64  # pixels by which the noise of frames is shifted against each other
_SMALL = 128
"""Crops up to this size get by with half the texture."""


@dataclass(frozen=True)
class Setting:
    """What a video is taken in.

    Attributes:
        around: ``(frames,)`` where the key light is: radians to the head's left.
        above: ``(frames,)`` radians above the level.
        key: ``(3,)`` its colour.
        sky: ``(3,)`` colour of what comes from above.
        ground: ``(3,)`` from below.
        fill: ``(3,)`` direction of a second light.
        fill_colour: ``(3,)``.
        exposure: ``(frames,)``.
        background: ``(HEIGHT, WIDTH, 3)`` float32 linear.
        noise: Grey levels, at middle grey.
        shutter: Share of the time between two frames in which the camera sees.
        soft: Spread of the lens's blur, in pixels of a crop of 128.
    """

    around: Array
    above: Array
    key: Array
    sky: Array
    ground: Array
    fill: Array
    fill_colour: Array
    exposure: Array
    background: Map
    noise: float
    shutter: float
    soft: float

    def light(self, frame: int) -> Light:
        """What lights a frame."""
        around, above = self.around[frame], self.above[frame]
        level = np.cos(above)
        key = np.array([np.sin(around) * level, np.sin(above), np.cos(around) * level])
        return Light(key, self.key, self.sky, self.ground, self.fill, self.fill_colour, float(self.exposure[frame]))


def setting(rng: np.random.Generator, frames: int, fps: float) -> Setting:
    """Draws what a video is taken in."""
    warm = rng.normal(0, 0.10)
    tint = np.exp(np.array([warm, 0, -warm]))
    hard = rng.beta(1.6, 1.6)
    key = 1.9 * hard * tint * rng.uniform(0.8, 1.2)
    cool = rng.normal(0, 0.06)
    ambient = (1.15 - 0.75 * hard) * np.exp(np.array([cool, 0, -cool]))
    side = rng.choice([-1, 1])
    fill = np.array([side * rng.uniform(0.5, 1.2), rng.uniform(-0.1, 0.5), rng.uniform(-0.2, 0.9)])
    wanders = rng.choice([0.03, 0.15, 0.4], p=[0.6, 0.25, 0.15])
    return Setting(
        around=np.clip(wander(rng, frames, fps, 0.65, wanders, 2.0), -1.35, 1.35),
        above=np.clip(0.55 + wander(rng, frames, fps, 0.28, wanders / 2, 2.0), -0.15, 1.15),
        key=key,
        sky=ambient * rng.uniform(0.8, 1.2),
        ground=ambient * rng.uniform(0.3, 0.8) * np.array([1.05, 1, 0.93]),
        fill=fill,
        fill_colour=rng.uniform(0, 0.45) * np.exp(rng.normal(0, 0.08, 3)),
        exposure=0.80 * np.exp(wander(rng, frames, fps, 0.14, 0.04, 1.5)),
        background=_background(rng),
        noise=float(rng.gamma(2.5, 0.9)),
        shutter=float(rng.uniform(0.1, 0.6)),
        soft=float(rng.choice([0.0, 0.4, 0.8], p=[0.5, 0.35, 0.15])),
    )


def _background(rng: np.random.Generator) -> Map:
    """A wall, or a room out of focus; linear."""
    base = linear(rng.uniform(30, 225) + rng.normal(0, 14, 3))
    small = np.broadcast_to(base, (36, 64, 3)).astype(np.float32).copy()
    if rng.random() < 0.6:
        for _ in range(rng.integers(4, 22)):
            x, y, w, h = rng.integers(0, 64), rng.integers(0, 36), rng.integers(2, 22), rng.integers(2, 22)
            small[y : y + h, x : x + w] = linear(rng.uniform(10, 240) + rng.normal(0, 25, 3))
    small *= np.linspace(rng.uniform(0.6, 1.2), rng.uniform(0.6, 1.2), 64, dtype=np.float32)[None, :, None]
    large = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(large, (0, 0), float(rng.uniform(2, 14)))
    grain = cv2.resize(rng.normal(1, 0.04, (HEIGHT // 4, WIDTH // 4)).astype(np.float32), (WIDTH, HEIGHT))
    return np.asarray(np.clip(large, 0.002, 1) * grain[..., None], np.float32)


def camera(rng: np.random.Generator, far: float, near: float) -> Camera:
    """Draws where a camera stands.

    Args:
        rng: Decides it.
        far: Pixels of its picture between the eyes of a small face.
        near: Of a large one.
    """
    eyes = rng.uniform(far, near)  # they are 6.2 cm apart
    return Camera(
        distance=rng.uniform(5.5, 14.0),
        zoom=eyes / 0.62,
        column=WIDTH / 2 + rng.uniform(-0.12, 0.12) * WIDTH,
        row=HEIGHT * 0.42 + rng.uniform(-0.05, 0.05) * HEIGHT,
    )


def performance(
    seed: int, subject: int, video: int, frames: int, fps: float, widest: float = float(np.deg2rad(40))
) -> tuple[Acting, np.random.Generator]:
    """What somebody does in a video, and what its further draws are made with; arguments as of :class:`Scene`."""
    rng = np.random.default_rng([seed, subject, video, 10])
    return act((seed, subject), rng, frames, fps, widest), rng


class Scene:
    """One video of somebody.

    Args:
        seed: Of the dataset.
        subject: The person; the same in all videos with these seeds.
        video: Which of the person's videos.
        frames: Its length.
        fps: Frames a second.
        pixels: Side of the crops; ``None`` for whole pictures.
        which: The rig.
        widest: The head does not turn further, radians.

    Attributes:
        person: Who.
        acting: What they do.
    """

    def __init__(
        self, seed: int, subject: int, video: int, frames: int, fps: float, pixels: int | None, which: Rig = "first",
        widest: float = float(np.deg2rad(40)),
    ) -> None:  # fmt: skip
        self._seed = (seed, subject, video)
        self.person: Person = person(load_assets(), (seed, subject))
        self.acting, rng = performance(seed, subject, video, frames, fps, widest)
        self.setting = setting(rng, frames, fps)
        self.camera = camera(rng, 38, 60)
        self._jitter = np.stack([wander(rng, frames, fps, 0.008, 0.004, 0.4) for _ in range(4)], 1)
        painted = paint(self.person)
        self.figure = Figure(self.person, which, painted)
        half = pixels is None or pixels <= _SMALL
        surface = Surface(painted, wrinkles(self.person), half)
        self._size = (HEIGHT, WIDTH) if pixels is None else (pixels, pixels)
        self._pixels = pixels
        self._poses: dict[int, tuple[Pose, Array]] = {}
        height, width = self._size
        grain = np.random.default_rng([*self._seed, 11])
        self._grain = grain.standard_normal((height + _TILE, width + _TILE, 3), np.float32)
        self.renderer = Renderer(self.figure, surface, paint_eye(self.person), *self._size, times=2)

    def crop(self, frame: int) -> Image:
        """A frame ``(pixels, pixels, 3)`` uint8 RGB, cut out as ``prepare`` does it."""
        if self._pixels is None:
            raise ValueError("whole pictures have no crops")
        _, before = self._posed(max(frame - 1, 0))
        pose, square = self._posed(frame)
        side = float(np.exp(square[2]))
        move = (square[:2] - before[:2]) * self._pixels / side * self.setting.shutter
        square = square + self._jitter[frame] * (side, side, 1, 1)
        matrix = crop_matrix(square, self._pixels)
        background = cv2.warpAffine(
            self.setting.background, matrix, (self._pixels, self._pixels), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )  # fmt: skip
        picture = self.renderer.draw(
            pose, self.setting.light(frame), self.camera, background.astype(np.float32), matrix
        )
        return self._taken(picture, move, frame, 0)

    def whole(self, frame: int, camera: Camera, number: int = 0) -> Image:
        """A frame ``(360, 640, 3)`` uint8 RGB, as a camera takes it; ``number`` tells cameras apart."""
        pose = self.acting.pose(frame)
        picture = self.renderer.draw(pose, self.setting.light(frame), camera, self.setting.background)
        return self._taken(picture, np.zeros(2), frame, number)

    def _posed(self, frame: int) -> tuple[Pose, Array]:
        """What a frame shows, and the square of the face in it."""
        if frame not in self._poses:
            pose = self.acting.pose(frame)
            self.figure.pose(pose)
            self._poses[frame] = pose, cut(self.figure, self.camera)
        return self._poses[frame]

    def _taken(self, picture: Map, move: Array, frame: int, number: int) -> Image:
        """What the camera makes of it: blur and noise."""
        picture = blurred(picture, move)
        if self.setting.soft:
            spread = self.setting.soft * (1 if self._pixels is None else self._pixels / 128)
            picture = cv2.GaussianBlur(picture, (0, 0), spread).astype(np.float32)
        rng = np.random.default_rng([*self._seed, frame, number])
        top, left = rng.integers(0, _TILE, 2)
        grain = self._grain[top : top + picture.shape[0], left : left + picture.shape[1]]
        spread = self.setting.noise * float(rng.choice([-1, 1]))
        noise = grain * (picture * np.float32(spread / 256) + np.float32(spread / 2))
        return np.asarray(cv2.convertScaleAbs(np.maximum(picture + noise, 0)), np.uint8)
