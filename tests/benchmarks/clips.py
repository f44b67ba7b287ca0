"""``make bench-clips``: what the key frames of prepared videos cost and gain.

A film of an avatar, there and back again, is written with a key frame every 12, 4, 2 and 1 frames (``prepare gop=``).
From it clips are read as in stage one, 16 frames of stride 4 to 8 at 112 pixels, each from a newly opened video; all
ways take the same clips in turn, so that whatever else the machine does weighs on all of them:

- *bytes a frame*: of the file.
- *decoded for each kept*: frames that the decoder gets for each that a clip holds.
- *time*: of a processor, as a multiple of what decord takes with a key frame every 12 frames.
- *opening*: the share of it before the first frame is asked for.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from aulight.data.avatars.scene import Scene
from aulight.data.video.prepared import ReaderCache
from aulight.data.video.types import Frames
from aulight.data.video.write import write_video
from aulight.runs.machine import processor

SIZE, SAMPLES = 112, 16
GOPS = (12, 4, 2, 1)
BY_DECORD = "12, by decord"


def main() -> None:
    """Films, reads and prints a table for each length."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, nargs="+", default=[4845, 160], help="lengths of videos")
    parser.add_argument("--clips", type=int, default=60, help="read in each way")
    given = parser.parse_args()
    scene = Scene(0, 0, 0, 160, 25.0, 128)
    film = [scene.crop(frame) for frame in range(160)]
    print(f"One of the cores of {processor()}")
    with tempfile.TemporaryDirectory() as folder:
        for frames in given.frames:
            _compare(film, frames, given.clips, Path(folder))


def _compare(film: list[Frames], frames: int, clips: int, folder: Path) -> None:
    paths = {gop: folder / f"{frames}-{gop}.mp4" for gop in GOPS}
    for gop, path in paths.items():
        write_video(path, _there_and_back(film, frames), 25.0, gop=gop)
    # one video at a time, so that each is opened anew; what decodes packets stays, as in a loader
    packets = ReaderCache(1, SIZE)
    ways = {BY_DECORD: paths[12]} | {str(gop): path for gop, path in paths.items()}
    rng = np.random.default_rng(0)
    spent, opening = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0.0)
    decoded = dict.fromkeys(GOPS, 0)
    for turn in range(clips + 1):
        stride = int(rng.integers(4, 9))
        wanted = int(rng.integers(0, frames - stride * (SAMPLES - 1))) + stride * np.arange(SAMPLES)
        for gop in GOPS:
            needed = {frame for last in wanted.tolist() for frame in range(last // gop * gop, last + 1)}
            decoded[gop] += len(needed) if turn else 0
        for name, path in ways.items():
            readers = ReaderCache(1, SIZE, decord=True) if name == BY_DECORD else packets
            begun = time.process_time()
            video = readers.get(path)
            opened = time.process_time()
            video.read(wanted)
            if turn:  # the first warms up
                opening[name] += opened - begun
                spent[name] += time.process_time() - begun
            del video, readers  # decord decodes ahead until it is let go of
    first = spent[BY_DECORD]
    print(f"\nVideos of {frames} frames; decord takes {1000 * first / clips:.0f} ms a clip\n")
    print(
        "| `gop=` | bytes a frame | decoded for each kept | time | opening, of that |\n| --- | --- | --- | --- | --- |"
    )
    for name, path in ways.items():
        each = f"{decoded[int(name)] / clips / SAMPLES:.1f}" if name.isdigit() else "–"
        size = f"{path.stat().st_size / frames:.0f}"
        print(
            f"| {name} | {size} | {each} | {spent[name] / first:.2f} | {opening[name] / spent[name]:.0%} |", flush=True
        )


def _there_and_back(film: list[Frames], frames: int) -> Iterator[Frames]:
    both = film + film[::-1]
    return (both[frame % len(both)] for frame in range(frames))


if __name__ == "__main__":
    main()
