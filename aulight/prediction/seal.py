"""The seal of a model's file: it tells of accidents, a copy cut short or an edited number."""

import hashlib
import re
from pathlib import Path

from aulight.errors import AulightError
from aulight.files import whole
from aulight.foreign.whole_file import read_bytes

_SEAL, OPEN = re.compile(rb"aulight-sha256:([0-9a-f]{64})"), b"aulight-sha256:" + b"0" * 64


MOST_BYTES = 2**31
"""Of a file: protobuf, in which ONNX is written, has no more."""


def write_sealed(path: Path, data: bytes) -> None:
    """Writes a file that holds the ``seal`` of :func:`header`."""
    digest = hashlib.sha256(data).hexdigest().encode()
    with whole(path) as temporary:
        temporary.write_bytes(data.replace(OPEN, b"aulight-sha256:" + digest))


def check_seal(path: Path) -> bytes:
    """What is in a file whose seal fits the rest of it.

    Raises:
        AulightError: When it does not fit, there is none, or the file cannot be read.
    """
    data = read_bytes(path, MOST_BYTES)
    seals = _SEAL.findall(data)
    if len(seals) != 1:
        raise AulightError(f"{path}: not a file of `aulight export`, or cut short; give another, or export it again")
    if hashlib.sha256(_SEAL.sub(OPEN, data)).hexdigest().encode() != seals[0]:
        raise AulightError(f"{path}: cut short or changed since it was written; copy it or export it again")
    return data
