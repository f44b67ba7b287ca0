"""Lightning's Trainer as both stages use it, and the process that it runs in."""

import inspect
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy, StrategyRegistry
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher, _SubprocessScriptLauncher
from torch.nn.parallel import DistributedDataParallel

from aulight.errors import AulightError, one_line
from aulight.processes import cpus
from aulight.runs.run import Run
from aulight.settings.training import TrainingSettings
from aulight.training.divergence import Divergence
from aulight.training.hardware import OnePrecision, precision_of, settle
from aulight.training.logs import RunLogger
from aulight.training.progress import Progress
from aulight.training.resuming import AtomicCheckpoints, Reseed, step_of


class Kept(ModelCheckpoint):
    """Checkpoints of every epoch, kept for good.

    Lightning knows two of one class by their settings, which are those of ``last.ckpt`` where every epoch is kept.
    """


def fit(
    trainer: pl.Trainer, stage: pl.LightningModule, data: pl.LightningDataModule, run: Run, settings: TrainingSettings
) -> None:
    """Trains, or goes on with it from the run's last checkpoint.

    Raises:
        AulightError: When it comes to nothing, a batch is too small for the network, or it would go on in another
            precision.
    """
    settle(run, trainer, settings.resume_on_other_hardware)
    try:
        trainer.fit(stage, data, ckpt_path=run.last, weights_only=True)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise AulightError(
            "loader.batch_size: too few clips a device for model.norm=batch, which takes a mean over them; "
            "a larger one is needed, or model.norm=group"
        ) from error


class SameBuffers(Callback):
    """Gives the buffers of the first process to all, before validation and before a checkpoint.

    They are the running statistics of BatchNorm, which each process takes over its own clips. DDP would send them
    before every forward pass, and in validation wait for ever for a process that has no video to score.
    """

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gives what is to be scored."""
        _share(pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gives what is to be kept."""
        _share(pl_module)


def _share(module: pl.LightningModule) -> None:
    if dist.is_available() and dist.is_initialized():
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def _leave_buffers_alone() -> None:
    """Has Lightning make every kind of DDP without sending buffers: :class:`SameBuffers` does."""
    known = inspect.signature(DistributedDataParallel).parameters
    setting = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # its name before
    for name in StrategyRegistry.available_strategies():
        if StrategyRegistry[name]["strategy"] is DDPStrategy:
            StrategyRegistry[name]["init_params"][setting] = False


class OneFolder(Callback):
    """Ends a run whose machines see different folders: one would go on from a checkpoint that another one lacks.

    Args:
        folder: The run directory.
        step: Of the checkpoint that this process goes on from, or 0.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.folder, self.step = folder, step

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares the steps of all processes."""
        same = trainer.strategy.broadcast(self.step) == self.step
        if not trainer.strategy.reduce_boolean_decision(same, all=True):
            raise AulightError(
                f"{self.folder}: is not the same folder on all machines of the run; root= on a file system that they "
                "share is needed"
            )


class TogetherToTheEnd(Callback):
    """Ends the processes that this one has started when it fails, for which they would wait in vain.

    Lightning does so on Ctrl-C alone. Those of ``torchrun`` and ``srun`` are ended by these.
    """

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Ends them at once: what is wrong is said by this process."""
        launcher = trainer.strategy.launcher
        if isinstance(launcher, _SubprocessScriptLauncher):
            started = launcher.procs.copy()
            launcher.procs.clear()  # Lightning's thread that sees one of these end would kill this process as well
            for process in started:
                process.kill()


class Layout(Callback):
    """How the backbone lies in memory, and whether it is compiled; neither changes what a checkpoint holds.

    Args:
        channels_last: Whether the channels of a place lie side by side.
        compiled: Whether torch compiles it.
    """

    def __init__(self, channels_last: bool, compiled: bool) -> None:
        self.channels_last, self.compiled = channels_last, compiled

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lays encoders out, also that of a teacher, before training and not before the tests that follow it."""
        if stage == "fit":
            teacher: Any = getattr(pl_module, "teacher", None)
            encoders: list[Any] = [pl_module.encoder, *([] if teacher is None else [teacher.encoder])]
            for encoder in encoders:
                encoder.lay_out(self.channels_last)
                if self.compiled:
                    encoder.backbone.compile()


def make_trainer(
    run: Run, settings: TrainingSettings, callbacks: list[Callback], tracker: Logger | None = None
) -> pl.Trainer:
    """Lightning's Trainer with this project's checkpoints, logs and progress lines.

    Args:
        run: Where everything goes.
        settings: Of the command. Those of ``trainer`` go to ``pl.Trainer``; ``trainer.precision`` as of
            :func:`aulight.training.hardware.precision_of`.
        callbacks: Further callbacks.
        tracker: A logger beside ``metrics.csv``.

    Raises:
        AulightError: For arguments that the Trainer refuses, or a damaged checkpoint to go on from.
    """
    arguments = settings.trainer.model_dump(exclude={"channels_last", "compile"})
    cuda = settings.trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    arguments["precision"] = precision_of(run, settings, "cuda" if cuda else "cpu")
    arguments["sync_batchnorm"] &= cuda  # torch has it for GPUs alone
    before = 0 if run.last is None else step_of(run.last)
    ours = [
        ModelCheckpoint(run.checkpoints, "last", save_on_train_epoch_end=True, enable_version_counter=False),
        Layout(settings.trainer.channels_last, settings.trainer.compile),
        OneFolder(run.folder, before),
        TogetherToTheEnd(),
        OnePrecision(),
        Reseed(settings.seed),
        Progress(settings.name, settings.progress_s),
    ]
    if run.is_first:  # another one may be here before it, and it would take the folder for a stranger's
        run.checkpoints.mkdir(parents=True, exist_ok=True)
    _leave_buffers_alone()
    _quiet()
    try:
        made = pl.Trainer(
            **arguments,
            max_epochs=settings.epochs,
            logger=[RunLogger(run.folder, before), *([] if tracker is None else [tracker])],
            callbacks=[Divergence(), SameBuffers(), *callbacks, *ours],  # a probe sees what is kept
            default_root_dir=run.folder,
            plugins=[AtomicCheckpoints(), *_slurm()],
            use_distributed_sampler=False,  # the samplers here know their rank
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        _check_processes(made)
    except (RuntimeError, TypeError, ValueError, MisconfigurationException) as error:
        raise AulightError(f"trainer: {one_line(error)}") from error
    if isinstance(made.strategy.launcher, _MultiProcessingLauncher):
        raise AulightError(
            f"trainer.strategy={settings.trainer.strategy}: starts processes that give nothing back; ddp is needed"
        )
    if isinstance(made.accelerator, CPUAccelerator) and str(arguments["precision"]).startswith("16"):
        raise AulightError("trainer.precision=16-mixed: a CPU does not compute in float16; use bf16-mixed or 32")
    if made.world_size > 1 and settings.encoder.norm == "batch" and not arguments["sync_batchnorm"]:
        run.say(
            "BatchNorm takes its statistics over each process's own clips (on GPUs trainer.sync_batchnorm=true shares "
            "them); model.norm=group needs none"
        )
    return made


def refuse_without_validation(trainer: pl.Trainer) -> None:
    """Refuses settings that go to Lightning as they are and leave no validation that could choose a checkpoint.

    Raises:
        AulightError: With the setting.
    """
    every, epochs = trainer.check_val_every_n_epoch, trainer.max_epochs
    if trainer.limit_val_batches == 0:
        raise AulightError("trainer.limit_val_batches=0: a validation is needed, which chooses the checkpoint")
    if every is not None and epochs is not None and every > epochs:
        raise AulightError(
            f"trainer.check_val_every_n_epoch={every}: training has {epochs} epochs (steps / steps_per_epoch), and a "
            "validation is needed, which chooses the checkpoint"
        )


def _slurm() -> list[SLURMEnvironment]:
    """Slurm's processes, where there are any, without Lightning's own requeueing.

    It would write a checkpoint in the middle of an epoch, whose rest would begin with other clips.
    """
    if TorchElasticEnvironment.detect() or not SLURMEnvironment.detect():
        return []
    return [SLURMEnvironment(auto_requeue=False)]


def _check_processes(trainer: pl.Trainer) -> None:
    """Raises where ``torchrun`` or ``srun`` have started another number of processes than the Trainer counts on.

    And where ``torchrun`` has started them again, and they would not find each other.
    """
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if environment is None and TorchElasticEnvironment.detect():
        environment = TorchElasticEnvironment()
    if environment is not None:
        environment.validate_settings(num_devices=trainer.num_devices, num_nodes=trainer.num_nodes)
    again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
    if again and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":  # pytorch's issue 135712
        raise AulightError(
            "torchrun has started the run again, where its processes would look for those that are gone; "
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 before torchrun is needed with --max-restarts"
        )


def prepare_process(threads: int | None, seed: int) -> None:
    """Settings of the whole process: threads, flushing of denormal numbers, seeds.

    Args:
        threads: Threads of torch on the CPU; ``None`` leaves torch's choice, but one for each CPU at most that this
            process may use: torch knows of no quota.
        seed: Of the network's first weights.
    """
    torch.set_num_threads(threads or min(torch.get_num_threads(), cpus()))
    torch.set_flush_denormal(True)  # features near 0 make evaluation on a CPU ten times slower otherwise
    torch.manual_seed(seed)


def _quiet() -> None:
    """Silences what Lightning says about itself and choices that are meant here."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for pattern in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*Your `IterableDataset` has `__len__` defined.*",
        ".*The number of training batches .* is smaller than the logging interval.*",
        ".*isinstance.treespec, LeafSpec.. is deprecated.*",
        ".*Trying to infer the `batch_size`.*",
        ".*predict returned None if it was on purpose.*",
        ".*AMP with fp16 is not supported on CPU.*",  # said by make_trainer
        ".*method of metric IntensityMetrics was called before the ``update`` method.*",  # a process without a video
        ".*The `srun` command is available on your system but is not used.*",
        ".*It is recommended to use `self.log.'probe/icc', .*",  # the first process alone computes it
    ):
        warnings.filterwarnings("ignore", pattern)
