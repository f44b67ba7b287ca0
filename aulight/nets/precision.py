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

_TURNS = 9
_CHANNELS, _SIDE, _PICTURES = 64, 14, 8  # a convolution of a small backbone: some 3 ms on a core
_known: list["Speeds"] = []  # one, once it was measured


class Speeds(NamedTuple):
    """Milliseconds of processor time that a convolution takes forward and backward.

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
    speeds = measured()
    return Choice(speeds.fp32_ms >= MARGIN * speeds.bf16_ms, str(speeds), speeds)


def slow_bf16(device: str) -> str | None:
    """A warning, where bf16 is slower than fp32 on a device, with how much; ``None`` where it is not."""
    if device.startswith("cuda"):
        has = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if has else "bf16 is emulated by this GPU, and slow; 32 or auto is faster"
    speeds = measured()
    times = speeds.bf16_ms / speeds.fp32_ms
    return f"bf16 takes {times:.1f} times as long as fp32 here; 32 or auto is faster" if times > MARGIN else None


def known() -> Speeds | None:
    """What this process has measured; ``None`` where it has not."""
    return _known[0] if _known else None


def measured() -> Speeds:
    """What :func:`measure` finds, once a process."""
    if not _known:
        _known.append(measure())
    return _known[0]


def measure() -> Speeds:
    """The least of some turns of either kind, one after the other, on the CPU; no random number is drawn for it.

    On one thread and by the processor's time: on a busy machine the clock on the wall tells of other processes, and
    threads that wait for each other do so too. With two threads on two cores that six others wanted as well, bf16 was
    now 0.6 times, now 6 times as fast; on one of them 1.5 to 1.8 times.
    """

    def turn(bf16: bool) -> float:
        begin = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            maps = conv2d(pictures, weights, padding=1)
        torch.autograd.grad(maps, (pictures, weights), torch.ones_like(maps))
        return 1000 * (time.process_time() - begin)

    threads, shape = torch.get_num_threads(), (_PICTURES, _CHANNELS, _SIDE, _SIDE)
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            pictures = torch.linspace(-1, 1, math.prod(shape)).reshape(shape)
            pictures = pictures.contiguous(memory_format=torch.channels_last).requires_grad_()
            weights = torch.linspace(-1, 1, 9 * _CHANNELS**2).reshape(_CHANNELS, _CHANNELS, 3, 3).requires_grad_()
            turn(False), turn(True)  # to warm up
            both = [(turn(False), turn(True)) for _ in range(_TURNS)]
    finally:
        torch.set_num_threads(threads)
    return Speeds(min(fp32 for fp32, _ in both), min(bf16 for _, bf16 in both))


def _has_instructions() -> bool:
    """Whether the CPU has any for bf16, by the names that torch gives to what CPUs can."""
    able = torch.cpu.get_capabilities()
    return any(value is True and ("bf16" in name or name == "avx_ne_convert") for name, value in able.items())
