"""Packs videos into shards: tar files of segments, each a whole mp4, as WebDataset and any tar program read them.

A shard is there whole or not at all. What is in it is noted beside the dataset that is being made, so that one who is
killed does not pack it again.
"""

import errno
import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from aulight.data.index import DIGEST, SCHEMA
from aulight.data.places import SHARDS, Segment, Segments, shard_name
from aulight.data.shards import Shards
from aulight.data.video.mp4 import track_of
from aulight.errors import AulightError, VideoError
from aulight.files import sha256, whole
from aulight.foreign.parquet import checked
from aulight.processes import Bar

SEGMENT = 504
"""Most frames of a segment that has several groups of pictures: a multiple of the usual twelve frames of one."""

SHARD_BYTES = 256_000_000
"""A shard that has more than so many bytes gets no further video."""

_MOST = 2**31 - 1  # bytes of a segment
_KEPT = 1_000_000  # bytes of a damaged video that would have been cut: enough for it to be known as damaged
_NOTES = pa.schema([("name", pa.string()), ("source", pa.string()), ("sha256", pa.string()), *list(SCHEMA)[1:]])


class Loose(NamedTuple):
    """A video that is to be packed.

    Attributes:
        row: Of the table of videos, which goes up from one to the next.
        name: Its id.
        frames: How many it has.
        source: Its file, or its segments in older shards.
        sha256: Of its file, as it was when that was made; ``None``: not known.
    """

    row: int
    name: str
    frames: int
    source: Path | Segments
    sha256: str | None = None

    def stamp(self) -> str:
        """What tells one content of the source from another."""
        if isinstance(self.source, Segments):
            return " ".join(str(part.part.digest) for part in self.source.parts)
        found = self.source.stat()
        return f"{found.st_size} {found.st_mtime_ns}"

    def size(self) -> int:
        """Bytes of the source."""
        if isinstance(self.source, Segments):
            return sum(part.part.size for part in self.source.parts)
        return self.source.stat().st_size


class Packed(NamedTuple):
    """Videos in shards.

    Attributes:
        index: Their rows of ``index.parquet``.
        digests: By row the SHA-256 of the files that they were made from, in hex.
    """

    index: pa.Table
    digests: dict[int, str]


def pack(videos: Sequence[Loose], root: Path, notes: Path, first: int = 0) -> Packed:
    """Writes shards of videos, one after another, as far as they are not there; the videos stay.

    Args:
        videos: In the order of their rows.
        root: The dataset's folder.
        notes: A folder for what is known of shards that are there.
        first: Number of the first shard.

    Raises:
        AulightError: When there is no room for what is to be written; nothing is written then.
        VideoError: When a video cannot be read.
    """
    tables, digests, done, number = [SCHEMA.empty_table()], dict[int, str](), 0, first
    enough = False
    with Bar(len(videos), "Packing", "video", delay=2) as bar:
        while done < len(videos):
            noted, shard = notes / f"{number:06d}.parquet", root / shard_name(number)
            found = _noted(noted, shard, videos, done)
            if found is None:
                if not enough:
                    _refuse_full(root, sum(video.size() for video in videos[done:]))
                    enough = True
                for folder in (shard.parent, notes):
                    folder.mkdir(parents=True, exist_ok=True)
                noted.unlink(missing_ok=True)  # of another shard of this number
                found = _write(shard, videos, done, bar)
                with whole(noted) as temporary:
                    pq.write_table(found, temporary)
            else:
                bar.update(len(_begins(found)))
            lengths = np.diff(_begins(found), append=len(found))
            here = videos[done : done + len(lengths)]
            rows = np.repeat([video.row for video in here], lengths)
            digests |= zip(rows.tolist(), found["sha256"].to_pylist(), strict=True)
            columns = {"video": pa.array(rows, pa.int32()), "shard": pa.array([number] * len(rows), pa.int32())}
            tables.append(pa.table({**{name: found[name] for name in SCHEMA.names if name not in columns}, **columns}))
            done, number = done + len(here), number + 1
    return Packed(pa.concat_tables(table.select(SCHEMA.names).cast(SCHEMA) for table in tables), digests)


def _refuse_full(root: Path, wanted: int) -> None:
    """Refuses what a disk has no room for: filled half of the way it would be of no use to anybody."""
    disk = shutil.disk_usage(root)
    if disk.total and disk.free < wanted:  # some network drives say nothing of either
        raise AulightError(
            f"{root}: {wanted / 1e6:.1f} MB are needed on its disk to pack videos into shards, "
            f"{disk.free / 1e6:.1f} MB are free; make room and give the same command again"
        )


def _begins(noted: pa.Table) -> npt.NDArray[np.int64]:
    """Of each video in a shard the row of its first segment."""
    return np.flatnonzero(noted["first"].to_numpy() == 0)


def _noted(path: Path, shard: Path, videos: Sequence[Loose], done: int) -> pa.Table | None:
    """What is in a shard that is there, if that is what would be written now."""
    try:
        table = pq.read_table(checked(path)).cast(_NOTES)
        size = shard.stat().st_size
    except (OSError, ValueError, pa.ArrowException, AulightError):
        return None
    rows, begins = table.to_pylist(), _begins(table)
    here = videos[done : done + len(begins)]
    end = rows[-1]["offset"] + rows[-1]["bytes"] if rows else 0
    is_full = end + -end % tarfile.BLOCKSIZE > SHARD_BYTES
    if not rows or size != _end(end) or not (is_full or done + len(here) == len(videos)):
        return None
    known = [(rows[place]["name"], rows[place]["source"]) for place in begins]
    lengths = [rows[place - 1]["first"] + rows[place - 1]["frames"] for place in (*begins[1:], len(rows))]
    wanted = [(video.name, video.stamp()) for video in here]
    return table if (known, lengths) == (wanted, [video.frames for video in here]) else None


def _write(shard: Path, videos: Sequence[Loose], done: int, bar: Bar) -> pa.Table:
    """Writes a shard of the next videos, and says what is in it."""
    rows = list[tuple[object, ...]]()
    with whole(shard) as temporary, temporary.open("wb") as file:
        for video in videos[done:]:
            stamp, frames = video.stamp(), 0
            digest, parts = _parts(video)
            for number, (count, content, half) in enumerate(parts):
                header = tarfile.TarInfo(f"{video.name}/{number:05d}.mp4")
                header.size = len(content)  # all else is the same in every shard: mode, owner, time
                file.write(header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
                rows.append((video.name, stamp, digest, frames, count, 0, file.tell(), len(content), half))
                file.write(content)
                file.write(bytes(-len(content) % tarfile.BLOCKSIZE))
                frames += count
            if frames != video.frames:
                raise VideoError(f"{video.source}: has {frames} frames, its table says {video.frames}")
            bar.update()
            if file.tell() > SHARD_BYTES:
                break
        file.write(bytes(_end(file.tell()) - file.tell()))
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, _NOTES.types, strict=True)], schema=_NOTES)


def _end(used: int) -> int:
    """How long a tar is whose last file ends there: it has two empty blocks, and whole records."""
    return -(-(used + -used % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _parts(video: Loose) -> tuple[str | None, Iterator[tuple[int, bytes, bytes]]]:
    """The digest of a video's file, and of each segment its frames, its bytes and the digest that they must have."""
    source = video.source
    if isinstance(source, Segments):
        # as they are, be they damaged: the digest goes on telling
        return video.sha256, ((p.frames, _there(p), bytes.fromhex(str(p.part.digest))) for p in source.parts)
    noted = video.sha256
    if video.frames > SEGMENT:
        now = sha256(source)
        if noted in (None, now) and _is_whole(source, video.frames):
            return now, ((count, content, hashlib.sha256(content).digest()[:DIGEST]) for count, content in cut(source))
        # a digest that is no other's tells of a damage that the file's does not
        half = bytes(DIGEST) if noted in (None, now) else bytes.fromhex(str(noted))[:DIGEST]
        return noted or now, iter([(video.frames, _start(source, _KEPT), half)])
    content = _start(source, _MOST)
    known = hashlib.sha256(content).hexdigest() if noted is None else noted
    # where it is another now, whoever compares it with its digest finds that it is damaged
    return known, iter([(video.frames, content, bytes.fromhex(known)[:DIGEST])])


def _there(segment: Segment) -> bytes:
    """The bytes of a segment; where its shard is cut off, or the disk does not give them, zeros in their place."""
    try:
        return segment.read()
    except VideoError as error:
        shard, offset, size, _ = segment.part
        assert isinstance(segment.shards, Shards)  # nobody packs at an URL
        try:
            with (segment.shards.root / shard).open("rb") as file:
                file.seek(offset)
                found = file.read(size)
        except OSError as why:
            if why.errno != errno.EIO:  # it may be read another time
                raise error from why
            found = b""
        return found.ljust(size, b"\0")


def _is_whole(path: Path, frames: int) -> bool:
    """Whether a video can be cut into as many frames as its table says."""
    try:
        return sum(count for count, _ in cut(path)) == frames
    except VideoError:
        return False


def _start(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)


def cut(path: Path) -> Iterator[tuple[int, bytes]]:
    """Segments of a prepared video: how many frames each has, and its mp4. What is coded is copied as it is.

    Args:
        path: As :func:`aulight.data.video.write.write_video` makes it.

    Raises:
        VideoError: When it cannot be read.
        AulightError: When a segment does not read back as what went into it.
    """
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            segment, group = list[Any](), list[Any]()
            for packet in container.demux(stream):
                if packet.dts is None:  # the end
                    continue
                if packet.is_keyframe:
                    if segment and len(segment) + len(group) > SEGMENT:
                        yield len(segment), _mp4(segment, container, stream)
                        segment = []
                    segment += group
                    group = []
                group.append(packet)
            if segment and len(segment) + len(group) > SEGMENT:
                yield len(segment), _mp4(segment, container, stream)
                segment = []
            segment += group
            yield len(segment), _mp4(segment, container, stream)
    except (av.FFmpegError, IndexError) as error:
        raise VideoError(f"{path}: not a readable video") from error


def _mp4(packets: list[Any], container: Any, stream: Any) -> bytes:
    """A file of some of a stream's frames, which begin with a key frame."""
    import av

    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as segment:
        if "comment" in container.metadata:  # by which it is known as no raw video
            segment.metadata["comment"] = container.metadata["comment"]
        copied = segment.add_stream_from_template(stream)
        start = packets[0].dts
        for packet in packets:
            packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, copied
            segment.mux(packet)
    content, coded = made.getvalue(), [bytes(packet) for packet in packets]
    if not _holds(content, coded):  # what it was cut from is removed: nobody could say so later
        raise AulightError(f"{container.name}: the installed av writes segments that do not read back; install another")
    return content


def _holds(content: bytes, coded: list[bytes]) -> bool:
    """Whether a file has just these frames, as they were coded, and can be read from the first on."""
    try:
        track = track_of(lambda offset, size: content[offset : offset + size])
    except ValueError:
        return False
    there = [content[offset : offset + size] for offset, size in zip(track.offsets, track.sizes, strict=True)]
    return there == coded and track.keys[:1].tolist() == [0]


def remove_unused(root: Path, used: set[int]) -> None:
    """Removes shards that no index speaks of any more: of what was replaced no byte must stay.

    Args:
        root: The dataset's folder, which nobody else writes into now.
        used: Numbers of those that stay.
    """
    for path in (root / SHARDS).glob("*.tar"):
        if path.stem.isdecimal() and path.name == Path(shard_name(int(path.stem))).name and int(path.stem) not in used:
            path.unlink()
