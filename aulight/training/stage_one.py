"""Stage one: from unlabelled videos to a checkpoint."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from aulight import protocol
from aulight.data.contents import forgotten, shown
from aulight.data.labelled import frames_with_labels
from aulight.data.loaders import ContrastiveData
from aulight.data.opening import open_dataset
from aulight.data.store import PreparedDataset
from aulight.runs.former import as_begun, augmented_as_begun
from aulight.runs.record import MOST_NAMES, DatasetRecord, ProtocolRecord
from aulight.runs.run import Run
from aulight.settings.data import ProtocolSettings
from aulight.settings.pretrain import PretrainSettings
from aulight.training.objectives import built
from aulight.training.probe import Probe
from aulight.training.progress import duration, report_skipped
from aulight.training.ranks import of_all
from aulight.training.resuming import LastMetrics
from aulight.training.tracking import Tracker
from aulight.training.trainer import Kept, fit, make_trainer, prepare_process


def learn(settings: PretrainSettings, folder: Path, typed: Sequence[str] = ()) -> None:
    """Runs stage one, or what is left of it.

    Args:
        settings: What to do.
        folder: The run directory.
        typed: Settings as they were typed.

    Raises:
        AulightError: For anything that a user can mend.
    """
    run = Run.begin(folder, settings, typed)
    if run.done:
        return
    settings, strangers = as_begun(augmented_as_begun(settings, run.record.config), run.record.config)
    if strangers:
        run.say(
            "begun by an earlier aulight: every clip counts as of somebody else, as it did then, to the end of the run"
        )
    data = open_dataset(settings.data)
    run.check_data(data.fingerprint)
    labelled = data.has_labels
    split = _split(data, labelled, settings.data.protocol, settings.fold)
    subjects = list(split.stage_one) if split else sorted(set(data.videos["subject"].astype(str)))
    subjects = protocol.draw_subjects(subjects, settings.seed, settings.subject_fraction)
    for note in split.notes if split else ():
        run.say(note)
    if not labelled:
        everybody = f", and all {len(subjects)} subjects, whom no stage two may be tested on then"
        run.say(f"{data.name} has no labels: no probe{'' if split else everybody}")
    if said := forgotten(data):
        run.say(said)
    rows = data.rows(subjects)
    if split is not None:
        protocol.check_contents(shown(data), split)
    with run:
        prepare_process(settings.threads, settings.seed)
        run.update(
            seed=settings.seed,
            dataset=DatasetRecord(name=data.name, fingerprint=data.fingerprint, videos=len(rows)),
            protocol=ProtocolRecord(
                name=split.name if split else None,
                fold=split.fold if split else None,
                stage_one=subjects if len(subjects) <= MOST_NAMES else None,
            ),
        )
        stage = built(
            settings.encoder,
            settings.objective,
            settings.optim,
            trained_on={
                **shown(data, rows).trained_on(),
                "steps_s": [end(settings.clip.stride) / data.fps for end in (min, max)],
            },
            strangers=strangers,
        )
        module = ContrastiveData(
            data,
            rows,
            settings.clip,
            settings.augment,
            views=settings.objective.views,
            size=settings.encoder.size,
            batch_size=settings.loader.batch_size,
            batches_per_epoch=settings.steps_per_epoch * settings.trainer.accumulate_grad_batches,
            workers=settings.loader.workers,
            seed=settings.seed,
            on_error=settings.data.on_error,
            decord=settings.loader.reader == "decord",
        )
        metrics = LastMetrics()
        callbacks: list[Callback] = [
            metrics,
            (Kept if settings.keep_every_epochs == 1 else ModelCheckpoint)(
                run.checkpoints,
                "step{step:06d}",
                auto_insert_metric_name=False,
                every_n_epochs=settings.keep_every_epochs,
                save_top_k=-1,
                enable_version_counter=False,  # one that was kept before a kill is kept once
            ),
        ]
        if settings.probe is not None and split is not None and labelled:
            looks = settings.probe.model_dump() | {"on_error": settings.data.on_error}
            callbacks.append(Probe(data, split, settings.clip, settings.encoder.size, **looks))
        with Tracker(run, settings.logger) as tracker:
            trainer = make_trainer(run, settings, callbacks, tracker)
            fit(trainer, stage, module, run, settings)
        for callback in callbacks:
            if isinstance(callback, Probe):
                module.skipped.update(callback.skipped)
        skipped = dict(sum(of_all(module.skipped), Counter()))
        if run.is_first:
            report_skipped(skipped)
        run.update(
            steps=int(trainer.global_step),
            skipped=skipped,
            train=metrics.of(trainer),
        )
    run.say(f"done in {duration(run.record.wall_s)}, {run.checkpoints / 'last.ckpt'}")


def _split(data: PreparedDataset, labelled: bool, settings: ProtocolSettings, fold: int) -> protocol.Split | None:
    """The subjects' parts; ``None`` where nobody is to be tested: no labels, and no split of the dataset's own."""
    if labelled:
        subjects = protocol.labelled_subjects(data.labels, frames_with_labels(data), data.videos)
        return protocol.split(data.videos, data.name, fold=fold, labelled=subjects, **settings.model_dump())
    if settings.name == "own" and "split" in data.videos:
        return protocol.split(data.videos, data.name, fold=fold, **settings.model_dump())
    return None
