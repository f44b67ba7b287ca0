"""Checkpoints that anybody may have made: tensors and plain values; nothing else is built, and nothing is unpacked."""

import pickletools
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from aulight.errors import AulightError, one_line, shown
from aulight.settings.model import NetworkSettings
from aulight.settings.reading import read

MOST_DESCRIBED, MOST_STEPS = 16 * 2**20, 1_000_000
"""Bytes of all that is no tensor in a checkpoint, and steps in which it is built."""

_KNOWN = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)|torch\.storage UntypedStorage"
    r"|torch (\w+Storage|device|Size|b?float\d+|u?int\d+|bool)"
)
"""What the pickle in a checkpoint may name: torch allows more, some of which takes memory for nothing."""


class Checkpoint(NamedTuple):
    """What both stages keep.

    Attributes:
        network: What the encoder is.
        settings: All hyper-parameters.
        weights: By their names in the module that was trained.
        step: Of the optimiser.
    """

    network: NetworkSettings
    settings: dict[str, Any]
    weights: dict[str, Tensor]
    step: int


def read_all(file: Path, wanted: str = "a checkpoint of aulight") -> dict[str, Any]:
    """All that is in a checkpoint, on the CPU.

    Args:
        file: As torch saved it.
        wanted: What it is to be, for the message.

    Raises:
        AulightError: When it is none, or is damaged; the file's name comes first.
    """
    with _refusing(file, wanted):
        _check(file)
        saved = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(saved, dict):
            raise _NoCheckpoint(f"{type(saved).__name__} in place of dict")
        return saved


def read_weights(file: Path) -> dict[str, Tensor]:
    """Weights of somebody's network, on the CPU: of a ``.safetensors`` file, or a ``state_dict`` that torch saved.

    Raises:
        AulightError: When they are none, or damaged; the file's name comes first.
    """
    wanted = "weights of a network"
    with _refusing(file, wanted):
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
    saved = read_all(file, wanted)
    weights: dict[str, Tensor] = saved.get("state_dict", saved)  # among what else its training kept
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise AulightError(f"{file}: not weights of a network (not all of it is tensors)")
    return weights


def read_checkpoint(file: Path) -> Checkpoint:
    """Reads a checkpoint of either stage, on the CPU.

    Raises:
        AulightError: When it is none, is damaged, or says something odd; the file's name comes first.
    """
    saved = read_all(file)
    with _refusing(file):
        settings, weights, step = saved["hyper_parameters"], saved["state_dict"], saved["global_step"]
        network = settings["encoder"]
    for said, kind in ((settings, dict), (weights, dict), (step, int), (network, dict)):
        if not isinstance(said, kind):
            raise AulightError(
                f"{file}: not a checkpoint of aulight ({type(said).__name__} in place of {kind.__name__})"
            )
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor) or value.layout != torch.strided:
            raise AulightError(f"{file}: not a checkpoint of aulight (weight {str(name)[:80]!r} is none)")
    try:
        return Checkpoint(read(NetworkSettings, network, "encoder"), settings, weights, step)
    except AulightError as error:
        raise AulightError(f"{file}: {shown(error, 300)}") from error


class _NoCheckpoint(Exception):
    """The message says why."""


@contextmanager
def _refusing(file: Path, wanted: str = "a checkpoint of aulight") -> Iterator[None]:
    try:
        yield
    except Exception as error:  # torch has errors of all kinds
        why = one_line(error)[:200] if isinstance(error, _NoCheckpoint) else type(error).__name__
        raise AulightError(f"{file}: not {wanted} ({why})") from error


def _check(file: Path) -> None:
    """Raises for a file that is not as torch writes it, before torch reads any of it."""
    size = file.stat().st_size
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        # torch compresses nothing: a file that gives more than it is was made to fill the memory
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise _NoCheckpoint("compressed, which torch's are not")
        if sum(member.file_size for member in members) > size:
            raise _NoCheckpoint("its parts are larger than the file")
        for member in members:
            if member.filename.endswith(".pkl"):
                if member.file_size > MOST_DESCRIBED:
                    raise _NoCheckpoint(f"{member.file_size >> 20} MB of description")
                _check_pickle(archive.read(member))


def _check_pickle(data: bytes) -> None:
    for step, (operation, argument, _) in enumerate(pickletools.genops(data)):
        if step > MOST_STEPS:
            raise _NoCheckpoint(f"more than {MOST_STEPS} steps of description")
        if operation.name in ("GLOBAL", "INST", "STACK_GLOBAL") and not _KNOWN.fullmatch(str(argument)):
            raise _NoCheckpoint(f"it names {shown(argument)}, which is no tensor and no plain value")
