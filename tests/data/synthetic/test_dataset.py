"""The synthetic dataset: tables against what was drawn, files against tables, and nothing left of half a one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from aulight.data.store import PreparedDataset
from aulight.data.synthetic import dataset
from aulight.data.video.prepared import stream_frames
from aulight.datasets import DISFA_AUS
from aulight.errors import AulightError
from aulight.facs import column


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    root = tmp_path_factory.mktemp("data") / "synthetic"
    dataset.generate(root, "smoke", seed=3, workers=2)
    return PreparedDataset(root)


def test_smoke_is_a_whole_prepared_dataset(smoke: PreparedDataset) -> None:
    size = dataset.SIZES["smoke"]
    counts = smoke.videos["split"].value_counts().to_dict()
    assert counts == {name: getattr(size, name) for name in ("unlabelled", "train", "validation", "test")}
    assert smoke.aus == DISFA_AUS
    assert smoke.fps == 25
    assert (smoke.frames["face_confidence"] == 1).all()
    assert not list(smoke.root.parent.glob(".*")), "something temporary was left behind"


def test_every_file_holds_the_frames_of_its_table(smoke: PreparedDataset) -> None:
    for row, video in smoke.videos.iterrows():
        frames = np.concatenate(list(stream_frames(smoke.file(int(str(row))))))
        assert frames.shape == (video["frames"], 64, 64, 3), video["video_id"]
        assert (smoke.frames["video_id"] == video["video_id"]).sum() == video["frames"]


def test_no_subject_is_in_two_splits(smoke: PreparedDataset) -> None:
    assert (smoke.videos.groupby("subject")["split"].nunique() == 1).all()


def test_labels_are_the_rounded_intensities_of_the_drawn_video(smoke: PreparedDataset) -> None:
    labelled = smoke.videos[smoke.videos["split"] != "unlabelled"]
    assert set(smoke.labels["video_id"]) == set(labelled["video_id"])
    for index in (labelled.index[0], labelled.index[-1]):
        frames, intensities = dataset.render_video((3, int(index)), frames=60)
        rows = smoke.labels[smoke.labels["video_id"] == labelled.loc[index, "video_id"]]
        np.testing.assert_array_equal(rows[smoke.columns].to_numpy(int), np.round(intensities))
        decoded = np.concatenate(list(stream_frames(smoke.file(int(index)))))
        # Compression loses a little; another subject's video is five times as far away.
        assert np.abs(decoded.astype(int) - frames).mean() < 8


def test_same_seed_same_bytes_on_any_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = dataset.Size(pixels=48, frames=20, unlabelled=2, train=2, validation=1, test=1)
    monkeypatch.setitem(dataset.SIZES, "tiny", tiny)
    runs = {"one": (1, 5), "three": (3, 5), "other": (2, 6)}
    contents = {}
    for name, (workers, seed) in runs.items():
        root = tmp_path / name
        dataset.generate(root, "tiny", seed=seed, workers=workers)
        contents[name] = {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert len(contents["one"]) == 7
    assert contents["one"] == contents["three"]
    assert contents["one"].keys() == contents["other"].keys()
    videos = [path for path in contents["one"] if path.suffix == ".mp4"]
    assert all(contents["one"][path] != contents["other"][path] for path in videos)


def test_a_failure_leaves_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dataset.SIZES, "odd", dataset.Size(33, 5, 1, 1, 1, 1))  # h264 wants an even side
    with pytest.raises(AulightError, match="even"):
        dataset.generate(tmp_path / "faces", "odd", workers=1)
    assert not list(tmp_path.iterdir())


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # pytest-xdist's processes, and so their children, ignore Ctrl-C


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_stopped_half_way_it_leaves_no_process_and_no_store(tmp_path: Path, stop: signal.Signals) -> None:
    root = tmp_path / "faces"
    code = (
        "import sys, pathlib; from aulight.data.synthetic.dataset import generate\n"
        "if __name__ == '__main__': generate(pathlib.Path(sys.argv[1]), workers=2)"
    )
    script = tmp_path / "make.py"
    script.write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(script), str(root)],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        preexec_fn=_hear_interrupts,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".faces*/videos/unlabelled*.mp4")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    if stop == signal.SIGINT:  # as a terminal does: the whole group gets it
        os.killpg(process.pid, stop)
    else:
        process.kill()
    assert process.wait(30) != 0
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert len(gone) >= 2
    assert not alive
    assert not root.exists()
    if stop == signal.SIGINT:
        assert list(tmp_path.iterdir()) == [script]


def test_an_unknown_size_is_named(tmp_path: Path) -> None:
    with pytest.raises(AulightError, match=r"size=huge.*smoke, default, large"):
        dataset.generate(tmp_path / "faces", "huge")


def test_unlabelled_rows_have_no_labels_and_columns_are_all_there(smoke: PreparedDataset) -> None:
    assert list(smoke.labels.columns) == ["video_id", "frame", *(column(au) for au in DISFA_AUS)]
    assert smoke.labels[smoke.columns].notna().all(axis=None)
    assert all(isinstance(dtype, pd.Int8Dtype) for dtype in smoke.labels[smoke.columns].dtypes)
