"""What a webcam sees, scored as it comes."""

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from aulight.data.video.types import Frames, RawFrame
from aulight.errors import AulightError

if TYPE_CHECKING:
    pass
from aulight.prediction.predictor import Found, Predictor
from aulight.prediction.videos import Video


def open_camera(number: int) -> Any:
    """A camera, as OpenCV knows it."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong is said below
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        raise AulightError(f"input=webcam:{number}: no such camera, or another program has it")
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return camera


def camera_frames(camera: Any, most: int | None, stop: threading.Event) -> Iterator[RawFrame]:
    """What a camera sees until it ends, there are enough frames, or it is stopped; what comes too fast it drops.

    Args:
        camera: As :func:`open_camera` gives it.
        most: Frames that are enough, or ``None``.
        stop: Stops it.
    """
    import cv2

    begin = 0.0
    for number in itertools.count():
        there, image = camera.read()
        now = time.monotonic()
        begin = begin or now
        if not there or stop.is_set():
            return
        yield RawFrame(number, now - begin, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8))
        if number + 1 == most:
            return


def _window(stop: threading.Event) -> Callable[[Frames], None] | None:
    """Shows pictures in a window, where there is a display; Q and Esc in it stop."""
    import cv2

    built = next((line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")), "")
    if "NONE" in built or (sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()):
        return None

    def show(picture: Frames) -> None:
        cv2.imshow("aulight", picture[..., ::-1])
        if cv2.waitKey(1) & 0xFF in (27, ord("q")):
            stop.set()

    return show


def record_webcam(predictor: Predictor, config: dict[str, Any]) -> tuple[Video, Found]:
    """Scores what a webcam sees, until Q or Esc in the window, Ctrl-C, or ``max_frames``."""
    import cv2

    number = str(config["input"]).removeprefix("webcam:")
    if not number.isdecimal():
        raise AulightError(f"input={config['input']}: the number of a camera is needed, for example webcam:0")
    name = f"webcam{number}-{datetime.now():%Y%m%d-%H%M%S}"
    camera, stop = open_camera(int(number)), threading.Event()
    show = _window(stop)
    print("Q or Esc in the window ends it" if show else "no display, so without a window; Ctrl-C ends it", flush=True)
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        predictor.share_cpus(1)
        frames = camera_frames(camera, config["max_frames"], stop)
        fps = camera.get(cv2.CAP_PROP_FPS) or 25.0
        with tqdm(total=config["max_frames"], desc="Recording", unit="frame") as bar:
            source = {"path": config["input"]}
            video = Video(Path(name), name)
            found = predictor.write(video, frames, fps, source, [], bar.update, True, show)
    finally:
        signal.signal(signal.SIGINT, before)
        camera.release()
    return video, found
