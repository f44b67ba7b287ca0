"""What a webcam sees, scored as it comes."""

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from aulight.data.video.opencv import no_windows
from aulight.data.video.part import turned
from aulight.data.video.types import MOST_FPS, USUAL_FPS, Frames, RawFrame
from aulight.errors import AulightError, VideoError, say, shorten
from aulight.prediction.predictor import Found, Predictor
from aulight.prediction.problems import ENDS_LIVE, until_damaged
from aulight.prediction.videos import Source, Video
from aulight.prediction.writing import PARTIAL
from aulight.processes import Bar

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that end a recording."""


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
    """What a camera sees until there are enough frames, or it is stopped; what comes too fast it drops.

    Args:
        camera: As :func:`open_camera` gives it.
        most: Frames that are enough, or ``None``.
        stop: Stops it.

    Raises:
        VideoError: When it gives no more pictures.
    """
    import cv2

    begin = 0.0
    for number in itertools.count():
        there, image = camera.read()
        now = time.monotonic()
        begin = begin or now
        if stop.is_set():
            return
        if not there:
            raise VideoError(f"the camera gave no more pictures after {now - begin:.1f} s; is it plugged in?")
        yield RawFrame(number, now - begin, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8))
        if number + 1 == most:
            return


def no_window() -> str | None:
    """Why no window can be shown, or ``None`` where one can."""
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return "no display"
    return no_windows()


def record_webcam(predictor: Predictor, camera: int, most: int | None) -> tuple[Video, Found]:
    """Scores what a webcam sees, until Q or Esc in the window, Ctrl-C, or there are enough frames.

    It cannot be repeated: a terminal that is closed and a batch system's SIGTERM end it as Ctrl-C does, and what an
    error ends is kept as far as it goes.

    Args:
        predictor: What scores and writes it.
        camera: Number of the camera.
        most: Frames that are enough, or ``None``.

    Raises:
        AulightError: When there is no such camera.
    """
    import cv2

    name = f"webcam{camera}-{datetime.now():%Y%m%d-%H%M%S}"
    video = Video(Path(name), name)
    predictor.make_room(video)
    opened, stop, why = open_camera(camera), threading.Event(), no_window()
    print("Q or Esc in the window ends it" if why is None else f"without a window: {why}\nCtrl-C ends it", flush=True)

    def show(picture: Frames) -> None:
        cv2.imshow("aulight", picture[..., ::-1])
        if cv2.waitKey(1) & 0xFF in (27, ord("q")):
            stop.set()

    def end(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGTERM:  # the camera does not let go
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        stop.set()

    ends = [one for one in ENDING if one == signal.SIGINT or signal.getsignal(one) is not signal.SIG_IGN]  # by nohup
    before = {number: signal.signal(number, end) for number in ends}
    try:
        predictor.pipeline.share_cpus(1)
        said = opened.get(cv2.CAP_PROP_FPS)
        fps = said if 0 < said < MOST_FPS else USUAL_FPS  # some say the unit of their clock, or less than nothing
        with Bar(most, "Recording", "frame") as bar:
            source = Source(path=f"webcam:{camera}")
            problems = list[str]()

            def film() -> Iterator[RawFrame]:
                degrees = predictor.part.degrees
                seen = camera_frames(opened, most, stop)
                for frame in until_damaged(seen, problems, video.path, ENDS_LIVE):
                    yield replace(frame, image=turned(frame.image, degrees))

            found = predictor.write(
                video, film, fps, source, problems, bar.update, live=True, show=None if why else show
            )
    except BaseException:
        if kept := sorted(path.name for path in predictor.output.glob(f"{name}.*{PARTIAL}")):
            say(f"kept of what was recorded, in {predictor.output}: {shorten(kept)}", error=True)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        opened.release()
    return video, found
