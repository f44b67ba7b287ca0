"""Settings of every test process: one thread, offline, and errors shown whole."""

import os

# Before anything else is imported; the processes that tests start inherit them.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["HYDRA_FULL_ERROR"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ.pop("WANDB_API_KEY", None)

import contextlib
import io
import itertools
import shutil
import sys
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
import torch
from filelock import FileLock

from aulight.cli.main import main
from aulight.data.synthetic.dataset import generate, render_video
from aulight.datasets import BP4D_AUS, DISFA_AUS
from aulight.nets.precision import AUTO, choose
from tests.data.formats import unpack

Frames = npt.NDArray[np.uint8]

torch.set_num_threads(1)
torch.set_flush_denormal(True)
# Measured once: a machine that other work slows down must not give one test another precision than the next.
os.environ.setdefault(AUTO, "bf16-mixed" if choose("cpu").bf16 else "32")


@pytest.fixture(scope="session")
def smoke_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest synthetic dataset, made once for all test processes; not to be changed."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    root = folder / "data" / "synthetic-smoke-seed0"
    root.parent.mkdir(exist_ok=True)
    with FileLock(folder / "smoke_data.lock"):
        if not root.exists():
            generate(root, "smoke", workers=2)
    return root


@pytest.fixture(scope="session")
def smoke_videos(smoke_data: Path) -> Path:
    """A folder with its videos as a file each, ``test_00021.mp4``; not to be changed."""
    folder = smoke_data.parents[1] / "smoke videos"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            unpack(smoke_data, folder.with_suffix(".made")).rename(folder)
    return folder


class Outcome(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def aulight() -> Command:
    """Runs a command in this process, as the console script does."""

    def run(*arguments: object) -> Outcome:
        out, err, status, before = io.StringIO(), io.StringIO(), 0, sys.argv
        sys.argv = ["aulight", *map(str, arguments)]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            sys.argv = before
        return Outcome(status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def tiny(smoke_data: Path) -> list[str]:
    """Settings of a run of seconds: 3 epochs of 2 steps on the smallest dataset."""
    return [
        f"data_dir={smoke_data.parent}",
        "data.size=smoke",
        "steps=6",
        "steps_per_epoch=2",
        "loader.batch_size=3",
        "loader.workers=0",
        "threads=1",
        "progress_s=0",
        "trainer.accelerator=cpu",
        "trainer.log_every_n_steps=1",
    ]


@pytest.fixture(scope="session")
def tiny_pretrain(tiny: list[str]) -> list[str]:
    """The same for stage one."""
    return ["pretrain", *tiny, "clip.length=6", "probe.every_epochs=1", "keep_every_epochs=2"]


@pytest.fixture(scope="session")
def tiny_finetune(tiny: list[str]) -> list[str]:
    """The same for stage two, with 36 labelled frames."""
    return ["finetune", *tiny, "label_fraction=0.1"]


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory, aulight: Command, tiny_pretrain: list[str]) -> Path:
    """The run directory of a finished, undisturbed stage one; not to be changed."""
    folder = tmp_path_factory.mktemp("pretrained")
    outcome = aulight(*tiny_pretrain, f"root={folder}", "name=run")
    assert outcome.status == 0, outcome.err
    return folder / "run"


@pytest.fixture(scope="session")
def finetuned(
    tmp_path_factory: pytest.TempPathFactory, aulight: Command, tiny_finetune: list[str], pretrained: Path
) -> Path:
    """The run directory of a finished, undisturbed stage two on top of it; not to be changed."""
    folder = tmp_path_factory.mktemp("finetuned")
    outcome = aulight(*tiny_finetune, f"pretrained={pretrained}", f"root={folder}", "name=run")
    assert outcome.status == 0, outcome.err
    return folder / "run"


@pytest.fixture(scope="session")
def mixed() -> bool:
    """Whether ``trainer.precision=auto`` is bf16-mixed on the CPU, in this process and in those that tests start."""
    return choose("cpu").bf16


# ---- pictures that say which they are ---------------------------------------------------------------------------

CODE_BITS = 16  # of a 4 x 4 chequerboard: 10 for the frame, 6 for the video


@pytest.fixture(scope="session")
def coded() -> Callable[..., Iterator[Frames]]:
    """``coded(video, count, size=64)``: frames whose picture says, whatever the compression, which they are."""

    def frames(video: int, count: int, size: int = 64) -> Iterator[Frames]:
        for frame in range(count):
            bits = (video << 10 | frame) >> np.arange(CODE_BITS) & 1
            grey = np.where(bits, 220, 30).astype(np.uint8).reshape(4, 4)
            yield np.repeat(np.kron(grey, np.ones((size // 4, size // 4), np.uint8))[..., None], 3, axis=2)

    return frames


@pytest.fixture(scope="session")
def decode() -> Callable[[Frames], list[tuple[int, int]]]:
    """Pictures ``(T, H, W, 3)`` of ``coded`` to their (video, frame)."""

    def codes(frames: Frames) -> list[tuple[int, int]]:
        count, height, width = frames.shape[:3]
        blocks = frames.reshape(count, 4, height // 4, 4, width // 4, 3)
        # the middle of each block, clear of its neighbours' ringing
        blocks = blocks[:, :, height // 16 : -(height // 16), :, width // 16 : -(width // 16)]
        bits = (blocks.mean((2, 4, 5)) > 125).reshape(count, CODE_BITS)
        numbers = (bits << np.arange(CODE_BITS)).sum(1)
        return [(int(number) >> 10, int(number) & 1023) for number in numbers]

    return codes


# ---- raw data in the layouts of the datasets ------------------------------------------------------------------------


def _face_video(seed: int, count: int, real: bool, size: tuple[int, int]) -> tuple[Frames, Frames]:
    """Pictures ``(count, H, W, 3)`` of a face, and intensities ``(count, 12)`` that a drawn one really shows."""
    width, height = size
    drawn, intensities = render_video(seed, height, count)
    if real:
        # the astronaut's face is at (222, 116) and 120 pixels high; its size and place change from frame to frame
        rng, time = np.random.default_rng(seed), np.arange(count) / 25
        scale = height / 192 * (1 + 0.1 * rng.uniform() + 0.06 * np.sin(2 * np.pi * (0.4 * time + rng.uniform())))
        across, down = 0.04 * width * np.sin(2 * np.pi * (np.array([[0.3], [0.5]]) * time + rng.uniform(size=(2, 1))))
        picture = skimage.data.astronaut()  # type: ignore[no-untyped-call]
        frames = [
            cv2.warpAffine(
                picture,
                np.array([[s, 0, width / 2 - s * 222 + x], [0, s, height / 2 - s * 116 + y]]),
                size,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for s, x, y in zip(scale, across, down, strict=True)
        ]
    else:
        left = (width - height) // 2
        frames = [cv2.copyMakeBorder(face, 0, 0, left, width - height - left, cv2.BORDER_REPLICATE) for face in drawn]
    return np.stack(frames).astype(np.uint8), intensities.round().astype(np.uint8)


def _encode(path: Path, frames: Frames, codec: str, fps: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.bit_rate = 1_500_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _write_images(folder: Path, frames: Frames, names: Iterable[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for frame, name in zip(frames, names, strict=True):
        assert cv2.imwrite(str(folder / name), frame[..., ::-1])


def _write_codes(path: Path, frames: Iterable[int], values: Iterable[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{frame},{value}\n" for frame, value in zip(frames, values, strict=True)))


Tree = Callable[..., Path]


@pytest.fixture(scope="session")
def disfa_tree() -> Tree:
    """Writes a folder in DISFA's layout, its labels those of the drawn faces; returns it.

    ``real`` subjects have a real face (and labels that are not its own); ``rows`` says whose labels have another number
    of rows than the video has frames; ``first`` is the number that label files give to the first frame.
    """

    def build(
        root: Path,
        subjects: Sequence[str] = ("SN001", "SN002", "SN010"),
        cameras: Sequence[str] = ("left",),
        real: Collection[str] = (),
        frames: int = 24,
        rows: Mapping[str, int] | None = None,
        first: int = 1,
        size: tuple[int, int] = (256, 192),
    ) -> Path:
        for subject in subjects:
            face, intensities = _face_video(int(subject[2:]), frames, subject in real, size)
            for camera in cameras:
                # as in the copies that are around: folders and files do not follow one spelling
                folder, end = {"left": ("Videos_LeftCamera", "comp"), "right": ("Video_RightCamera", "Comp")}[camera]
                pictures = face if camera == "left" else face[:, :, ::-1]
                _encode(root / folder / f"{camera.title()}Video{subject}_{end}.avi", pictures, "mpeg4", 20)
            count = (rows or {}).get(subject, frames)
            values = np.pad(intensities, ((0, max(0, count - frames)), (0, 0)), "edge")[:count]
            for au, column in zip(DISFA_AUS, values.T, strict=True):
                path = root / "ActionUnit_Labels" / subject / f"{subject}_au{au}.txt"
                _write_codes(path, range(first, first + count), column)
        return root

    return build


@pytest.fixture(scope="session")
def bp4d_tree() -> Tree:
    """Writes a folder in BP4D's layout (``zipped``: BP4D+'s); returns it.

    Sequences start at frames 2440, 643 (written 0643) and 1, in turn. All but the first and last two images are coded,
    and every fifth of those is unknown for AU14. ``layout`` is the folder of the intensities, ``None`` leaves them out;
    ``occurrence`` adds labels of presence. ``real`` subjects have a real face.
    """

    def build(
        root: Path,
        subjects: Sequence[str] = ("F001", "F002", "M001"),
        tasks: Sequence[str] = ("T1", "T6"),
        real: Collection[str] = (),
        frames: int = 16,
        layout: str | None = "AU-Intensity-Codes3.0",
        occurrence: bool = False,
        zipped: bool = False,
        size: tuple[int, int] = (256, 192),
    ) -> Path:
        for number, (subject, task) in enumerate(itertools.product(subjects, tasks)):
            first, digits = ((2440, 4), (643, 4), (1, 1))[number % 3]
            face, intensities = _face_video(100 + number, frames, subject in real, size)
            folder = root / ("2D+3D" if zipped else "BP4D-training") / subject / task
            _write_images(folder, face, [f"{first + i:0{digits}d}.jpg" for i in range(frames)])
            shown = dict(zip(DISFA_AUS, intensities.T, strict=True))
            shown |= {10: shown[9], 14: shown[15]}
            coded = np.arange(2, frames - 2)
            for au in BP4D_AUS if layout else ():
                values = shown[au][coded]
                if au == 14:
                    values[::5] = 9
                _write_codes(
                    root / str(layout) / f"AU{au:02d}" / f"{subject}_{task}_AU{au:02d}.csv", first + coded, values
                )
            if occurrence:
                path = root / "AUCoding" / "AU_OCC" / f"{subject}_{task}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                lines = [",".join(map(str, [0, *BP4D_AUS]))]
                lines += [",".join(map(str, [first + i, *(int(shown[au][i] > 1) for au in BP4D_AUS)])) for i in coded]
                path.write_text("\n".join(lines) + "\n")
        for subject in subjects if zipped else ():
            folder = root / "2D+3D" / subject
            with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
                for path in sorted(folder.rglob("*.jpg")):
                    archive.write(path, Path(f"{subject}_2D+3D") / path.relative_to(folder))
            shutil.rmtree(folder)
        return root

    return build


@pytest.fixture(scope="session")
def affwild2_tree() -> Tree:
    """Writes a folder in Aff-Wild2's layout: three videos, and crops with gaps of one's two people; returns it."""

    def build(root: Path, frames: int = 24, real: bool = False, size: tuple[int, int] = (256, 192)) -> Path:
        for number, name in enumerate(("batch1/4-30-1920x1080.mp4", "batch2/video59.avi", "new_vids/105.mp4")):
            face, _ = _face_video(200 + number, frames, real, size)
            _encode(root / name, face, "mpeg4" if name.endswith("avi") else "libx264", 30)
        for number, name in enumerate(("4-30-1920x1080", "video59_left", "video59_right")):
            face, _ = _face_video(200 + number, frames, real, (112, 112))
            there = [i for i in range(frames) if i not in (5, 6, 12)]  # no face was found in the others
            _write_images(root / "cropped_aligned" / name, face[there], [f"{i + 1:05d}.jpg" for i in there])
        return root

    return build


@pytest.fixture(scope="session")
def folder_tree() -> Tree:
    """Writes videos and folders of images of one subject each, and files that are neither; returns the folder.

    ``first.mp4``, ``day 1/second.avi`` and the folder ``day 1/third`` with ``frame_0010.jpg`` ...
    """

    def build(root: Path, frames: int = 24, real: bool = False, size: tuple[int, int] = (256, 192)) -> Path:
        faces = [_face_video(300 + number, frames, real, size)[0] for number in range(3)]
        _encode(root / "first.mp4", faces[0], "libx264", 25)
        _encode(root / "day 1" / "second.avi", faces[1], "mpeg4", 25)
        _write_images(root / "day 1" / "third", faces[2], [f"frame_{10 + i:04d}.jpg" for i in range(frames)])
        (root / "day 1" / "notes.txt").write_text("recorded on a rainy day\n")
        (root / ".trash").mkdir()
        (root / ".trash" / "old.mp4").write_bytes(b"")
        (root / "day 1" / "._second.avi").write_bytes(b"")
        return root

    return build
