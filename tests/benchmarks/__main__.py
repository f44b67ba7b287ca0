"""``make bench``: how near each part comes to its own limit, both measured in one run, in turn.

Every measure runs in its own process, so that peaks of memory are apart. It warms up, then takes turns with its limit
until its time is up; the ratio is the median of the ratios of the turns, so that a machine that slows down meanwhile
slows both. All on the CPU, with one thread where no other number is given; in bf16 where that is measured to be faster,
else in fp32. The data are synthetic faces in real mp4 files, as long as those of the default dataset, in a temporary
folder. Each row is printed and written as soon as it is there. After ten minutes it ends: what was not measured by then
is in the table, and says so, as is bf16 where it is slow.

What is counted:

- *Loader*: the limit is decord reading the same files, each opened once and read from its first to its last frame, in
  as many processes as the loader has workers. A training clip asks for more than its own frames: the decoder begins at
  the key frame before the clip, and at stride 4 it must decode the three frames between. So there are two figures:
  frames *delivered* to the training, and frames *decoded* for them (from that key frame to the clip's last frame). The
  goal is on the frames delivered of clips of stride 1; stride 4, as training uses it, is beside it. A clip also opens
  its file, which the limit does once for all frames of the file: *same clips by bare decord* has that as well, so the
  loader over it is what the loader itself costs.
- *Training steps*: frames through the encoder (the two views of a frame count twice), under the real Trainer with its
  logs and one loader worker, without validation and checkpoints. A few steps before each turn use up what the worker
  made ahead while the limit ran. The limit is forward and backward of the bare backbone on random frames of the same
  shape in the same precision: no data, embedding, recurrence, heads, loss or optimiser.
- *Preparing*: raw frames of 640x360 a second, from file to file. The limit is the face landmarker alone on the same
  frames, decoded before, in as many processes. Both have their processes and models loaded. Memory: the largest process
  of an ``aulight prepare`` of a short video, and of one ten times as long.
- *Predicting*: the same from a raw video to its table, as ``aulight predict`` does it, with random weights. The limit
  is the landmarker alone again, without blendshapes. The note says how the time is divided among the stages.
- *Evaluation*: whole videos through the loader and ``FrameStream``, over the forward pass of the bare backbone.
- *Sweep*: seconds of a sweep of four runs of seconds, one after the other, from the command to its end. The limit is
  the sum of the same four, each typed alone.
- *Peak memory*: resident memory of the process that trains, before its limit runs in it; the largest worker is in the
  notes, and shares most of its pages with it.
"""

import argparse
import contextlib
import gc
import json
import math
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from aulight import files
from aulight.processes import cpus
from aulight.runs.machine import processor
from tests.data.formats import unpack

# Nothing heavier here: a process begins with the peak memory of the one that started it.
if TYPE_CHECKING:
    from aulight.data.store import PreparedDataset
    from aulight.settings.training import TrainingSettings

REPOSITORY = Path(__file__).parents[2]
DENSE = ["model=resnet18_convgru", "model.size=128", "objective=dense", "loader.batch_size=4"]
PUBLIC_MB = 1960.0  # a public code of dense predictive coding on such clips, in fp32, where it passes 43 frames/s
AUTO = "AULIGHT_AUTO_PRECISION"  # as of aulight.nets.precision, which takes torch along
MOST_S = 570.0  # that all measures may take; then the rest is left out
DECODERS = 2  # processes that decode, in the loader and in its limit


@dataclass(frozen=True)
class Row:
    """One line of the table; ``limit`` is in the unit of ``measured``, and ``ratio`` the median over the turns."""

    name: str
    measured: float | None  # where it was not, the note says why
    unit: str
    limit: float | None = None
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""

    def cells(self) -> list[str]:
        def number(value: float | None) -> str:
            return "" if value is None else f"{value:,.0f} {self.unit}"

        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        met = {None: "", True: "yes", False: "no"}[self.met]
        return [self.name, number(self.measured), number(self.limit), ratio, self.goal, met, self.note]


HEADER = ["name", "measured", "limit", "ratio", "goal", "met?", "note"]


def compare(name: str, ours: Sequence[float], limit: Sequence[float], goal: float | None = None, note: str = "") -> Row:
    """A row of speeds, one of each a turn."""
    ratio = median(a / b for a, b in zip(ours, limit, strict=True))
    reached = None if goal is None else ratio >= goal
    note = f"{note}; {len(ours)} turn{'s' if len(ours) > 1 else ''}".removeprefix("; ")
    return Row(name, median(ours), "frames/s", median(limit), ratio, f"≥ {goal}" if goal else "", reached, note)


def unmeasured(name: str, why: str) -> Row:
    """A row that says why there is no number."""
    return Row(name, None, "", note=f"not measured: {why}")


# ------------------------------------------------------------------------------------------------------------
# What the measures share; from here on, all is run in a process of its own
# ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """Where a measure finds its data, where it may write, and how long it may take."""

    data: Path
    work: Path
    quick: bool
    seconds: float
    peaks: list[float] = field(default_factory=list)  # noted before a limit ran, which takes memory itself

    def amount(self, full: int, quick: int) -> int:
        """How much of something."""
        return quick if self.quick else full

    def enough(self, turns: int, elapsed_s: float) -> bool:
        """Whether there are enough turns: three and the time is up, or fewer and twice the time, on a slow machine."""
        if self.quick:
            return turns >= 1
        return elapsed_s > self.seconds and (turns >= 3 or (turns >= 1 and elapsed_s > 2 * self.seconds))


def alternate(bench: Bench, speeds: dict[str, Callable[[], float]], warm_up: bool = True) -> dict[str, list[float]]:
    """Speeds of several things that take turns until the time is up, after one turn to warm up."""
    if warm_up:
        for speed in speeds.values():
            speed()
    results: dict[str, list[float]] = {name: [] for name in speeds}
    begin = time.perf_counter()
    while not bench.enough(len(next(iter(results.values()))), time.perf_counter() - begin):
        for name, speed in speeds.items():
            results[name].append(speed())
    return results


def timed(frames: Callable[[], int]) -> Callable[[], float]:
    """Frames per second of something that returns how many frames it did."""

    def speed() -> float:
        begin = time.perf_counter()
        return frames() / (time.perf_counter() - begin)

    return speed


def configured(command: str, *overrides: str) -> dict[str, Any]:
    """The shipped configuration of a command; of training, from scratch and on the CPU."""
    from omegaconf import OmegaConf

    from aulight.runs.composed import composed, register_resolvers

    register_resolvers()
    training = [] if command in ("prepare", "predict") else ["trainer=cpu", "+trainer.limit_val_batches=0"]
    with composed(command, [*training, *overrides]) as config:
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]  # it is a dict


def quickest() -> str:
    """The precision that is: ``bf16`` or ``32``, as ``auto`` takes it."""
    from aulight.nets.precision import choose

    return "bf16" if choose("cpu").bf16 else "32"


def typed(command: str, config: dict[str, Any], name: str) -> "TrainingSettings":
    """The same as settings, of a run of one epoch."""
    from aulight.settings.commands import settings_of
    from aulight.settings.reading import read
    from aulight.settings.training import TrainingSettings

    settings = read(settings_of(command), config | {"name": name, "steps": config["steps_per_epoch"]})
    assert isinstance(settings, TrainingSettings)
    return settings


def bare_backbone(model: dict[str, Any], frames: int, train: bool) -> Callable[[], int]:
    """The limit of a network: its backbone on random frames, forward and, in training, backward."""
    import torch

    from aulight.nets.backbone import build_backbone

    backbone = build_backbone(model["backbone"], model["norm"], model["small_input"]).train(train)
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stubs lack this form
    size = model["size"]
    pictures = torch.randn(frames, 3, size, size).contiguous(memory_format=torch.channels_last)

    def run() -> int:
        with torch.set_grad_enabled(train):
            maps = backbone(pictures)
            if train:
                torch.autograd.backward(maps, torch.ones_like(maps))
                backbone.zero_grad(set_to_none=True)
        return frames

    return run


def all_rows(data: "PreparedDataset") -> Any:
    return data.rows(list(data.videos["subject"]))


# ------------------------------------------------------------------------------------------------------------
# The loader
# ------------------------------------------------------------------------------------------------------------


def decode_files(paths: Sequence[str]) -> int:
    """Reads whole files in order by decord alone."""
    import decord

    count = 0
    for path in paths:
        video = decord.VideoReader(path, num_threads=1)
        for start in range(0, len(video), 64):
            count += len(video.get_batch(range(start, min(start + 64, len(video)))).asnumpy())
    return count


def decode_clips(clips: Sequence[tuple[str, list[int]]]) -> int:
    """Reads clips by decord alone, straight through from their first to their last frame."""
    import decord

    count = 0
    for path, frames in clips:
        video = decord.VideoReader(path, num_threads=1)
        between = video.get_batch(range(frames[0], frames[-1] + 1)).asnumpy()
        count += len(between[:: frames[1] - frames[0]])
    return count


def measure_loader(bench: Bench) -> Iterator[Row]:
    from aulight.data.clips import UnlabelledClips
    from aulight.data.loaders import ContrastiveData
    from aulight.data.store import PreparedDataset
    from aulight.data.video.write import GOP
    from aulight.settings.augment import AugmentSettings
    from aulight.settings.training import ClipSettings

    data = PreparedDataset(bench.data / "faces64")
    plain, strong = (configured("pretrain", f"augment={kind}")["augment"] for kind in ("none", "strong"))
    batches, batch_size, length = bench.amount(30, 2), 8, 16
    counted: dict[str, int] = {}

    def loader(name: str, stride: int, augment: dict[str, Any]) -> Callable[[], float]:
        clip = ClipSettings(length=length, stride=[stride, stride])
        changes = AugmentSettings(**augment)
        module = ContrastiveData(
            data, all_rows(data), clip, changes, 1, data.meta["crop_size"], batch_size, batches, DECODERS, 0, "raise"
        )
        loaded = module.train_dataloader()

        def epoch() -> int:
            return sum(batch["clips"].shape[:3].numel() for batch in loaded)

        clips = chosen(stride)
        counted[name] = sum(frames[-1] + 1 - frames[0] // GOP * GOP for _, frames in clips)
        return timed(epoch)

    def chosen(stride: int) -> list[tuple[str, list[int]]]:
        """The clips of an epoch of the loader."""
        choose = UnlabelledClips(data.segments, length, (stride, stride), batches * batch_size, 0)
        clips = [choose(0, index) for index in range(batches * batch_size)]
        return [(files[clip.video], clip.frames.tolist()) for clip in clips]

    unpacked = unpack(data.root, data.root.with_name(f"{data.root.name}_files"))
    files = [str(unpacked / f"{name}.mp4") for name in data.videos["video_id"]]
    # Forked before anything here has run decord.
    with multiprocessing.get_context("fork").Pool(DECODERS) as pool:

        def shared(work: Callable[[Any], int], items: Sequence[Any]) -> Callable[[], float]:
            parts = [items[process::DECODERS] for process in range(DECODERS)]
            return timed(lambda: sum(pool.map(work, parts, chunksize=1)))

        results = alternate(
            bench,
            {
                "raw": shared(decode_files, files),
                "stride 1": loader("stride 1", 1, plain),
                "bare stride 1": shared(decode_clips, chosen(1)),
                "stride 4": loader("stride 4", 4, plain),
                "bare stride 4": shared(decode_clips, chosen(4)),
                "stride 4, augmented": loader("stride 4, augmented", 4, {**strong, "on": "loader"}),
                "stride 4, drawn": loader("stride 4, drawn", 4, {**strong, "on": "device"}),
            },
        )
    raw, delivered = results["raw"], batches * batch_size * length
    for name, goal in (("stride 1", 0.9), ("stride 4", None), ("stride 4, augmented", None)):
        speeds = results[name]
        yield compare(f"loader, {name}: delivered", speeds, raw, goal, "limit: raw sequential decode")
        decoded = [speed * counted[name] / delivered for speed in speeds]
        yield compare(f"loader, {name}: decoded", decoded, raw, note="limit: raw sequential decode")
        if f"bare {name}" in results:
            note = "limit: same clips by bare decord"
            yield compare(f"loader, {name}: over its clips", speeds, results[f"bare {name}"], note=note)
    note, plainly = "limit: without augmentation", results["stride 4"]
    yield compare("loader, stride 4: augmented", results["stride 4, augmented"], plainly, 0.8, note)
    yield compare("loader, stride 4: to be augmented on a device", results["stride 4, drawn"], plainly, note=note)


def read_videos(bench: Bench, store: str) -> Iterator[Row]:
    """Clips of every video of a store, by the loader of stage one; for the memory that it takes."""
    from aulight.data.loaders import ContrastiveData
    from aulight.data.store import PreparedDataset
    from aulight.settings.augment import AugmentSettings
    from aulight.settings.training import ClipSettings

    config, data = configured("pretrain"), PreparedDataset(bench.data / store)
    before, batch_size = peak_mb(resource.RUSAGE_SELF), 4
    steps = math.ceil(len(data.videos) * bench.amount(3, 1) / batch_size)
    size = data.meta["crop_size"]
    clip, augment = ClipSettings(**config["clip"]), AugmentSettings(**config["augment"])
    module = ContrastiveData(data, all_rows(data), clip, augment, 2, size, batch_size, steps, DECODERS, 0, "raise")
    clips = sum(len(batch["clips"]) for batch in module.train_dataloader())
    yield Row(store, clips, "clips", note=f"{before:.0f} MB before")


# ------------------------------------------------------------------------------------------------------------
# Training and evaluation
# ------------------------------------------------------------------------------------------------------------


def train(
    bench: Bench,
    command: str,
    overrides: Sequence[str] = (),
    data: str = "faces64",
    steps: int = 20,
    limit: bool = True,
) -> tuple[list[float], list[float], float]:
    """Steps of a stage under the real Trainer, in turn with its limit, until the time is up.

    Args:
        bench: Where and how long.
        command: ``pretrain`` or ``finetune``.
        overrides: Of its configuration.
        data: The store.
        steps: In a turn.
        limit: Whether there is one; without it, a single turn is timed.

    Returns:
        Frames per second of the steps and of the limit, turn by turn, and the share of time spent waiting for data.
    """
    import pytorch_lightning as pl

    from aulight.runs.run import Run
    from aulight.training.trainer import make_trainer

    config = configured(command, "loader.workers=1", *overrides)
    views = config["objective"]["views"] if command == "pretrain" else 1
    frames = config["loader"]["batch_size"] * views * config["clip"]["length"]
    skip, steps = bench.amount(min(steps, 5), 1), bench.amount(steps, 2)
    ours, limits, waits = list[float](), list[float](), list[float]()

    class Turns(pl.Callback):
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.bare: Callable[[], int] | None = None
            self.start = self.mark = time.perf_counter()
            self.step, self.wait = 0, 0.0

        def on_train_batch_start(
            self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
        ) -> None:
            self.wait += time.perf_counter() - self.mark
            assert batch["clips"].shape[:-3].numel() == frames

        def on_train_batch_end(
            self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            self.step += 1
            if self.step == skip:
                self.begin, self.wait = time.perf_counter(), 0.0
            elif self.step == skip + steps:
                elapsed = time.perf_counter() - self.begin
                ours.append(steps * frames / elapsed)
                waits.append(self.wait / elapsed)
                if limit:
                    limits.append(self._limit(trainer))
                trainer.should_stop = not limit or bench.enough(len(ours), time.perf_counter() - self.start)
                self.step = 0
            self.mark = time.perf_counter()

        def _limit(self, trainer: pl.Trainer) -> float:
            with trainer.precision_plugin.forward_context():
                if self.bare is None:
                    bench.peaks.append(peak_mb(resource.RUSAGE_SELF))
                    self.bare = bare_backbone(config["model"], frames, train=True)
                    self.bare()  # to warm up
                bare = self.bare
                return timed(lambda: sum(bare() for _ in range(steps)))()

    folder = Path(tempfile.mkdtemp(dir=bench.work))
    # never reached: the callback ends the run
    stage, module = stage_and_data(command, config, bench.data / data, 10_000)
    trainer = make_trainer(Run(folder, command, config), typed(command, config, command), [Turns()])
    trainer.fit(stage, module)
    return ours, limits, median(waits)


def stage_and_data(command: str, config: dict[str, Any], root: Path, steps: int) -> tuple[Any, Any]:
    """A stage and its data as the command makes them; stage two with all labels, tested on all videos."""
    from aulight import protocol
    from aulight.data.loaders import ContrastiveData, RegressionData
    from aulight.data.store import PreparedDataset
    from aulight.settings.augment import AugmentSettings
    from aulight.settings.finetune import FinetuneOptimSettings
    from aulight.settings.model import NetworkSettings
    from aulight.settings.objective import ContrastiveSettings
    from aulight.settings.training import ClipSettings, OptimSettings
    from aulight.training.contrastive import Contrastive
    from aulight.training.regression import RegressionStage

    data, size = PreparedDataset(root), config["model"]["size"]
    clip, augment = ClipSettings(**config["clip"]), AugmentSettings(**config["augment"])
    split = protocol.own_split(data.videos, data.name)
    common = {
        "size": size,
        "batch_size": config["loader"]["batch_size"],
        "batches_per_epoch": steps,
        "workers": config["loader"]["workers"],
        "seed": 0,
        "on_error": "raise",
    }
    if command == "pretrain":
        rows, views = data.rows(split.stage_one), config["objective"]["views"]
        stage_one = Contrastive(
            NetworkSettings(**config["model"]),
            ContrastiveSettings(**config["objective"]),
            OptimSettings(**config["optim"]),
        )
        return stage_one, ContrastiveData(data, rows, clip, augment, views=views, **common)
    labels = protocol.usable_labels(data.labels, data.frames, data.videos, split.train)
    mean, std = [1.0] * len(data.aus), [1.0] * len(data.aus)
    stage_two = RegressionStage(
        NetworkSettings(**config["model"]),
        list(data.aus),
        mean,
        std,
        stride=clip.stride[0],
        step_s=clip.stride[0] / data.fps,
        primed=clip.length - 1,
        loss=config["loss"],
        freeze=config["freeze"],
        optim=FinetuneOptimSettings(**config["optim"]),
    )
    validation, chunk = data.rows(split.validation), config["loader"]["chunk"]
    whole = RegressionData(data, labels, validation, all_rows(data), clip, augment, chunk=chunk, **common)
    return stage_two, whole


def measure_stage_one(bench: Bench) -> Iterator[Row]:
    ours, limit, wait = train(bench, "pretrain", steps=10)
    yield compare("stage one, training step", ours, limit, 0.8, f"limit: bare backbone; data wait {wait:.0%}")


def measure_stage_two(bench: Bench) -> Iterator[Row]:
    ours, limit, wait = train(bench, "finetune")
    yield compare("stage two, training step", ours, limit, 0.9, f"limit: bare backbone; data wait {wait:.0%}")


def measure_precision(bench: Bench, command: str, name: str) -> Iterator[Row]:
    """Whole runs in turn, since a Trainer has one precision; the memory is that of fp32, the larger."""
    if quickest() != "bf16":
        train(bench, command, ["trainer.precision=32-true"], steps=2, limit=False)  # for its memory
        yield unmeasured(f"{name}, bf16 over fp32", "bf16 is slow on this processor, or was not asked for")
        return

    def speed(precision: str) -> Callable[[], float]:
        def run() -> float:
            gc.collect()  # ends the worker of the run before
            return train(bench, command, [f"trainer.precision={precision}"], steps=10, limit=False)[0][0]

        return run

    speeds = {precision: speed(precision) for precision in ("bf16-mixed", "32-true")}
    results = alternate(bench, speeds, warm_up=False)  # every run does so itself
    yield compare(f"{name}, bf16 over fp32", results["bf16-mixed"], results["32-true"], note="limit: the step in fp32")


def measure_evaluation(bench: Bench) -> Iterator[Row]:
    import numpy as np
    import torch

    from aulight.nets.stream import FrameStream
    from aulight.runs.run import Run
    from aulight.training.trainer import make_trainer

    config = configured("finetune", "loader.workers=1")
    stage, module = stage_and_data("finetune", config, bench.data / "faces64", 1)
    # only for its precision, the one that evaluation has
    trainer = make_trainer(Run(bench.work, "finetune", config), typed("finetune", config, "evaluation"), [])
    stage.eval()
    pieces, chunk = module.test_dataloader(), config["loader"]["chunk"]
    bare = bare_backbone(config["model"], chunk, train=False)

    def whole_videos() -> int:
        frames = 0
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            for piece in pieces:
                if piece["start"] == 0:
                    stream = FrameStream(stage.encoder, stage.regressor.predict, stage.step_s, stage.primed)
                frames += len(stream.push(piece["clip"], np.array(piece["times"])))
        return frames

    def limit() -> int:
        with trainer.precision_plugin.forward_context():
            return sum(bare() for _ in range(bench.amount(60, 2)))

    results = alternate(bench, {"ours": timed(whole_videos), "limit": timed(limit)})
    yield compare("evaluation of whole videos", results["ours"], results["limit"], note="limit: bare backbone, forward")


def measure_dense(bench: Bench) -> Iterator[Row]:
    overrides = [*DENSE, f"clip.length={bench.amount(40, 6)}"]
    ours, limit, wait = train(bench, "pretrain", overrides, data="faces128", steps=2)
    row = compare(f"stage one, dense, resnet18, 4 x 40 x 128x128, {quickest()}, 2 threads", ours, limit)
    note = f"limit: bare backbone; data wait {wait:.0%}; a public code in fp32: 43 frames/s"
    yield replace(of_bf16(row, 100), note=note)


def of_bf16(row: Row, least: int) -> Row:
    """The row with a goal in frames/s, which is meant for processors that compute in bf16."""
    if quickest() != "bf16" or row.measured is None:
        return row
    return replace(row, goal=f"≥ {least} frames/s", met=row.measured >= least)


# ------------------------------------------------------------------------------------------------------------
# Preparing raw videos
# ------------------------------------------------------------------------------------------------------------


def film(path: Path, frames: int) -> Path:
    """A real face that moves about in 640x360, at the size at which the labs film faces."""
    import cv2
    import numpy as np
    from skimage.data import astronaut

    from aulight.data.video.write import write_video

    picture = astronaut()  # type: ignore[no-untyped-call]

    def pictures() -> Iterator[Any]:
        for frame in range(frames):
            swing = np.sin(frame / 25)
            matrix = cv2.getRotationMatrix2D((220, 110), 8 * np.sin(frame / 40), 1.7 + 0.1 * swing)
            matrix[:, 2] += (100 + 40 * swing, 60)
            yield cv2.warpAffine(picture, matrix, (640, 360))

    write_video(path, pictures(), 25)
    return path


class Alone:
    """In a worker: the landmarker alone, and all the frames that it is given again and again."""

    def __init__(self, path: Path, max_faces: int, blendshapes: bool) -> None:
        from aulight.data.faces.landmarker import Landmarker
        from aulight.data.video.raw import raw_frames

        self.frames, self.most = [frame.image for frame in raw_frames(path)], max_faces
        self.landmarker = Landmarker(blendshapes, max_faces)

    def run(self) -> int:
        with self.landmarker.video(self.most) as track:
            for image in self.frames:
                track(image)
        return len(self.frames)


landmarkers: list[Alone] = []  # of this worker


def start_landmarker(path: Path, max_faces: int, blendshapes: bool) -> None:
    landmarkers.append(Alone(path, max_faces, blendshapes))


def landmark(_: int) -> int:
    return landmarkers[0].run()


makers: list[Any] = []  # of this worker


def start_maker(*given: Any) -> None:
    from aulight.preparation.videos import VideoMaker

    makers.append(VideoMaker(*given))


def make_video(video: Any) -> str | None:
    reason: str | None = makers[0](video, lambda frames: None)
    return reason


def measure_prepare(bench: Bench, workers: int) -> Iterator[Row]:
    from aulight.data.faces.model_file import model_file
    from aulight.data.sources.raw import RawVideo
    from aulight.preparation.recipe import Finding, Recipe
    from aulight.preparation.videos import part_of, video_of
    from aulight.processes import worker_pool

    frames = bench.amount(400, 20)
    raw = film(bench.work / "raw.mp4", frames)
    config = configured("prepare", "data.source=.")
    finding = Finding(**{key: config["faces"][key] for key in ("blendshapes", "max_faces", "smooth_s")})
    recipe = Recipe("folder", bench.work, None, None, {}, config["crop_size"], finding)
    for kind in (video_of, part_of):
        kind(bench.work, "").parent.mkdir(exist_ok=True)
    given = (recipe, bench.work, model_file(), workers)
    limit = (raw, finding.max_faces, finding.blendshapes)
    # Forked before anything here has run.
    with (
        multiprocessing.get_context("fork").Pool(workers, start_landmarker, limit) as theirs,
        worker_pool(workers, start_maker, given) as ours,
    ):

        def whole() -> int:
            videos = [RawVideo(f"v{i}", "S", raw) for i in range(workers)]
            jobs = [ours.submit(make_video, video) for video in videos]
            assert not any(job.result() for job in jobs)
            return frames * workers

        def alone() -> int:
            return sum(theirs.map(landmark, range(workers), chunksize=1))

        speeds = alternate(bench, {"prepare": timed(whole), "landmarker": timed(alone)})
    name = f"prepare, {workers} process{'es' if workers > 1 else ''}"
    yield compare(name, speeds["prepare"], speeds["landmarker"], 0.8, "limit: landmarker alone, in as many")


def random_model(path: Path, name: str) -> Path:
    """A model of random weights in a file."""
    from aulight.data.alignment import Alignment
    from aulight.nets.encoder import Encoder
    from aulight.nets.heads import IntensityRegressor
    from aulight.prediction.description import ModelDescription
    from aulight.prediction.network import build
    from aulight.settings.model import NetworkSettings

    config = configured("finetune", f"model={name}")["model"]
    encoder = Encoder(NetworkSettings(**config))
    parts = {"encoder": encoder, "regressor": IntensityRegressor(encoder.channels, 12)}
    normalisation = {"image_mean": config.pop("mean"), "image_std": config.pop("std")}
    normalisation |= {"label_mean": [0.0] * 12, "label_std": [1.0] * 12}
    about: dict[str, Any] = dict.fromkeys(("fold", "labelled_frames", "label_fraction", "label_seed", "seed"), 0)
    about |= dict.fromkeys(("stage_one", "validation", "test"))
    about |= {"name": "", "arm": "", "versions": {}, "dataset": {"name": "", "fingerprint": "", "fps": 25.0}}
    about |= {"subjects": dict.fromkeys(("train", "validation", "test"), 0)}
    about |= {"aus": list(range(1, 13)), "architecture": config, "normalisation": normalisation, "stride": 4}
    about |= {"crop_size": 128, "alignment": Alignment.TEMPLATE}
    weights = {f"{part}.{key}": value for part, net in parts.items() for key, value in net.state_dict().items()}
    build(ModelDescription.checked(json.dumps(about), path), weights, path).save(path)
    return path


predict_makers: list[Any] = []  # of this worker


def start_predict_maker(*given: Any) -> None:
    from aulight.prediction.predict import begin_work

    predict_makers.append(begin_work(*given))


def predict_video(video: Any) -> Any:
    return predict_makers[0](video, lambda frames: None)


def measure_predict(bench: Bench, workers: int, name: str, precision: str, goal: float | None) -> Iterator[Row]:
    from aulight.prediction.videos import Video
    from aulight.processes import worker_pool
    from aulight.settings.predict import PredictSettings
    from aulight.settings.reading import read

    frames = bench.amount(400, 20)
    raw = film(bench.work / "raw.mp4", frames)
    overrides = [f"model={random_model(bench.work / 'model.aulight', name)}", f"input={raw}", f"precision={precision}"]
    config = configured("predict", f"output={bench.work / 'out'}", "device=cpu", *overrides)
    given = (read(PredictSettings, config), workers)
    # Forked before anything here has run.
    with (
        multiprocessing.get_context("fork").Pool(workers, start_landmarker, (raw, 4, False)) as theirs,
        worker_pool(workers, start_predict_maker, given) as ours,
    ):

        def whole() -> int:
            jobs = [ours.submit(predict_video, Video(raw, f"v{i}")) for i in range(workers)]
            assert all(job.result().problem is None for job in jobs)
            return frames * workers

        def alone() -> int:
            return sum(theirs.map(landmark, range(workers), chunksize=1))

        speeds = alternate(bench, {"predict": timed(whole), "landmarker": timed(alone)})
    seconds = json.loads((bench.work / "out" / "v0.json").read_text())["seconds"]
    stages = {stage: max(0.0, time_s) for stage, time_s in seconds.items() if stage != "all"}
    split = ", ".join(f"{stage} {time_s / sum(stages.values()):.0%}" for stage, time_s in stages.items())
    title = f"predict, {workers} video{'s' if workers > 1 else ''} at once, {name}, {precision}"
    row = compare(title, speeds["predict"], speeds["landmarker"], goal, f"limit: landmarker alone; {split}")
    yield row if goal else of_bf16(row, 50)


def command_length(bench: Bench, command: str, frames: int) -> Iterator[Row]:
    """The peak memory of the process that prepares or scores a video of some length, by the command."""
    import psutil

    (bench.work / "raw").mkdir()
    film(bench.work / "raw" / "v.mp4", frames)
    arguments = [f"data.source={bench.work / 'raw'}", f"data.root={bench.work / 'data'}", "workers=1"]
    if command == "predict":
        model = random_model(bench.work / "model.aulight", "resnet_tiny")
        arguments = [f"input={bench.work / 'raw'}", f"output={bench.work / 'out'}", f"model={model}", "device=cpu"]
    gc.collect()
    process = psutil.Popen([sys.executable, "-m", "aulight", command, *arguments])
    peak = 0
    while process.poll() is None:  # what the system knows of a process that ended begins with its parent's memory
        time.sleep(0.05)
        for busy in [process] if command == "predict" else process.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                peak = max(peak, busy.memory_info().rss)
    assert process.returncode == 0
    yield Row(command, peak / 1e6, "MB")


# ------------------------------------------------------------------------------------------------------------
# Sweeps
# ------------------------------------------------------------------------------------------------------------


def measure_sweep(bench: Bench) -> Iterator[Row]:
    """Short runs, so that what a sweep adds to them weighs as much as it can."""
    jobs = bench.amount(4, 1)
    short = ["trainer=cpu", "steps=20", "steps_per_epoch=10", "loader.workers=0", "threads=1", "data.synthetic=null"]
    short.append(f"data.root={bench.data / 'faces64'}")

    def seconds(runs: str, *words: str) -> float:
        begin = time.perf_counter()
        command = [sys.executable, "-m", "aulight", "finetune", *short, f"runs={bench.work / runs}", *words]
        subprocess.run(command, check=True)
        return time.perf_counter() - begin

    alone = [seconds("alone", f"seed={seed}") for seed in range(jobs // 2)]
    seeds = ",".join(map(str, range(jobs)))
    sweep = seconds("sweep", "-m", "hydra/launcher=cores", "hydra.launcher.n_jobs=1", f"seed={seeds}")
    alone += [seconds("alone", f"seed={seed}") for seed in range(jobs // 2, jobs)]  # half before and half after
    ratio, note = sweep / sum(alone), "limit: the same runs, each typed alone"
    yield Row(f"sweep of {jobs} short runs", sweep, "s", sum(alone), ratio, "≤ 1.2", ratio <= 1.2, note)


# ------------------------------------------------------------------------------------------------------------
# The data
# ------------------------------------------------------------------------------------------------------------


def make_data(bench: Bench) -> Iterator[Row]:
    """Faces of 64 and of 128 pixels, and a store with ten times as many videos as the first."""
    from aulight.data.store import PreparedDataset
    from aulight.data.synthetic.dataset import SIZES, generate
    from aulight.data.writer import StoreWriter

    if not bench.quick:
        # As long as real ones, and more than the loader keeps open.
        frames = SIZES["default"].frames
        SIZES["smoke"] = replace(SIZES["smoke"], frames=frames, unlabelled=4, train=24, validation=2, test=2)
    generate(bench.data / "faces64", "smoke")
    SIZES["smoke"] = replace(SIZES["smoke"], pixels=128, unlabelled=4, train=2, validation=1, test=1)
    generate(bench.data / "faces128", "smoke")
    data = PreparedDataset(bench.data / "faces64")
    rows = data.frames.groupby("video_id")
    files = unpack(data.root, bench.data / "files")
    with StoreWriter(bench.data / "faces64_x10", data.meta) as store:
        for copy in range(10):
            for video in data.videos.itertuples():
                name, known = f"{copy}_{video.video_id}", rows.get_group(video.video_id)
                link(files / f"{video.video_id}.mp4", store.videos / f"{name}.mp4")
                source, face = known["source_frame"].to_numpy(), known["face_confidence"].to_numpy()
                store.add(name, f"{copy}_{video.subject}", data.fps, source, face)
    yield Row("videos", len(data.videos), "")


def link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links
        target.write_bytes(source.read_bytes())


# ------------------------------------------------------------------------------------------------------------
# Running and reporting
# ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measure:
    """One process: what it runs, for how many seconds, on how many threads, and what its peak memory is called."""

    run: Callable[[Bench], Iterator[Row]]
    seconds: float = 0
    threads: int = 1
    memory: str = ""


MEASURES = {
    "data": Measure(make_data),
    "loader": Measure(measure_loader, 30, memory="loader"),
    "stage_two": Measure(measure_stage_two, 25, memory="stage two"),
    "stage_one": Measure(measure_stage_one, 25, memory="stage one"),
    "stage_two_precision": Measure(lambda b: measure_precision(b, "finetune", "stage two"), 20, 1, "stage two, fp32"),
    "stage_one_precision": Measure(lambda b: measure_precision(b, "pretrain", "stage one"), 30, 1, "stage one, fp32"),
    "evaluation": Measure(measure_evaluation, 15, memory="evaluation"),
    "prepare_1": Measure(lambda b: measure_prepare(b, 1), 20),
    "prepare_2": Measure(lambda b: measure_prepare(b, 2), 20),
    "prepare_short": Measure(lambda b: command_length(b, "prepare", b.amount(300, 20))),
    "prepare_long": Measure(lambda b: command_length(b, "prepare", b.amount(3000, 40))),
    "predict_1": Measure(lambda b: measure_predict(b, 1, "resnet_tiny", "32", 0.8), 20),
    "predict_2": Measure(lambda b: measure_predict(b, 2, "resnet_tiny", "32", 0.8), 20),
    "predict_resnet18": Measure(lambda b: measure_predict(b, 1, "resnet18", quickest(), None), 20),
    "predict_short": Measure(lambda b: command_length(b, "predict", b.amount(300, 20))),
    "predict_long": Measure(lambda b: command_length(b, "predict", b.amount(3000, 40))),
    "videos": Measure(lambda b: read_videos(b, "faces64")),
    "videos_x10": Measure(lambda b: read_videos(b, "faces64_x10")),
    "dense": Measure(measure_dense, 50, threads=2),
    "sweep": Measure(measure_sweep),
}


def peak_mb(who: int) -> float:
    """Peak resident memory in MB of this process or of its largest child that has ended."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(who).ru_maxrss * unit / 1e6


def run_measure(name: str, bench: Bench) -> dict[str, Any]:
    """What a measure found, in this process."""
    from aulight.training.trainer import prepare_process

    measure = MEASURES[name]
    prepare_process(measure.threads, 0)
    rows = [asdict(row) for row in measure.run(bench)]
    gc.collect()  # ends the workers, so that their peaks are known
    peak = bench.peaks[-1] if bench.peaks else peak_mb(resource.RUSAGE_SELF)
    return {"rows": rows, "peak": peak, "worker": peak_mb(resource.RUSAGE_CHILDREN), "precision": quickest()}


def start_measure(name: str, folder: Path, quick: bool, seconds: float | None) -> dict[str, Any] | None:
    """The same in a process of its own, which ends with what it started after so many seconds; ``None`` then."""
    result, log = folder / f"{name}.json", folder / f"{name}.log"
    # the file, not its folder, which processes that are spawned would not import their functions from
    command = [sys.executable, __file__, "--measure", name, "--into", str(folder)]
    threads = {"OMP_NUM_THREADS": str(MEASURES[name].threads)}
    with log.open("w") as output:
        process = subprocess.Popen(
            command + ["--quick"] * quick,
            env=os.environ | threads,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status:
        sys.exit(f"{log.read_text()}\nbenchmark {name} failed with status {status}")
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def memory_rows(found: dict[str, dict[str, Any]]) -> Iterator[Row]:
    """Those of what has been measured."""
    for name, measure in MEASURES.items():
        if measure.memory and name in found:
            note = f"largest worker {found[name]['worker']:.0f} MB"
            yield Row(f"peak memory, {measure.memory}", found[name]["peak"], "MB", note=note)
    if "dense" in found:
        peak = found["dense"]["peak"]
        note = f"limit: a public code in fp32; largest worker {found['dense']['worker']:.0f} MB"
        yield Row("peak memory, dense, 128x128", peak, "MB", PUBLIC_MB, peak / PUBLIC_MB, note=note)
    for command in ("prepare", "predict"):
        if not {f"{command}_short", f"{command}_long"} <= found.keys():
            continue
        short, long = (float(found[f"{command}_{length}"]["rows"][0]["measured"]) for length in ("short", "long"))
        growth = long / short
        yield Row(f"peak memory, {command}, 10 times as long", long, "MB", short, growth, "≤ 1.1", growth <= 1.1)
    if not {"videos", "videos_x10"} <= found.keys():
        return
    one, ten = found["videos"], found["videos_x10"]
    few, many = one["peak"] + one["worker"], ten["peak"] + ten["worker"]
    note = f"largest worker {one['worker']:.0f} MB, then {ten['worker']:.0f} MB"
    growth = many / few
    yield Row("peak memory, 10 times as many videos", many, "MB", few, growth, "≤ 1.1", growth <= 1.1, note)


def all_rows_of(found: dict[str, dict[str, Any]]) -> list[Row]:
    """What is in the table, of what has been measured."""
    beside = ("data", "videos", "videos_x10")  # whose rows are for others
    speeds = (name for name in found if name not in beside and not name.endswith(("_short", "_long")))
    return [*(Row(**row) for name in speeds for row in found[name]["rows"]), *memory_rows(found)]


def machine(precision: str) -> str:
    """One line: processor, cores, torch, precision, threads."""
    kind = {"32": "fp32"}.get(precision, precision)
    return (
        f"{processor()}, {cpus()} cores, torch {version('torch')}, {kind} where no other precision and 1 thread where "
        "no other number is given"
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown that can be read as it is."""
    cells = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    # numbers to the right
    right = [1 <= column <= 3 for column in range(len(HEADER))]
    cells.insert(1, ["-" * (width - 1) + ":" if end else "-" * width for width, end in zip(widths, right, strict=True)])
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if end else cell.ljust(width)
            for cell, width, end in zip(line, widths, right, strict=True)
        )
        + " |"
        for line in cells
    )


def write(path: Path, text: str) -> None:
    with files.whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description="Speeds and memory over their limits.")
    parser.add_argument("--quick", action="store_true", help="a few steps of each, to see that it works")
    parser.add_argument("--into", type=Path, default=REPOSITORY / "runs" / "bench", help="where the table goes")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    into: Path = arguments.into
    if arguments.measure:
        bench = Bench(into, into / arguments.measure, arguments.quick, MEASURES[arguments.measure].seconds)
        bench.work.mkdir()
        write(into / f"{arguments.measure}.json", json.dumps(run_measure(arguments.measure, bench)))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the measure as well, as Ctrl-C does
    into.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    begin, shown, late, precision = time.monotonic(), set[str](), list[Row](), "32"
    with tempfile.TemporaryDirectory(prefix="data-", dir=into) as folder:
        for place, name in enumerate(MEASURES, 1):
            gone = time.monotonic() - begin
            print(f"[{place}/{len(MEASURES)}] {name}, {gone:.0f} s so far", flush=True)
            left = None if arguments.quick else MOST_S - gone
            over = left is not None and left <= 0
            measured = None if over else start_measure(name, Path(folder), arguments.quick, left)
            if measured is None:
                late.append(unmeasured(name, f"the {MOST_S / 60:.0f} minutes were over"))
            else:
                found[name], precision = measured, measured["precision"]
                os.environ[AUTO] = "bf16-mixed" if precision == "bf16" else "32"  # what the first takes, all take
            rows = [*all_rows_of(found), *late]
            for row in rows:
                if row.name not in shown:
                    print("    " + ", ".join(cell for cell in row.cells() if cell), flush=True)
                    shown.add(row.name)
            write_table(into, rows, machine(precision), arguments.quick, round(time.monotonic() - begin))
    print(f"\n{(into / 'bench.md').read_text()}\n{time.monotonic() - begin:.0f} s; also in {into / 'bench.md'}")


def write_table(into: Path, rows: Sequence[Row], where: str, quick: bool, seconds: int) -> None:
    """``bench.json`` and ``bench.md`` of what there is so far."""
    text = f"{where}\n\n{table(rows)}\n"
    if quick:
        text = "A quick run: these numbers mean nothing.\n\n" + text
    record = {"machine": where, "quick": quick, "seconds": seconds, "rows": [asdict(row) for row in rows]}
    write(into / "bench.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    write(into / "bench.md", text)


if __name__ == "__main__":
    main()
