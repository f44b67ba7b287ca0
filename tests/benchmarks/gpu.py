"""The first part of ``make bench-gpu``: what both stages make of a GPU.

Each line of the table is a real run of ``aulight pretrain`` or ``aulight finetune`` in a process of its own: resnet18
on 112x112 frames in bf16, on the `large` synthetic faces (made first, where they are missing), with and without
torch.compile and channels_last; frames are augmented on the GPU, and once by the loader instead. Each row is printed
as it is measured. A run is begun only while there is time for it to end within six and a half minutes (with the second
part it makes eight): what is left out is said.

- *frames/s*: through the encoder (the two views of a frame count twice), after the first third of the steps, in which
  kernels are chosen and compiled.
- *data wait*: the share of that time in which the loop waited for the loader.
- *memory*: the most that torch had allocated on the GPU.
- *of peak*: the floating-point operations of the encoder's forward and backward pass, counted by torch, times frames/s,
  over the rate of a large bf16 matrix product measured beforehand. Heads, loss and optimiser are not counted.

``--device cpu --quick`` walks the same path on tiny data: stage one with every switch off, stage two with every switch
on, where torch.compile is asked for and passed over (``TORCHDYNAMO_DISABLE``). Its numbers mean nothing.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from aulight.nets.encoder import Encoder
from aulight.settings.model import NetworkSettings

REPOSITORY = Path(__file__).parents[2]
STAGES = ("pretrain", "finetune")
MOST_S = 390  # for all of it
HEADER = ("stage", "augment.on", "compile", "channels_last", "frames/s", "data wait", "memory", "of peak")


class Speed(NamedTuple):
    """Frames through the encoder a second, and the share of time spent waiting for data."""

    frames_per_s: float
    data_wait: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data", help="folder of prepared datasets")
    parser.add_argument("--steps", type=int, default=150, help="of each run, a multiple of 3")
    parser.add_argument("--batch-size", type=int, default=32, help="clips a step")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="decoding processes")
    parser.add_argument("--quick", action="store_true", help="tiny data and network")
    arguments = parser.parse_args()
    if arguments.device == "gpu" and not torch.cuda.is_available():
        print("bench-gpu: no GPU that torch can use here; --device cpu --quick walks the path", file=sys.stderr)
        sys.exit(2)
    if arguments.steps < 3 or arguments.steps % 3:
        print(f"bench-gpu: --steps {arguments.steps}: a multiple of 3 is needed", file=sys.stderr)
        sys.exit(2)

    peak = matmul_rate("cuda" if arguments.device == "gpu" else "cpu", 512 if arguments.quick else 8192)
    name = torch.cuda.get_device_name() if arguments.device == "gpu" else "CPU"
    print(f"{name}, torch {torch.__version__}: {peak / 1e12:.1f} TFLOP/s in a bf16 matrix product", flush=True)
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        begin, longest = time.monotonic(), 0.0
        ways = [("loader", False, False), *itertools.product(("device",), (False, True), (False, True))]
        runs = [*itertools.product(STAGES, ways)]
        if arguments.quick:
            runs = [(STAGES[0], ways[0]), (STAGES[1], ways[-1])]
        for stage, (on, compile_, last) in runs:
            run, started = Path(folder) / f"{stage}-{on}-{compile_}-{last}", time.monotonic()
            if started + longest > begin + MOST_S:
                print(f"| {stage} | {on} | {compile_} | {last} | not measured: no time left ||||", flush=True)
                continue
            train(run, stage, on, compile_, last, arguments)
            if len(list(Path(folder).iterdir())) > 1:  # the first one may have drawn the faces
                longest = max(longest, time.monotonic() - started)
            record = yaml.safe_load((run / "run.yaml").read_text())
            speed = steady(pd.read_csv(run / "metrics.csv"), frames_a_step(record["config"]))
            share = encoder_flops(run) * speed.frames_per_s / peak
            memory = "" if record["peak_gpu_mb"] is None else f"{record['peak_gpu_mb']:,} MB"
            cells = (
                stage, on, str(compile_), str(last), f"{speed.frames_per_s:,.0f}", f"{speed.data_wait:.0%}", memory,
                f"{share:.0%}",
            )  # fmt: skip
            print(f"| {' | '.join(cells)} |", flush=True)


def train(run: Path, stage: str, on: str, compiled: bool, channels_last: bool, arguments: argparse.Namespace) -> None:
    """One run, with a row of ``metrics.csv`` for each third of its steps."""
    third = arguments.steps // 3
    settings = [
        f"data_dir={arguments.data}",
        f"data.size={'smoke' if arguments.quick else 'large'}",
        f"model={'resnet_tiny' if arguments.quick else 'resnet18'}",
        f"trainer={arguments.device}",
        "trainer.precision=bf16-mixed",
        f"augment.on={on}",
        f"trainer.compile={str(compiled).lower()}",
        f"trainer.channels_last={str(channels_last).lower()}",
        f"trainer.log_every_n_steps={third}",
        f"steps={arguments.steps}",
        f"steps_per_epoch={arguments.steps}",
        f"loader.batch_size={arguments.batch_size}",
        f"loader.workers={arguments.workers}",
        f"root={run.parent}",
        f"name={run.name}",
    ]
    settings += ["probe=null"] if stage == "pretrain" else ["label_fraction=0.1"]
    done = subprocess.run(
        [sys.executable, "-m", "aulight", stage, *settings],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | ({"TORCHDYNAMO_DISABLE": "1"} if arguments.quick else {}),
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        sys.exit(1)


def frames_a_step(config: dict[str, Any]) -> int:
    views = config.get("objective", {}).get("views", 1)
    return int(config["loader"]["batch_size"] * views * config["clip"]["length"])


def steady(metrics: pd.DataFrame, frames: int) -> Speed:
    """The speed after the first third of the steps, out of the means since the beginning that a run logs."""
    rows = metrics.dropna(subset="speed/frames_per_s")
    done = (rows["step"].to_numpy() + 1) * frames
    seconds = done / rows["speed/frames_per_s"].to_numpy()
    waited = seconds * rows["speed/data_wait"].to_numpy()
    passed = seconds[-1] - seconds[0]
    return Speed((done[-1] - done[0]) / passed, (waited[-1] - waited[0]) / passed)


def encoder_flops(run: Path) -> float:
    """Floating-point operations of a frame in the encoder of a run, forward and backward."""
    settings = torch.load(run / "checkpoints/last.ckpt", map_location="cpu", weights_only=True)["hyper_parameters"]
    encoder = Encoder(NetworkSettings(**settings["encoder"]))
    clip = torch.zeros(2, 4, encoder.config.size, encoder.config.size, 3, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        features, _ = encoder(encoder.normalise(clip))
        features.sum().backward()
    return float(counter.get_total_flops()) / clip.shape[:2].numel()


def matmul_rate(device: str, size: int, repeats: int = 20) -> float:
    """Floating-point operations a second of a bf16 product of two square matrices."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))

    def finish() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    for _ in range(3):
        a @ b
    begin = finish()
    for _ in range(repeats):
        a @ b
    return 2 * size**3 * repeats / (finish() - begin)


if __name__ == "__main__":
    main()
