"""Small prepared datasets whose every frame is known."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from aulight.data.store import PreparedDataset
from aulight.data.video.write import write_video
from aulight.data.writer import StoreWriter

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
