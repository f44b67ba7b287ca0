"""A real S3 server on loopback, and between it and who asks a proxy that breaks what it is told to break."""

import contextlib
import re
import socket
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from aulight.data.remote.objects import Objects, Patience

BUCKET = "faces"
QUICK = Patience(tries=5, wait_s=0.01, most_s=0.02, stall_s=5.0)
"""Waits that are as short as tests can have them; nothing stalls but where it is told to."""


@dataclass
class Proxy:
    """Hands one request a connection on to a server, and its answer back.

    Attributes:
        faults: What becomes of the next requests, one each: ``cut:100`` hands on so many bytes of the answer's body and
            ends the connection, ``stall:100`` hands on so many and then nothing, ``503`` answers with that. Others are
            handed on whole.
        asked: The method, the path and the range of each request.
        lists: Whether who asks may list the bucket; else what is not there may not be read, as of S3.
        closed: What may not be read, as the end of its path.
    """

    server: tuple[str, int]
    faults: deque[str] = field(default_factory=deque)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    lists: bool = True
    closed: str | None = None
    stalled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):  # whoever asked may be gone
            request = b""
            while b"\r\n\r\n" not in request:
                if not (more := client.recv(2**16)):
                    return
                request += more
            method, path = request.split(b" ", 2)[:2]
            of = re.search(rb"\r\nRange: ([^\r]*)", request, re.IGNORECASE)
            self.asked.append((method.decode(), path.decode(), of[1].decode() if of else ""))
            fault, _, count = (self.faults.popleft() if self.faults else "").partition(":")
            if (not self.lists and b"list-type=" in path) or (self.closed and path.decode().endswith(self.closed)):
                fault = "403"
            if fault.isdigit():
                client.sendall(f"HTTP/1.1 {fault} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                return
            with socket.create_connection(self.server) as server:
                server.sendall(re.sub(rb"(\r\nConnection: [^\r]*)?\r\n\r\n", b"\r\nConnection: close\r\n\r\n", request))
                self._hand_back(server, client, fault, int(count or 0))

    def _hand_back(self, server: socket.socket, client: socket.socket, fault: str, most: int) -> None:
        answer = b""
        while more := server.recv(2**16):
            answer += more
        head, end, body = answer.partition(b"\r\n\r\n")
        if not self.lists:
            head = re.sub(rb"^(HTTP/1.1) 404", rb"\1 403", head)
        client.sendall(head + end + (body[:most] if fault else body))
        if fault == "stall":
            self.stalled.set()
            self.ended.wait()


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, int]]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    yield moto.get_host_and_port()
    moto.stop()


@pytest.fixture
def proxy(server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The server is asked through it, as the environment says; its bucket is empty."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    made = Proxy(server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    yield made
    made.close()


@pytest.fixture
def bucket(proxy: Proxy) -> Iterator[Any]:
    """Puts objects, past the proxy: ``bucket.put_object(Key=, Body=)``."""
    host, port = proxy.server
    found = boto3.resource("s3", endpoint_url=f"http://{host}:{port}").Bucket(BUCKET)
    found.create()
    yield found
    found.objects.all().delete()


@pytest.fixture
def objects(bucket: Any) -> Objects:
    return Objects(f"s3://{BUCKET}/set", QUICK)
