"""A dataset whose pictures say which frames they are, and the coding page's real server as a process."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aulight.data.description import DatasetDescription
from aulight.data.store import PreparedDataset
from aulight.data.video.write import write_video
from aulight.data.writer import StoreWriter

LENGTHS = {"a": 40, "b b": 30, "ü": 60}
SUBJECTS = {"a": "Ann", "b b": "Ann", "ü": ""}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, coded: Callable[..., Any]) -> PreparedDataset:
    """Three videos of two people at 25 frames a second; of ``a`` the raw frames 20 to 29 are missing."""
    root = tmp_path_factory.mktemp("labelling") / "data" / "mine"
    root.parent.mkdir()
    meta: DatasetDescription = {"name": "mine", "aus": [], "fps": 25.0, "crop_size": 64, "source": {"folder": "/raw"}}
    with StoreWriter(root, meta) as store:
        for number, (name, length) in enumerate(LENGTHS.items()):
            write_video(store.videos / f"{number}.mp4", coded(number, length), 25)
            source = np.arange(length) + (10 * (np.arange(length) >= 20) if name == "a" else 0)
            (store.videos / f"{number}.mp4").rename(store.videos / f"{name}.mp4")
            store.add(name, SUBJECTS[name], 25.0, source, np.ones(length, np.float32))
    return PreparedDataset(root)


@dataclass
class Served:
    """A running ``aulight label``."""

    process: "subprocess.Popen[str]"
    address: str
    said: list[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def get(self, path: str, **headers: str) -> tuple[int, Any, Any]:
        """Status, content (JSON where it is some) and headers of an answer."""
        return self._ask(urllib.request.Request(self.address + path, headers=headers))

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any, Any]:
        return self._ask(urllib.request.Request(self.address + path, json.dumps(body).encode(), headers))

    def score(self, video: str, frame: int, au: int, score: Any, stroke: str | None = None) -> tuple[int, Any, Any]:
        body = {"id": stroke or os.urandom(8).hex(), "video": video, "frame": frame, "au": au, "score": score}
        return self.post("api/score", body | {"seconds": 1.5})

    def end(self, number: int = signal.SIGINT) -> tuple[int, list[str]]:
        """How it ended at a signal, and all that it has said."""
        self.process.send_signal(number)
        assert self.process.stdout is not None
        self.said += self.process.stdout.read().splitlines()
        return self.process.wait(60), self.said

    def _ask(self, request: urllib.request.Request) -> tuple[int, Any, Any]:
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            content = answer.read()
            is_json = answer.headers.get("content-type") == "application/json"
            return answer.status, json.loads(content) if is_json else content, answer.headers


@pytest.fixture
def label(prepared: PreparedDataset, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """``label(*settings)`` starts ``aulight label`` on the dataset; what still runs at the end is killed.

    With ``named=False`` the dataset is not named.
    """
    running = list[Served]()

    def start(*settings: str, sample: str = "to_label", named: bool = True) -> Served:
        command = [sys.executable, "-m", "aulight", "label"]
        command += [f"data.root={prepared.root}", "data.name=mine"] if named else []
        command += [f"sample={tmp_path / sample}", "browser=false", *settings]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, encoding="utf-8"
        )
        assert process.stdout is not None
        served = Served(process, "", [])
        running.append(served)
        for line in process.stdout:
            served.said.append(line.rstrip("\n"))
            if match := re.match(r"The page: (http://\S+)", line):
                served.address = match[1]
                break
        assert served.address, served.said
        return served

    yield start
    for served in running:
        if served.process.poll() is None:
            served.process.kill()
            served.process.wait()


@pytest.fixture
def wait() -> Callable[[Callable[[], Any]], Any]:
    """``wait(condition)`` until it holds, looked at anew and anew; gives what it gave."""

    def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(ConnectionError):
                if found := condition():
                    return found
        raise AssertionError("it did not come about")

    return until
