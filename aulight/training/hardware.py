"""What a run computes on and in: chosen, written down, and asked about where it would go on in another precision."""

import os

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins import MixedPrecision, Precision

from aulight.errors import AulightError, say
from aulight.nets.precision import AUTO, choose, known, slow_bf16
from aulight.runs.machine import processor
from aulight.runs.record import HardwareRecord
from aulight.runs.run import Run
from aulight.settings.training import TrainingSettings


def precision_of(run: Run, settings: TrainingSettings, device: str) -> str:
    """What a run computes in, in Lightning's words; says why, where that was not given.

    A run that goes on where it began has what it had then, measured anew or not: noise must not change its numbers.

    Args:
        run: Which may go on from a checkpoint.
        settings: Of the command. ``auto`` is that of :func:`aulight.nets.precision.choose`; a warning is printed for a
            bf16 that is slow here.
        device: ``cuda`` or ``cpu``.

    Raises:
        AulightError: When ``AULIGHT_AUTO_PRECISION`` is no precision.
    """
    given = settings.trainer.precision
    if given != "auto":
        if given.startswith("bf16") and run.is_first and (warning := slow_bf16(device)):
            say(f"{settings.name}: trainer.precision={given}: {warning}", error=True)
        return given
    before = run.record.hardware
    if before is not None and run.last is not None and not os.environ.get(AUTO):
        here = device == before.accelerator == "cpu" and before.devices == [processor()]
        if here and before.precision in ("32-true", "bf16-mixed") and not settings.resume_on_other_hardware:
            return before.precision
    choice = choose(device)
    precision = "bf16-mixed" if choice.bf16 else "32-true"
    if choice.why:
        run.say(f"computes in {precision}: {choice.why}")
    return precision


class OnePrecision(Callback):
    """Gives every process of a run the precision of the first, whatever each has measured for itself."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Takes it over, where it is another."""
        wanted = trainer.strategy.broadcast(str(trainer.precision))
        if wanted != trainer.precision and {wanted, trainer.precision} == {"32-true", "bf16-mixed"}:
            mixed = MixedPrecision("bf16-mixed", trainer.strategy.root_device.type)
            trainer.strategy.precision_plugin = mixed if wanted == "bf16-mixed" else Precision()


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
        if before.precision != now.precision and not may_change and run.is_first:  # the others take its precision
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
    found = HardwareRecord(
        precision=str(trainer.precision), accelerator=device, devices=names, processes=trainer.world_size
    )
    speeds = known() if device == "cpu" else None
    return found if speeds is None else found.model_copy(update={"speeds": speeds._asdict()})


def _told(hardware: HardwareRecord) -> str:
    return f"{hardware.precision} on {' and '.join(dict.fromkeys(hardware.devices))}"
