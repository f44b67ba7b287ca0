"""``make bench-scale``: what the number of videos costs, to a million videos and 3e8 frames, on a simulated dataset.

Its tables are real and whole; its videos are a few, packed into two shards, which all rows point into
(:mod:`tests.benchmarks.simulated`). Every measure runs in a process of its own:

- *open*: seconds from the folder to a dataset whose tables were checked, and its fingerprint; beside them those of all
  cores that it kept busy.
- *stage one*: seconds until stage one can begin: who is in the videos, what the checkpoint remembers of
  them, which frames clips may be cut from.
- *peak*: most memory of the process until then, its libraries included, whose memory is in the row without videos.
- *spawned*: megabytes that are copied to each loader process where processes cannot be forked.
- *first batch*: seconds until the first of :data:`BATCH` clips of 16 frames, stride 4 to 8, at 112 pixels; in two views
  of one reading, to be augmented on the device.
- *clips/s*: after that. All shards are in memory: a disk is not measured.
- *a process adds*: memory of a loader process that it shares with no other one (USS), the mean of all.

What is computed for VoxCeleb2 from measured rates comes last (:mod:`tests.benchmarks.costs`).
"""

import argparse
import json
import multiprocessing
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from aulight.processes import cpus
from aulight.runs.machine import processor
from tests.benchmarks import costs

OPEN_S, PEAK_MB = 10, 2000  # the limits
BATCH, SIZE, SAMPLES, STRIDE = 32, 112, 16, (4, 8)
FILM = 60
"""Frames that are drawn; videos go through them there and back."""

Measured = dict[str, float]


def main() -> None:
    """Simulates, measures and prints, size by size; or is one of the processes that do."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--frames", type=int, default=300, help="of each video")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2, 4], help="loader processes")
    parser.add_argument("--batches", type=int, default=10, help="that are read, after the first")
    parser.add_argument("--simulate", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.simulate is not None:
        _simulate(given.simulate, given.videos[0], given.frames)
    elif given.measure is not None:
        print(json.dumps(_measured(given.measure, given.workers[0], given.batches)))
    else:
        _compare(given)


def _compare(given: argparse.Namespace) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed
    print(f"{cpus()} cores of {processor()}; {given.frames} frames a video\n")
    print("| videos | frames | tables | made in | open | stage one | peak | spawned |\n|" + " --- |" * 8)
    print(f"| limit | | | | {OPEN_S} s | | {PEAK_MB} MB | |", flush=True)
    loaders = list[str]()
    for videos in given.videos:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "simulated"
            begun = time.perf_counter()
            _in_a_process("--simulate", root, "--videos", videos, "--frames", given.frames)
            made = time.perf_counter() - begun
            size = sum(path.stat().st_size for path in root.glob("*.parquet"))
            for workers in given.workers:
                found: Measured = json.loads(
                    _in_a_process("--measure", root, "--workers", workers, "--batches", given.batches)
                )
                if workers == given.workers[0]:
                    print(
                        f"| {videos:,} | {videos * given.frames:,} | {size / 1e6:,.0f} MB | {made:.0f} s "
                        f"| {found['open']:.1f} s ({found['busy']:.1f} s) | {found['ready']:.1f} s "
                        f"| {found['peak']:,.0f} MB | {found['spawned']:.1f} MB |",
                        flush=True,
                    )
                adds = f"{found['adds']:.0f} MB" if workers else "–"
                loaders.append(f"| {videos:,} | {workers} | {found['first']:.2f} s | {found['clips']:.0f} | {adds} |")
    print("\n| videos | loader processes | first batch | clips/s | a process adds |\n|" + " --- |" * 5)
    print("\n".join(loaders), flush=True)
    print(f"\nOn paper, VoxCeleb2:\n\n{costs.tables()}\n\nTen times that:\n\n{costs.tables(10)}")


def _in_a_process(*arguments: object) -> str:
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        sys.exit(1)
    return done.stdout


def _simulate(root: Path, videos: int, frames: int) -> None:
    from aulight.data.avatars.scene import Scene
    from aulight.data.video.types import Frames
    from tests.benchmarks.simulated import FPS, simulate

    scene = Scene(0, 0, 0, FILM, FPS, 128)
    there = [scene.crop(frame) for frame in range(FILM)]
    both = there + there[::-1]

    def film(kind: int) -> Iterator[Frames]:
        return (both[(frame + 7 * kind) % len(both)] for frame in range(frames))

    simulate(root, videos, frames, film)


def _measured(root: Path, workers: int, batches: int) -> Measured:
    import psutil

    from aulight import protocol
    from aulight.data.contents import shown
    from aulight.data.loaders import ContrastiveData
    from aulight.data.opening import open_data
    from aulight.settings.augment import AugmentSettings
    from aulight.settings.training import ClipSettings

    begun, busy = time.perf_counter(), time.process_time()
    data = open_data(root)
    assert data.fingerprint
    opened, busy = time.perf_counter(), time.process_time() - busy
    subjects = protocol.draw_subjects(sorted(set(data.videos["subject"].astype(str))), 0, 1.0)
    rows = data.rows(subjects)
    remembered = shown(data, rows).trained_on()
    module = ContrastiveData(
        data,
        rows,
        ClipSettings(length=SAMPLES, stride=list(STRIDE)),
        AugmentSettings(on="device", clip=[], frame=[]),
        views=2,
        size=SIZE,
        batch_size=BATCH,
        batches_per_epoch=batches + 1,
        workers=workers,
        seed=0,
        on_error="raise",
    )
    ready = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    loader = iter(module.train_dataloader())
    next(loader)
    first = time.perf_counter()
    read = sum(len(batch["clips"]) for batch in islice(loader, batches))
    last = time.perf_counter()
    loaders = multiprocessing.active_children()
    added = [psutil.Process(process.pid).memory_full_info().uss / 1e6 for process in loaders]
    del remembered  # until here, as in a run
    return {
        "open": opened - begun,
        "busy": busy,
        "ready": ready - begun,
        "peak": peak,
        "spawned": len(pickle.dumps(module.train_dataloader().dataset)) / 1e6,
        "first": first - ready,
        "clips": read / (last - first),
        "adds": sum(added) / max(len(added), 1),
    }


if __name__ == "__main__":
    main()
