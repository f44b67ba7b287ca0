"""The second part of ``make bench-gpu``: what finding faces makes of a GPU.

Each row is printed as it is measured, and says on what it ran:

- *landmarks, gathered*: pictures a second through the network of landmarks, asked for by as many threads as a process
  makes videos, each one at a time, with the way to the device and back.
- *prepare*: frames of 640x360 a second of the real command, from its start to its end, on films of a real face: by
  LiteRT on all CPUs, and by torch on the device.

``--device cpu --quick`` walks the same path on a few frames, with torch on the CPU. Its numbers mean nothing.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

from aulight.data.faces.batched.networks import AT_ONCE, SharedNetworks
from aulight.data.faces.model_file import model_file
from aulight.data.faces.networks import MESH_SIDE
from aulight.data.video.write import write_video
from aulight.processes import cpus

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.data.faces.astronaut import film


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--quick", action="store_true", help="a few frames")
    arguments = parser.parse_args()
    if arguments.device == "gpu" and not torch.cuda.is_available():
        print("bench-gpu: no GPU that torch can use here; --device cpu --quick walks the path", file=sys.stderr)
        sys.exit(2)
    device, setting = ("cuda", "cuda") if arguments.device == "gpu" else ("cpu", "torch")
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU, by torch"
    print("| what | on | a second |\n|---|---|---|", flush=True)
    speed = gathered(device, 2 if arguments.quick else 500)
    print(f"| landmarks, gathered | {name} | {speed:,.0f} |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        raw, count, frames = Path(folder) / "raw", *((2, 6) if arguments.quick else (min(4 * AT_ONCE, 2 * cpus()), 250))
        raw.mkdir()
        first = raw / "0.mp4"
        write_video(first, (frame.image for frame in film(frames)), 25)
        for number in range(1, count):  # what they show is of no matter, but a content that is there twice is said
            (raw / f"{number}.mp4").write_bytes(first.read_bytes() + bytes(8 + number))
        for on, said in (("cpu", f"{cpus()} CPUs, by LiteRT"), (setting, f"{name}, and {cpus()} CPUs")):
            seconds = prepared(raw, Path(folder) / on, on)
            print(
                f"| prepare, {count} films of {frames} frames | {said} | {count * frames / seconds:,.1f} |", flush=True
            )


def gathered(device: str, each: int) -> float:
    """Pictures a second through the network of landmarks, of so many by each thread."""
    shared, picture = SharedNetworks(model_file(), device), np.zeros((MESH_SIDE, MESH_SIDE, 3), np.uint8)

    def ask(count: int) -> None:
        video = shared.of_a_video()
        for _ in range(count):
            video.mesh(picture)
        video.close()

    def all_ask(count: int) -> float:
        threads = [threading.Thread(target=ask, args=(count,)) for _ in range(AT_ONCE)]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begin

    all_ask(2)  # kernels are chosen
    speed = AT_ONCE * each / all_ask(each)
    shared.close()
    return speed


def prepared(raw: Path, root: Path, device: str) -> float:
    """Seconds that ``aulight prepare`` takes."""
    command = ["prepare", f"data.source={raw}", f"data.root={root}", f"faces.device={device}", "on_error=raise"]
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "aulight", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        sys.exit(1)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
