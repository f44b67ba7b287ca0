"""What :meth:`Estimator.predict` takes: videos and pictures on the disk, or in memory."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from aulight.data.video.images import is_folder
from aulight.data.video.part import Part, turned
from aulight.data.video.photos import Pictures, photos_at
from aulight.data.video.raw import part_frames, raw_frames, raw_info
from aulight.data.video.types import Frames, RawFrame
from aulight.errors import AulightError
from aulight.prediction.inputs import find_inputs, is_pattern
from aulight.settings.predict import WEBCAM, contradiction

if TYPE_CHECKING:
    from PIL.Image import Image

Input = Union[str, Path, Frames, "Image", Sequence[str | Path], Sequence[Frames], Sequence["Image"]]
"""Paths, patterns, arrays of uint8 RGB, PIL images, or several of one kind."""


@dataclass(frozen=True)
class Given:
    """A film or photos, to be read any number of times.

    Attributes:
        film: Begins to read the frames.
        photos: Whether they are photos, each on its own.
        frames: About how many there are; ``None`` where that is not known.
        problems: Takes what is wrong with photos that cannot be read.
    """

    film: Callable[[], Iterator[RawFrame]]
    photos: bool
    frames: int | None
    problems: list[str]


def paths_of(given: Input) -> dict[str, Path] | None:
    """Videos by their names, where several are given by paths, by a pattern or in a folder; ``None`` for all else.

    Raises:
        AulightError: When there is nothing.
    """
    several = [given] if isinstance(given, str | Path) else given if isinstance(given, list | tuple) else []
    if not several or not all(isinstance(one, str | Path) for one in several):
        return None
    texts = [str(one) for one in several]
    if any(text.startswith(WEBCAM) for text in texts):
        raise AulightError(f"{texts[0]}: no video; `stream` takes pictures as they come")
    path = Path(texts[0]).expanduser()
    alone = isinstance(given, str | Path)
    if alone and not is_folder(path) and not is_pattern(texts[0]):
        return None
    videos = find_inputs(texts, None).videos
    if alone and [video.path for video in videos] == [path]:
        return None  # a folder of pictures is one
    return {video.name: video.path for video in videos}


def given(what: Input, fps: float, pictures: Pictures, part: Part, square: int | None) -> Given:
    """One film, or photos.

    Args:
        what: A path, a picture, or pictures one after the other. Arrays in a list are a film of ``fps`` frames a
            second, PIL images photos; ``pictures`` makes another of either.
        fps: Frames per second of pictures.
        pictures: ``film`` or ``photos``, or ``auto``: as of :func:`aulight.data.video.photos.photos_at`.
        part: Which frames of a film, and how they are turned.
        square: As of :func:`aulight.data.video.raw.raw_frames`.

    Raises:
        AulightError: For anything else.
    """
    problems = list[str]()
    if isinstance(what, str | Path):
        path = Path(what).expanduser()
        photos = photos_at(path, pictures)
        if photos is not None:
            count = len(photos.names)
            return Given(lambda: _turned(photos.frames(problems), part), True, count, problems)
        info = raw_info(path, fps)
        if part.whole:
            return Given(lambda: raw_frames(path, fps, square), False, info.frames, problems)
        frames = None if info.frames is None else part.count(info.frames, info.fps)
        return Given(lambda: part_frames(path, fps, square, part, info.fps), False, frames, problems)
    images, apart = _images(what)
    apart = apart if pictures == "auto" else pictures == "photos"
    if apart:
        named = [RawFrame(number, 0.0, image, name) for number, (image, name) in enumerate(images)]
        return Given(lambda: _turned(iter(named), part), True, len(named), problems)
    film = [RawFrame(number, number / fps, image) for number, (image, _) in enumerate(images)]
    if part.whole:
        return Given(lambda: iter(film), False, len(film), problems)
    return Given(lambda: part.frames(enumerate(film), fps, "frames"), False, part.count(len(film), fps), problems)


def picture(image: Any) -> Frames:
    """A picture as given from outside, if it is one.

    Raises:
        AulightError: When it is not.
    """
    if _is_pil(image):
        from PIL import ImageOps

        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.uint8)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise AulightError(f"a frame is {kind}; uint8 (height, width, 3), RGB, is needed")
    return image


def part_of(
    start: float | None, end: float | None, every: int | None, rate: float | None, rotate: int, step_s: float | None
) -> Part:
    """The part of a film that is asked for, by the words of ``aulight predict``.

    Raises:
        AulightError: For what makes no sense.
    """
    for name, value in (("start", start), ("end", end), ("every", every), ("rate", rate)):
        if value is not None and not (math.isfinite(value) and value >= (0 if name == "start" else 1e-9)):
            raise AulightError(f"{name}={value}: {'at least 0' if name == 'start' else 'more than 0'} is needed")
    if (wrong := contradiction(start, end, every, rate)) is not None:
        name, needed = wrong
        raise AulightError(f"{name}={every if name == 'every' else end:g}: {needed}")
    if rotate not in (0, 90, 180, 270):
        raise AulightError(f"rotate={rotate}: one of 0, 90, 180, 270 is needed")
    return Part(start, end, every, rate, rotate, step_s)


def _images(what: Any) -> tuple[list[tuple[Frames, str]], bool]:
    """Pictures with names, and whether they are photos where nobody says it."""
    if isinstance(what, np.ndarray) and what.ndim == 4:
        what = list(what)
    alone = _is_pil(what) or isinstance(what, np.ndarray)
    several = [what] if alone else what
    if not isinstance(several, list | tuple) or not several:
        raise AulightError(
            f"{type(what).__name__}: a path, a picture or a list of them is needed; `stream` takes them as they come"
        )
    names = [Path(getattr(one, "filename", "") or str(number)).name for number, one in enumerate(several)]
    return list(zip(map(picture, several), names, strict=True)), alone or all(map(_is_pil, several))


def _is_pil(image: object) -> bool:
    return type(image).__module__.startswith("PIL.") and hasattr(image, "convert")


def _turned(photos: Iterator[RawFrame], part: Part) -> Iterator[RawFrame]:
    return (replace(photo, image=turned(photo.image, part.degrees)) for photo in photos)
