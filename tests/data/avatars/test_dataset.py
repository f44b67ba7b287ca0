"""The dataset: tables against what was acted, the same bytes on any number of workers, and after an interruption."""

from pathlib import Path

import numpy as np
import pytest

from aulight.data.alignment import Alignment
from aulight.data.avatars import dataset
from aulight.data.avatars.actions import AVATAR_AUS
from aulight.data.avatars.raw import write_raw
from aulight.data.avatars.scene import performance
from aulight.data.store import PreparedDataset
from aulight.data.synthetic.dataset import FPS, Size
from aulight.data.video.prepared import stream_frames
from aulight.data.writer import partial_folder
from aulight.errors import AulightError
from tests.data.formats import members

TINY = Size(pixels=64, frames=10, unlabelled=1, train=1, validation=1, test=1)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dataset.SIZES, "tiny", TINY)


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_whole_prepared_dataset(tmp_path: Path) -> None:
    dataset.generate(tmp_path / "one", "tiny", seed=2, workers=1)
    data = PreparedDataset(tmp_path / "one")
    assert data.aus == AVATAR_AUS
    assert data.meta["alignment"] == Alignment.TEMPLATE
    assert data.videos["split"].tolist() == ["unlabelled", "train", "validation", "test"]
    assert data.videos["subject"].is_unique
    assert set(data.labels["video_id"]) == {"train_00001", "validation_00002", "test_00003"}
    for index in (1, 3):
        acted = np.round(performance(2, index, 0, TINY.frames, FPS)[0].intensities)
        rows = data.labels[data.labels["video_id"] == data.videos.loc[index, "video_id"]]
        np.testing.assert_array_equal(rows[data.columns].to_numpy(int), acted)
        assert np.concatenate(list(stream_frames(data.file(index)))).shape == (10, 64, 64, 3)
    assert not list(tmp_path.glob(".*")), "something temporary was left behind"

    # the same of two processes, one of whose videos was there before; and nothing of another seed is gone on with
    begun = partial_folder(tmp_path / "two")
    (begun / "videos").mkdir(parents=True)
    (begun / "videos" / "train_00001.mp4").write_bytes(b"of another recipe")
    (begun / "recipe.yaml").write_text("seed: 3\n")
    dataset.generate(tmp_path / "two", "tiny", seed=2, workers=2)
    assert content(tmp_path / "two") == content(tmp_path / "one")


def test_what_an_interrupted_run_left_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data"
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "Bar", None)  # it breaks off before the first video
        with pytest.raises(TypeError):
            dataset.generate(root, "tiny", seed=2, workers=1)
    assert not root.exists()
    kept = partial_folder(root) / "videos" / "test_00003.mp4"
    kept.write_bytes(b"whole, as its name says")
    dataset.generate(root, "tiny", seed=2, workers=1)
    assert members(root)["test_00003/00000.mp4"] == b"whole, as its name says"
    assert not partial_folder(root).exists()
    assert not (root / "recipe.yaml").exists()


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(AulightError, match="size=huge: no such size"):
        dataset.generate(tmp_path / "data", "huge")
    (tmp_path / "there").mkdir()
    with pytest.raises(AulightError, match="already there"):
        dataset.generate(tmp_path / "there", "tiny")
    with pytest.raises(AulightError, match="already there"):
        write_raw(tmp_path / "there", people=1, frames=5)
