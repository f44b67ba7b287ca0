"""Objects of a bucket: the bytes that were put there, through cut connections, stalls and failing servers."""

import functools
import http.server
import multiprocessing
import pickle
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from aulight.data.remote.objects import Objects, Patience
from aulight.errors import AulightError, VideoError
from aulight.settings.group import is_url
from tests.data.remote.conftest import BUCKET, QUICK, Proxy

BYTES = random.Random(0).randbytes(300_000)


@pytest.fixture
def film(bucket: Any) -> str:
    bucket.put_object(Key="set/film", Body=BYTES)
    return "film"


def test_what_is_an_url() -> None:
    assert [is_url(place) for place in ("s3://a/b", "https://a", "data/mine", "C:/data", Path("s3://a"))] == [
        True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(("offset", "size"), [(0, 300_000), (1, 1), (123_456, 100_000), (299_999, 1), (5, 0)])
def test_gives_the_bytes_that_were_put_there(objects: Objects, film: str, offset: int, size: int) -> None:
    assert objects.read(film, offset, size) == BYTES[offset : offset + size]


def test_asks_for_no_more_than_is_wanted(objects: Objects, film: str, proxy: Proxy) -> None:
    objects.read(film, 1000, 500)
    assert proxy.asked == [("GET", f"/{BUCKET}/set/film", "bytes=1000-1499")]


@pytest.mark.parametrize("fault", ["cut:0", "cut:70000", "500", "503", "429"])
def test_asks_again_after_a_fault_and_says_so_once(
    objects: Objects, film: str, proxy: Proxy, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    proxy.faults.extend([fault] * 3)
    assert objects.read(film, 10, 200_000) == BYTES[10:200_010]
    assert len(proxy.asked) == 4
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"s3://{BUCKET}/set/film: no answer (")
    assert said[0].endswith("); asks again")


@pytest.mark.parametrize("fault", ["stall:0", "stall:70000"])
def test_does_not_wait_for_an_answer_that_stalls(bucket: Any, film: str, proxy: Proxy, fault: str) -> None:
    impatient = Objects(f"s3://{BUCKET}/set", Patience(tries=3, wait_s=0.01, stall_s=0.3))
    proxy.faults.append(fault)
    started = time.monotonic()
    assert impatient.read(film, 0, 200_000) == BYTES[:200_000]
    assert proxy.stalled.is_set()
    assert time.monotonic() - started < 10


def test_tells_in_one_line_that_nobody_answers(objects: Objects, film: str, proxy: Proxy) -> None:
    proxy.faults.extend(["500"] * 100)
    with pytest.raises(
        AulightError, match=r"^s3://faces/set/film: no answer after 5 tries \(.+\); give the same comma"
    ):
        objects.read(film, 0, 10)
    assert len(proxy.asked) == 5


def test_tells_at_once_that_an_object_is_missing(objects: Objects, film: str, proxy: Proxy) -> None:
    with pytest.raises(VideoError, match=r"^s3://faces/set/other: not there; upload it, or give another data.root=$"):
        objects.read("other", 0, 10)
    assert len(proxy.asked) == 1
    with pytest.raises(VideoError, match="not there"):
        objects.stamp("other")
    with pytest.raises(VideoError, match="not there"):
        Objects("s3://no-such-bucket/set", QUICK).read("film", 0, 10)


def test_tells_at_once_that_it_has_no_permission(objects: Objects, film: str, proxy: Proxy) -> None:
    proxy.faults.append("403")
    with pytest.raises(AulightError, match=r"^s3://faces/set/film: may not be read \(.+\); set credentials"):
        objects.read(film, 0, 10)
    assert len(proxy.asked) == 1


def test_tells_at_once_that_there_are_no_credentials(
    bucket: Any, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(AulightError, match=r"may not be read \(.*credentials.*\); set credentials"):
        Objects(f"s3://{BUCKET}/set", QUICK).read("film", 0, 10)
    assert proxy.asked == []


def test_tells_that_an_object_is_shorter_than_it_should_be(objects: Objects, film: str) -> None:
    with pytest.raises(VideoError, match="cut off or damaged: ends at byte 300000 of 300010"):
        objects.read(film, 299_990, 20)


def test_a_stamp_changes_with_the_object(objects: Objects, film: str, bucket: Any) -> None:
    before = objects.stamp(film)
    assert before.size == 300_000
    assert objects.stamp(film) == before
    bucket.put_object(Key="set/film", Body=BYTES[::-1])
    assert objects.stamp(film) != before


def _read(objects: Objects, pipe: Any) -> None:
    pipe.send(objects.read("film", 100_000, 1000))


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_goes_on_in_another_process_and_in_this_one(objects: Objects, film: str, way: str) -> None:
    assert objects.read(film, 0, 10) == BYTES[:10]  # connections and a thread are there now
    context: Any = multiprocessing.get_context(way)
    ours, theirs = context.Pipe()
    process = context.Process(target=_read, args=(objects, theirs))
    process.start()
    assert ours.poll(60)
    assert ours.recv() == BYTES[100_000:101_000]
    process.join()
    assert objects.read(film, 20, 10) == BYTES[20:30]
    assert pickle.loads(pickle.dumps(objects)).read(film, 20, 10) == BYTES[20:30]


def test_says_what_to_install() -> None:
    told = (
        "import sys; sys.modules['s3fs'] = None; from aulight.data.remote.objects import *; Objects('s3://f').stamp('')"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith(
        ': s3://f: a package is not installed that reads s3://; pip install "aulight[s3]"'
    )


def test_refuses_what_is_no_url_that_can_be_read() -> None:
    with pytest.raises(AulightError, match=r"^nothing://faces: not an URL that is known"):
        Objects("nothing://faces").read("film", 0, 10)


def test_reads_folders_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(BYTES)
    objects = Objects(f"file://{tmp_path}", QUICK)
    assert objects.read("film", 7, 70) == BYTES[7:77]
    assert objects.stamp("film").size == 300_000
    with pytest.raises(VideoError, match="not there"):
        objects.read("other", 0, 1)


def test_refuses_a_web_server_that_knows_no_ranges(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(BYTES)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path)) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        objects = Objects(f"http://127.0.0.1:{web.server_port}", QUICK)
        assert objects.stamp("film").size == 300_000
        assert objects.read("film", 0, 300_000) == BYTES
        with pytest.raises(AulightError, match="more than the range that it is asked for"):
            objects.read("film", 0, 10)
        with pytest.raises(VideoError, match="not there"):
            objects.stamp("other")
        web.shutdown()
    with pytest.raises(AulightError, match="no answer after 5 tries"):
        objects.stamp("film")  # the server is gone
