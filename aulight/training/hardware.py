"""What a run computes on: written down, and asked about where it would go on in another precision."""

import pytorch_lightning as pl
import torch

from aulight.errors import AulightError
from aulight.runs.machine import processor
from aulight.runs.record import HardwareRecord
from aulight.runs.run import Run


def settle(run: Run, trainer: pl.Trainer, may_change: bool) -> None:
    """Writes down what a run computes on from here, and says how that differs from what it was begun on.

    Args:
        run: Which may go on from a checkpoint.
        trainer: What it is trained by.
        may_change: Whether it may go on in another precision, ``resume_on_other_hardware``.

    Raises:
        AulightError: When it would, and may not.
    """
    now, before = hardware_of(trainer), run.record.hardware
    if before is None or run.last is None:
        run.update(hardware=now)
        return
    if (before.precision, before.accelerator, {*before.devices}) != (now.precision, now.accelerator, {*now.devices}):
        if before.precision != now.precision and not may_change:
            keep = "32" if before.precision == "32-true" else before.precision
            raise AulightError(
                f"{run.folder}: was trained in {_told(before)}, and would go on in {_told(now)}, with other numbers; "
                f"resume_on_other_hardware=true goes on so, AULIGHT_AUTO_PRECISION={keep} in the precision that it had"
            )
        run.say(f"goes on in {_told(now)}; was trained in {_told(before)}")
        run.update(hardware_before=[*(run.record.hardware_before or []), before])
    run.update(hardware=now)


def hardware_of(trainer: pl.Trainer) -> HardwareRecord:
    """What a Trainer computes on, with the devices of this machine by their names."""
    device = trainer.strategy.root_device.type
    names = [torch.cuda.get_device_name(number) for number in trainer.device_ids] if device == "cuda" else [processor()]
    return HardwareRecord(
        precision=str(trainer.precision), accelerator=device, devices=names, processes=trainer.world_size
    )


def _told(hardware: HardwareRecord) -> str:
    return f"{hardware.precision} on {' and '.join(dict.fromkeys(hardware.devices))}"
