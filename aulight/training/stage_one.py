"""``aulight pretrain``: stage one, from unlabelled videos to a checkpoint."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from aulight import protocol
from aulight.data.loaders import ContrastiveData
from aulight.data.opening import open_data
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.runs.run import Run
from aulight.training.contrastive import ContrastiveStage
from aulight.training.probe import Probe
from aulight.training.progress import duration, report_skipped
from aulight.training.tracking import Tracker
from aulight.training.trainer import accumulated, make_trainer, prepare_process, whole_epochs


def pretrain(cfg: DictConfig) -> None:
    """Runs stage one as configured, or what is left of it."""
    run = Run.begin(cfg, "pretrain")
    if run.done:
        return
    config = run.record.config
    if "arm" in config["model"]:
        raise AulightError(f"model={config['model']['arm']}: has no network, so no stage one; for finetune alone")
    data = open_data(Path(cfg.data.root), config["data"]["synthetic"])
    run.check_data(data.fingerprint)
    labelled = (data.root / "labels.parquet").is_file()
    split = _split(data, labelled, config["data"]["protocol"], cfg.fold)
    subjects = list(split.stage_one) if split else sorted(set(data.videos["subject"].astype(str)))
    subjects = protocol.draw_subjects(subjects, cfg.seed, cfg.subject_fraction)
    for note in split.notes if split else ():
        run.say(note)
    if not labelled:
        everybody = f", and all {len(subjects)} subjects, whom no stage two may be tested on then"
        run.say(f"{data.name} has no labels: no probe{'' if split else everybody}")
    rows = data.rows(subjects)
    epochs = whole_epochs(cfg.steps, cfg.steps_per_epoch)
    with run:
        prepare_process(cfg.threads, cfg.seed)
        run.update(
            seed=cfg.seed,
            dataset={"name": data.name, "fingerprint": data.fingerprint, "videos": len(rows)},
            protocol={"name": split and split.name, "fold": split and split.fold, "stage_one": subjects},
        )
        stage = ContrastiveStage(
            config["model"],
            config["objective"],
            config["optim"],
            trained_on={"dataset": data.name, "subjects": subjects},
        )
        module = ContrastiveData(
            data,
            rows,
            config["clip"],
            config["augment"],
            views=cfg.objective.views,
            size=cfg.model.size,
            batch_size=cfg.loader.batch_size,
            batches_per_epoch=cfg.steps_per_epoch * accumulated(config["trainer"]),
            workers=cfg.loader.workers,
            seed=cfg.seed,
            on_error=cfg.data.on_error,
        )
        callbacks: list[Callback] = [
            ModelCheckpoint(
                run.checkpoints,
                "step{step:06d}",
                auto_insert_metric_name=False,
                every_n_epochs=cfg.keep_every_epochs,
                save_top_k=-1,
            )
        ]
        if cfg.probe is not None and split is not None and labelled:
            stride, on_error = cfg.clip.stride[0], cfg.data.on_error
            callbacks.append(Probe(data, split, stride, cfg.model.size, **config["probe"], on_error=on_error))
        with Tracker(run) as tracker:
            trainer = make_trainer(
                run, config["trainer"], cfg.name, cfg.seed, epochs, cfg.progress_s, callbacks, tracker
            )
            trainer.fit(stage, module, ckpt_path=run.last, weights_only=True)
        for callback in callbacks:
            if isinstance(callback, Probe):
                module.skipped.update(callback.skipped)
        report_skipped(module.skipped)
        run.update(
            steps=int(trainer.global_step),
            skipped=dict(module.skipped),
            train={key: float(value) for key, value in trainer.callback_metrics.items()},
        )
    run.say(f"done in {duration(run.record.wall_s)}, {run.checkpoints / 'last.ckpt'}")


def _split(data: PreparedDataset, labelled: bool, settings: dict[str, Any], fold: int) -> protocol.Split | None:
    """The subjects' parts; ``None`` where nobody is to be tested: no labels, and no split of the dataset's own."""
    if labelled:
        subjects = protocol.labelled_subjects(data.labels, data.frames, data.videos)
        return protocol.split(data.videos, data.name, fold=fold, labelled=subjects, **settings)
    if settings["name"] == "own" and "split" in data.videos:
        return protocol.split(data.videos, data.name, fold=fold, **settings)
    return None
