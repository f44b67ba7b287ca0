"""Small prepared datasets whose every frame is known."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from aulight.data.store import PreparedDataset, StoreWriter
from aulight.data.video import write_video

Frames = npt.NDArray[np.uint8]
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
