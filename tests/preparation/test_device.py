"""`aulight prepare` with the faces of several videos found at once by torch, on the CPU as on a GPU."""

import filecmp
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.batched.networks import SharedNetworks
from aulight.data.faces.model_file import model_file
from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import open_video
from aulight.data.video.raw import raw_frames
from aulight.data.video.write import write_video
from tests.data.faces.astronaut import Array, couple, film, placed

Command = Callable[..., Any]
NAMES = ["a", "b", "couple", "d"]

PIXELS, GREY = 0.05, 4
"""How far the corners of crops, and their pictures before they are coded, are from LiteRT's at most."""

SCORE, CODED = 0.02, 3.0
"""The same of blendshapes; and of coded pictures on average: grain that is a grey level off is coded otherwise."""


def swaying(phase: float) -> Callable[[float], Array]:
    return lambda time_s: placed(
        0.8, 0.2 * np.sin(1.9 * time_s + phase), (320 + 40 * np.sin(3 * time_s + phase), 190 + 10 * np.cos(time_s))
    )


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four films of a real face, one of them of two people, and one that is cut off."""
    folder = tmp_path_factory.mktemp("films") / "raw"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        frames = couple(1, range(10, 18), 24) if name == "couple" else film(12 + 4 * number, swaying(number))
        write_video(folder / f"{name}.mp4", (frame.image for frame in frames), 25)
    whole = (folder / "d.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="module")
def command(raw: Path) -> list[str]:
    return [
        sys.executable, "-m", "aulight", "prepare", f"data.source={raw}", "faces.device=torch", "workers=1",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def prepared(command: list[str], raw: Path) -> PreparedDataset:
    root = raw.parent / "torch"
    done = subprocess.run([*command, f"data.root={root}"], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "cut.mp4: not a readable video, or one that is cut off" in done.stdout
    assert "Preparing: 100%" in done.stderr
    return PreparedDataset(root)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_it_prepares_what_litert_prepares(prepared: PreparedDataset, aulight: Command, raw: Path) -> None:
    root = raw.parent / "litert"
    assert aulight("prepare", f"data.source={raw}", f"data.root={root}", "workers=1").status == 0
    other = PreparedDataset(root)
    assert list(prepared.videos["video_id"]) == list(other.videos["video_id"]) == NAMES
    assert list(prepared.meta["skipped"]) == list(other.meta["skipped"]) == ["cut"]
    pd.testing.assert_frame_equal(prepared.frames, other.frames, atol=1e-6)
    pd.testing.assert_frame_equal(prepared.blendshapes, other.blendshapes, rtol=0, atol=SCORE)
    for row, count in enumerate(prepared.videos["frames"]):
        ours, theirs = (open_video(data.file(row)).read(range(count)).astype(int) for data in (prepared, other))
        assert np.abs(ours - theirs).mean() < CODED
    said, before = (yaml.safe_load((data.root / "dataset.yaml").read_text()) for data in (prepared, other))
    assert said["source"].pop("networks") == "torch"
    assert said["source"] == before["source"]


@pytest.mark.usefixtures("one_thread")
def test_crops_before_they_are_coded_are_litert_s(raw: Path) -> None:
    """The way back from the corners of one crop into the other, and its pixels."""
    shared = SharedNetworks(model_file(), "cpu")
    corners = np.array([[0, 127, 0, 127], [0, 0, 127, 127]])
    for name in ("a", "couple"):
        with (
            FaceAligner(128, True, 4, 0.1, networks=shared.of_a_video()) as ours,
            FaceAligner(128, True, 4, 0.1) as theirs,
        ):
            frames = list(raw_frames(raw / f"{name}.mp4"))
            for (_, one), (_, other) in zip(
                ours.follow(partial(iter, frames)), theirs.follow(partial(iter, frames)), strict=True
            ):
                there = np.linalg.solve(one[0].matrix[:, :2], corners - one[0].matrix[:, 2:])
                back = other[0].matrix[:, :2] @ there + other[0].matrix[:, 2:]
                assert np.abs(back - corners).max() < PIXELS
                assert np.abs(one[0].crop.astype(int) - other[0].crop).max() <= GREY
    shared.close()


def same_files(one: Path, other: Path) -> bool:
    names = ("shards/000000.tar", "index.parquet", "frames.parquet")
    return all(filecmp.cmp(one / name, other / name, shallow=False) for name in names)


def test_it_gives_the_same_bytes_whatever_was_in_a_batch(
    prepared: PreparedDataset, command: list[str], tmp_path: Path
) -> None:
    """Two processes in place of one, so other videos are side by side."""
    root = tmp_path / "data"
    subprocess.run([*command, "workers=2", f"data.root={root}"], capture_output=True, check=True, timeout=300)
    assert same_files(root, prepared.root)
    assert PreparedDataset(root).fingerprint == prepared.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_cut_off_it_goes_on_and_ends_the_same(
    prepared: PreparedDataset, command: list[str], tmp_path: Path, end: signal.Signals
) -> None:
    root = tmp_path / "data"
    parts = tmp_path / ".data.partial" / "parts"
    begun = subprocess.Popen(
        [*command, f"data.root={root}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (parts.is_dir() and list(parts.glob("*.parquet"))):
        assert begun.poll() is None, begun.communicate()
        time.sleep(0.01)
    begun.send_signal(end)
    _, err = begun.communicate(timeout=60)
    assert begun.returncode != 0
    assert "Traceback" not in err
    assert not root.exists()
    before = {path.stem: path.stat().st_mtime_ns for path in parts.glob("*.parquet")}
    subprocess.run([*command, f"data.root={root}"], capture_output=True, check=True, timeout=300)
    assert same_files(root, prepared.root)
    assert len(before) < len(NAMES)


def test_a_later_command_without_torch_leaves_word_of_it(
    prepared: PreparedDataset, aulight: Command, raw: Path
) -> None:
    """It goes on with what torch has made; what is there is not made anew."""
    where = [f"data.source={raw}", f"data.root={prepared.root}", "workers=1"]
    shard = prepared.root / "shards" / "000000.tar"
    made = shard.stat().st_mtime_ns
    outcome = aulight("prepare", *where)
    assert outcome.status == 0, outcome.err
    assert [path.stat().st_mtime_ns for path in shard.parent.iterdir()] == [made]
    assert yaml.safe_load((prepared.root / "dataset.yaml").read_text())["source"]["networks"] == "torch"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["faces.device=gpu"], "faces.device=gpu: auto, cpu, torch, cuda, or one of several GPUs as cuda:1 is needed"),
        (["faces.device=cuda:99"], "faces.device=cuda:99: torch sees"),
        (
            ["faces.device=torch", "executor=dask", "cluster.address=tcp://127.0.0.1:1"],
            "faces.device=torch: only with executor=local",
        ),
    ],
)
def test_mistakes_are_said_before_anything_is_made(
    aulight: Command, raw: Path, tmp_path: Path, typed: list[str], said: str
) -> None:
    outcome = aulight("prepare", f"data.source={raw}", f"data.root={tmp_path / 'data'}", *typed)
    assert outcome.status == 2
    assert said in outcome.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_on_error_raise_stops_at_the_damaged_one(command: list[str], tmp_path: Path) -> None:
    root = tmp_path / "data"
    done = subprocess.run(
        [*command, "on_error=raise", f"data.root={root}"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 2
    assert "cut.mp4: not a readable video" in done.stderr.splitlines()[-1]
    assert not root.exists()


def test_a_device_that_makes_nothing_changes_nothing(
    prepared: PreparedDataset, aulight: Command, raw: Path, tmp_path: Path
) -> None:
    """Nor is it noted; one that was at work before a kill is, whoever goes on."""
    root, where = tmp_path / "data", [f"data.source={raw}", f"data.root={tmp_path / 'data'}", "workers=1"]
    assert aulight("prepare", *where).status == 0
    before = (root / "dataset.yaml").read_bytes()
    assert aulight("prepare", *where, "faces.device=torch").status == 0
    assert (root / "dataset.yaml").read_bytes() == before
    begun = tmp_path / ".data.partial"
    begun.mkdir()
    source = yaml.safe_load(before)["source"]
    (begun / "settings.yaml").write_text(yaml.safe_dump(source | {"networks": "torch"}))
    assert aulight("prepare", *where).status == 0
    assert yaml.safe_load((root / "dataset.yaml").read_text())["source"]["networks"] == "torch"
    assert PreparedDataset(root).fingerprint == yaml.safe_load(before)["fingerprint"]
