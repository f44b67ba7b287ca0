"""Small prepared datasets whose every frame is known."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from aulight.data.store import PreparedDataset
from aulight.data.video.write import write_video
from aulight.data.writer import StoreWriter
from tests.data.coded import Make
from tests.data.coded import build as build_coded
from tests.data.formats import point, spoil

Frames = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def make_store(coded: Callable[..., Iterator[Frames]]) -> Callable[..., PreparedDataset]:
    """Builds a small prepared dataset: video ``i`` is ``v<i>`` of subject ``S<i>``.

    ``confidence``, ``source`` and ``labels`` hold one entry a video (``None`` for the plain case); ``columns`` further
    columns of ``videos.parquet``. Without ``real`` the video files are empty.
    """

    def build(
        root: Path,
        lengths: Sequence[int],
        confidence: Sequence[Any] | None = None,
        source: Sequence[Any] | None = None,
        labels: Sequence[Any] | None = None,
        aus: Sequence[int] = (1, 12),
        real: bool = True,
        columns: Sequence[dict[str, Any]] | None = None,
    ) -> PreparedDataset:
        with StoreWriter(root, {"name": "coded", "aus": list(aus), "fps": 25.0, "crop_size": 64}) as store:
            for i, count in enumerate(lengths):
                path = store.videos / f"v{i}.mp4"
                if real:
                    write_video(path, coded(i, count), 25)
                else:
                    path.touch()
                store.add(
                    f"v{i}",
                    f"S{i}",
                    25.0,
                    np.arange(count) if source is None else np.asarray(source[i]),
                    np.ones(count, np.float32) if confidence is None else np.asarray(confidence[i], np.float32),
                    labels=None if labels is None else labels[i],
                    **({} if columns is None else columns[i]),
                )
        return PreparedDataset(root)

    return build


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, make_store: Make) -> PreparedDataset:
    """Eight videos, as :func:`tests.data.coded.build` makes them; not to be changed."""
    return build_coded(make_store, tmp_path_factory.mktemp("data") / "coded")


@pytest.fixture
def broken(data: PreparedDataset, tmp_path: Path) -> PreparedDataset:
    """Videos 0 (unlabelled), 2 (train) and 6 (test) are of no use; 6 is so from its last frames on only."""
    shutil.copytree(data.root, tmp_path / "coded")
    damaged = PreparedDataset(tmp_path / "coded")
    spoil(damaged, 0, b"not a video")
    point(damaged, {2: 1})  # of another length
    spoil(damaged, 6)
    return PreparedDataset(damaged.root)


@pytest.fixture
def faces(tmp_path: Path, make_store: Make) -> PreparedDataset:
    """Three videos without pictures, one of them unlabelled."""
    return make_store(
        tmp_path / "faces",
        [3, 4, 2],
        confidence=[[1, 0, 0.5], [1, 1, 1, 1], [0.25, 1]],
        source=[[5, 6, 9], [0, 1, 2, 3], [0, 2]],
        labels=({1: [0, 5, None], 12: [1.0, float("nan"), 3.0]}, None, {1: [2, None], 12: [None, None]}),
        real=False,
        columns=[{"split": part} for part in ("train", "unlabelled", "test")],
    )
