"""How fast avatars are drawn: finished frames a second of one core's time, and what a person costs beforehand."""

import time

from aulight.data.avatars.scene import Scene

_FRAMES = 60


def speeds(sizes: tuple[int | None, ...] = (64, 128, 256, None)) -> list[tuple[str, float, float]]:
    """Draws a video of each size in this process, after one that is not counted (it compiles, or loads what was).

    Args:
        sizes: Sides of crops in pixels; ``None`` for whole pictures of 640x360.

    Returns:
        Of each what it is, frames a second of CPU time (drawn, blurred, with noise; not encoded), and seconds of CPU
        time until the first.
    """
    found = []
    for size in sizes:
        for counted in (False, True):
            start = time.process_time()
            scene = Scene(0, 1, 0, _FRAMES, 25.0, size)
            made = time.process_time()
            for frame in range(_FRAMES if counted else 2):
                if size is None:
                    scene.whole(frame, scene.camera)
                else:
                    scene.crop(frame)
            if counted:
                what = "640x360, whole" if size is None else f"{size}x{size}"
                found.append((what, _FRAMES / (time.process_time() - made), made - start))
    return found
