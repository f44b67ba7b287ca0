"""A prepared dataset of any number of videos, of which a few are there: all others are these again.

Tables are as ``aulight prepare`` writes them, row for row, in steps, so that making them takes little memory. The rows
of ``index.parquet`` point into two real shards. The fingerprint is made up: to find out takes microseconds a frame.
"""

import tarfile
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aulight.data.description import DatasetDescription
from aulight.data.fingerprint import known_by
from aulight.data.row_groups import ROWS
from aulight.data.video.types import Frames
from aulight.data.video.write import write_video
from aulight.files import sha256 as sha256_of
from aulight.foreign.yaml import write_yaml

FPS, SIZE = 25.0, 128
SEGMENT = 504
"""Most frames of a segment."""

VIDEOS_A_PERSON = 180
"""As in VoxCeleb2."""

KINDS, SHARDS = 8, 2
"""Videos that differ, and the shards that hold them."""

STEP = 100_000
"""Videos whose rows are in memory at a time."""


class Segment(NamedTuple):
    """Where one lies, as columns of ``index.parquet`` say it."""

    first: int
    frames: int
    shard: int
    offset: int
    size: int
    digest: bytes


def simulate(root: Path, videos: int, frames: int, film: Callable[[int], Iterator[Frames]]) -> None:
    """Makes the dataset.

    Args:
        root: Its folder, which is not there yet.
        videos: How many it has.
        frames: Of each video.
        film: Of a kind of video its pictures, which need not end.
    """
    (root / "shards").mkdir(parents=True)
    kinds = _write_shards(root, frames, film)
    people = max(videos // VIDEOS_A_PERSON, 1)
    _write_videos(root, videos, frames, people)
    _write_frames(root, videos, frames)
    _write_index(root, videos, kinds)
    runs = pa.schema([(name, pa.int32()) for name in ("video", "start", "stop")])
    with pq.ParquetWriter(root / "runs.parquet", runs) as file:
        for rows in _steps(videos, STEP):
            ends = [np.zeros_like(rows), np.full_like(rows, frames)]
            file.write_table(pa.table([rows, *ends], schema=runs))
    described: DatasetDescription = {
        "format": 2,
        "name": "simulated",
        "aus": [],
        "fps": FPS,
        "crop_size": SIZE,
        "alignment": "mediapipe",
        "videos": videos,
        "frames": videos * frames,
        "subjects": people,
    }
    files = {name: sha256_of(root / f"{name}.parquet") for name in ("videos", "frames")}
    noted = {"fingerprint": f"{videos:08x}{frames:08x}", "tables": known_by(described, files)}
    write_yaml({**described, **noted}, root / "dataset.yaml")


def _steps(count: int, step: int) -> Iterator[np.ndarray[tuple[int], np.dtype[np.int32]]]:
    return (np.arange(start, min(start + step, count), dtype=np.int32) for start in range(0, count, step))


def _write_shards(root: Path, frames: int, film: Callable[[int], Iterator[Frames]]) -> list[list[Segment]]:
    """Writes the real videos, and gives the segments of each."""
    counts = [min(SEGMENT, frames - first) for first in range(0, frames, SEGMENT)]
    kinds = list[list[Segment]]()
    for shard in range(SHARDS):
        path = root / "shards" / f"{shard:06d}.tar"
        with tarfile.open(path, "w") as tar:
            for kind in range(shard, KINDS, SHARDS):
                pictures = film(kind)
                for place, count in enumerate(counts):
                    coded = root / "coded.mp4"
                    write_video(coded, islice(pictures, count), FPS)
                    tar.add(coded, f"kind{kind}/{place:05d}.mp4")
                    coded.unlink()
        with tarfile.open(path) as tar:
            for member in tar:
                place = int(Path(member.name).stem)
                if not place:
                    kinds.append([])
                data = path.read_bytes()[member.offset_data : member.offset_data + member.size]
                where = shard, member.offset_data, member.size
                kinds[-1].append(Segment(SEGMENT * place, counts[place], *where, sha256(data).digest()[:16]))
    return kinds


def _write_videos(root: Path, videos: int, frames: int, people: int) -> None:
    rng = np.random.default_rng(0)
    digests = ("source_sha256", "pictures_sha256", "file_sha256")
    writer = None
    for rows in _steps(videos, STEP):
        count = len(rows)
        who = pc.utf8_lpad(pa.array(rows % people).cast(pa.string()), 5, "0")
        person = pc.binary_join_element_wise("id", who, "")
        columns = {
            "video_id": pc.binary_join_element_wise(person, pa.array(rows).cast(pa.string()), "/"),
            "subject": person,
            "frames": pa.array(np.full(count, frames)),
            "fps": pa.array(np.full(count, FPS)),
            **{name: pa.array([rng.bytes(32).hex() for _ in rows]) for name in digests},
            "source_size": pa.array(rng.integers(10**5, 10**6, count)),
            "source_mtime_ns": pa.array(rng.integers(10**18, 2 * 10**18, count)),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(root / "videos.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def _write_frames(root: Path, videos: int, frames: int) -> None:
    names = pq.ParquetFile(root / "videos.parquet").read(["video_id"]).column("video_id").combine_chunks()
    together = max(ROWS // frames, 1)  # videos of a group of rows
    frame = np.tile(np.arange(frames), together)
    rng = np.random.default_rng(0)
    same = {
        "frame": pa.array(frame),
        "source_frame": pa.array(frame),
        "time_s": pa.array(frame / FPS),
    }
    ids = np.repeat(np.arange(together, dtype=np.int32), frames)
    writer = None
    for first in range(0, videos, together):
        some = names.slice(first, together)
        of_frames = pa.DictionaryArray.from_arrays(pa.array(ids[: len(some) * frames]), some).dictionary_decode()
        table = pa.table(
            {
                "video_id": of_frames,
                **{key: of.slice(0, len(of_frames)) for key, of in same.items()},
                "face_confidence": pa.array(1 - rng.random(len(of_frames), np.float32) / 2),
            }
        )
        writer = writer or pq.ParquetWriter(root / "frames.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def _write_index(root: Path, videos: int, kinds: Sequence[Sequence[Segment]]) -> None:
    numbers = [pa.field(name, pa.int32()) for name in ("video", "first", "frames", "shard")]
    schema = pa.schema(
        [*numbers, ("offset", pa.int64()), ("bytes", pa.int32()), ("digest", pa.binary(16))]  # fixed size
    )
    parts = len(kinds[0])
    values = zip(*(segment for segments in kinds for segment in segments), strict=True)
    columns = [pa.array(of, field.type) for of, field in zip(values, list(schema)[1:], strict=True)]
    with pq.ParquetWriter(root / "index.parquet", schema) as file:
        for rows in _steps(videos, STEP):
            of_kind = pa.array((rows[:, None] % len(kinds) * parts + np.arange(parts)).ravel())
            known = [
                pa.array(column, field.type).take(of_kind)
                for column, field in zip(columns, list(schema)[1:], strict=True)
            ]
            file.write_table(pa.table([np.repeat(rows, parts), *known], schema=schema))
