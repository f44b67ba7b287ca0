"""What VoxCeleb2 would cost, computed from rates that were measured elsewhere: the tables of ``docs/scale.md``.

``make bench-scale`` prints them last; a test compares them with the page, so that neither changes without the other.
"""

from collections.abc import Iterable, Sequence

CLIPS, HOURS, FPS = 1_128_246, 2442, 25
"""Of VoxCeleb2: Chung et al. (2018), Table 2; 25 frames a second in its videos."""

PREPARED = 100
"""Frames that a core prepares in a second: README."""

BYTES = {12: 729, 4: 1069, 1: 1720}
"""Of a frame of 128 pixels, by ``gop=``: ``make bench-clips``, docs/files.md."""

CLIP_MS = {12: 0.42 * 28, 4: 0.33 * 28, 1: 0.20 * 28}
"""Milliseconds of a core for a clip of a video of 160 frames: the same."""

SAMPLES, VIEWS = 16, 2
"""Frames of a clip, and views of each, which the device makes."""

GPUS, GPU_FRAMES = 8, (10_000, 30_000)
"""And frames that the network takes on each in a second: resnet18 at 112 pixels, estimated."""

SHARD, SEGMENT = 256e6, 504
"""Bytes of a shard, and most frames of a segment."""

TABLE_BYTES = 6.4
"""Of a frame in ``frames.parquet``, without blendshapes: of the simulated dataset."""

BLENDSHAPES = 52 * 4
"""Bytes of a frame beside them."""

REQUESTS = 5500
"""A second, that Amazon S3 answers for one prefix at least, by its own documentation."""


def tables(times: float = 1) -> str:
    """The tables, as Markdown.

    Args:
        times: How many times as large as VoxCeleb2 the dataset is.
    """
    clips, frames = round(CLIPS * times), HOURS * 3600 * FPS * times
    each = frames / clips
    hours = frames / PREPARED / 3600
    before = [
        ("videos", _number(clips)),
        ("frames", f"{_number(frames)}, {each:.0f} a video"),
        ("`prepare`", f"{_number(hours)} hours of a core: {hours / 64:.1f} hours of 64"),
        ("segments", f"{_number(clips * max(1, each / SEGMENT))}"),
        ("`frames.parquet`", f"{frames * TABLE_BYTES / 1e9:.1f} GB; with blendshapes {_gb(frames * BLENDSHAPES)} more"),
    ]
    stored = [
        (f"{gop}", _gb(frames * size), _number(frames * size / SHARD), f"{each * size / 1000:.0f} kB")
        for gop, size in BYTES.items()
    ]
    needed = [
        (
            _number(GPUS * speed),
            _number(GPUS * speed / VIEWS),
            *(_number(GPUS * speed / VIEWS / SAMPLES * CLIP_MS[gop] / 1000) for gop in (12, 1)),
            _number(GPUS * speed / VIEWS / SAMPLES),
            *(f"{GPUS * speed / VIEWS / SAMPLES * each * BYTES[gop] / 1e9:.1f} GB/s" for gop in (12, 1)),
            f"{frames * VIEWS / (GPUS * speed) / 60:.0f} min",
        )
        for speed in GPU_FRAMES
    ]
    return "\n\n".join(
        [
            _table(("to prepare", ""), before),
            _table(("`gop=`", "shards take", "shards", "a video"), stored),
            _table(
                (
                    "network frames/s",
                    "decoded frames/s",
                    "cores, `gop=12`",
                    "cores, `gop=1`",
                    "segments/s",
                    "read, `gop=12`",
                    "read, `gop=1`",
                    "every frame once",
                ),
                needed,
            ),
        ]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _number(value: float) -> str:
    """With three digits that count."""
    if value >= 1000:
        digits = len(str(int(value))) - 3
        value = round(value, -digits)
    return f"{value:,.0f}"


def _gb(size: float) -> str:
    return f"{_number(size / 1e9)} GB"


if __name__ == "__main__":
    print(tables())
