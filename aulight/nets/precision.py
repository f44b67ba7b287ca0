"""Which precision is the faster one here: fp32 or bf16, by a measurement of some milliseconds.

Processors without instructions for bf16 compute in it all the same, up to thirteen times slower than in fp32; those
that have some differ in what these gain.
"""

import math
import os
import time
from typing import NamedTuple

import torch
from torch.nn.functional import conv2d

from aulight.errors import AulightError

AUTO = "AULIGHT_AUTO_PRECISION"
"""Environment variable with what ``precision=auto`` takes, ``32`` or ``bf16-mixed``, whatever the hardware."""

MARGIN = 1.2
"""How many times as fast as fp32 bf16 must be to be taken: a gain is well above, no instructions well below."""

_TURNS = 7
_CHANNELS, _SIDE, _PICTURES = 64, 14, 8  # a convolution of a small backbone: some 3 ms on a core
_known: dict[int, "Speeds"] = {}  # by threads


class Speeds(NamedTuple):
    """Milliseconds that a convolution takes forward and backward.

    Attributes:
        fp32_ms: In fp32.
        bf16_ms: Under bf16 autocast.
    """

    fp32_ms: float
    bf16_ms: float

    def __str__(self) -> str:
        """Both, beside each other."""
        return f"a convolution takes {self.bf16_ms:.2g} ms in bf16, {self.fp32_ms:.2g} ms in fp32"


class Choice(NamedTuple):
    """What ``auto`` takes.

    Attributes:
        bf16: Whether it is bf16.
        why: In words; empty where it was given.
        speeds: Where it was measured.
    """

    bf16: bool
    why: str = ""
    speeds: Speeds | None = None


def choose(device: str) -> Choice:
    """What ``precision=auto`` takes on a device, the same all through a process.

    Args:
        device: ``cuda`` or another one of torch's; others than CUDA are decided by the CPU.

    Raises:
        AulightError: When :data:`AUTO` is no such precision.
    """
    given = os.environ.get(AUTO)
    if given:
        if given not in ("32", "bf16-mixed"):
            raise AulightError(f"{AUTO}={given}: 32 or bf16-mixed is needed")
        return Choice(given == "bf16-mixed")
    if device.startswith("cuda"):
        has = bool(torch.cuda.is_bf16_supported(including_emulation=False))
        return Choice(has, f"the GPU has {'' if has else 'no '}bf16")
    if not _has_instructions():  # what never pays is not measured, so that noise cannot make it pay
        return Choice(False, "the processor has no instructions for bf16")
    speeds = measured(torch.get_num_threads())
    return Choice(speeds.fp32_ms >= MARGIN * speeds.bf16_ms, str(speeds), speeds)


def slow_bf16(device: str) -> str | None:
    """A warning, where bf16 is slower than fp32 on a device, with how much; ``None`` where it is not."""
    if device.startswith("cuda"):
        has = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if has else "bf16 is emulated by this GPU, and slow; 32 or auto is faster"
    speeds = measured(torch.get_num_threads())
    times = speeds.bf16_ms / speeds.fp32_ms
    return f"bf16 takes {times:.1f} times as long as fp32 here; 32 or auto is faster" if times > MARGIN else None


def known() -> Speeds | None:
    """What this process has measured at the threads in use; ``None`` where it has not."""
    return _known.get(torch.get_num_threads())


def measured(threads: int) -> Speeds:
    """What :func:`measure` finds, once a process."""
    if threads not in _known:
        _known[threads] = measure(threads)
    return _known[threads]


def measure(threads: int) -> Speeds:
    """The least of some turns of either kind, one after the other, on the CPU; no random number is drawn for it.

    Args:
        threads: Of torch. The work grows with them, so that each has as much as one alone.
    """

    def turn(bf16: bool) -> float:
        begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            maps = conv2d(pictures, weights, padding=1)
        torch.autograd.grad(maps, (pictures, weights), torch.ones_like(maps))
        return 1000 * (time.perf_counter() - begin)

    shape = (_PICTURES * threads, _CHANNELS, _SIDE, _SIDE)
    with torch.inference_mode(False), torch.enable_grad():
        pictures = torch.linspace(-1, 1, math.prod(shape)).reshape(shape)
        pictures = pictures.contiguous(memory_format=torch.channels_last).requires_grad_()
        weights = torch.linspace(-1, 1, 9 * _CHANNELS**2).reshape(_CHANNELS, _CHANNELS, 3, 3).requires_grad_()
        turn(False), turn(True)  # to warm up
        both = [(turn(False), turn(True)) for _ in range(_TURNS)]
    return Speeds(min(fp32 for fp32, _ in both), min(bf16 for _, bf16 in both))


def _has_instructions() -> bool:
    """Whether the CPU has any for bf16, by the names that torch gives to what CPUs can."""
    able = torch.cpu.get_capabilities()
    return any(value is True and ("bf16" in name or name == "avx_ne_convert") for name, value in able.items())
