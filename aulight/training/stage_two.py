"""``aulight finetune``: stage two, from a checkpoint (or from scratch) and a few labels to scored test subjects."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint

from aulight import protocol
from aulight.data.loaders import RegressionData
from aulight.data.opening import open_data
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.files import write_table
from aulight.runs.record import DatasetRecord
from aulight.runs.run import Run
from aulight.scoring.scores import named, scores, summary
from aulight.training.baseline import regress
from aulight.training.progress import duration, report_skipped
from aulight.training.regression import RegressionStage
from aulight.training.resuming import StageOne, load_encoder, read_stage_one
from aulight.training.tracking import Tracker
from aulight.training.trainer import accumulated, make_trainer, prepare_process, whole_epochs


class Fitted(NamedTuple):
    """What became of a regressor.

    Attributes:
        predictions: Row of a test video to ``(frames, AUs)`` float32 intensities in 0..5.
        validated: The same of validation videos, by what was chosen on them.
        validation_icc: Mean over AUs of the ICC on the validation subjects, which chose it; NaN where undefined.
        scores: Those on validation subjects, named as in :func:`aulight.scoring.scores.named`.
        record: What ``run.yaml`` says of it besides: ``steps`` and further fields.
    """

    predictions: dict[int, npt.NDArray[np.float32]]
    validated: dict[int, npt.NDArray[np.float32]]
    validation_icc: float
    scores: dict[str, float]
    record: dict[str, Any]


def finetune(cfg: DictConfig) -> None:
    """Runs stage two as configured, or what is left of it."""
    run = Run.begin(cfg, "finetune")
    if run.done:
        return
    config = run.record.config
    is_network = config["model"].get("arm") != "blendshapes"
    stage_one = None if cfg.pretrained is None else read_stage_one(Path(cfg.pretrained))
    if stage_one is not None:
        if not is_network:
            raise AulightError(f"pretrained={cfg.pretrained}: model=blendshapes has no network; drop one of the two")
        _refuse_conflicts(config["model"], stage_one.config, list(HydraConfig.get().overrides.task))
    epochs = whole_epochs(cfg.steps, cfg.steps_per_epoch)
    if cfg.loader.chunk % cfg.clip.stride[0]:
        raise AulightError(
            f"loader.chunk={cfg.loader.chunk}: a multiple of the least clip.stride={cfg.clip.stride[0]} is needed"
        )
    data = open_data(Path(cfg.data.root), config["data"]["synthetic"])
    run.check_data(data.fingerprint)
    subjects = protocol.labelled_subjects(data.labels, data.frames, data.videos)
    split = protocol.split(data.videos, data.name, fold=cfg.fold, labelled=subjects, **config["data"]["protocol"])
    for note in split.notes:
        run.say(note)
    origin = None if stage_one is None else protocol.check_stage_one(stage_one.trained_on, data.name, split)
    candidates = protocol.usable_labels(data.labels, data.frames, data.videos, split.train)
    labels = protocol.draw_labels(candidates, cfg.label_seed, cfg.label_fraction, cfg.label_count)
    protocol.assert_subjects(labels, split.train, "drawn labels")
    with run:
        prepare_process(cfg.threads, cfg.seed)
        write_table(labels, run.folder / "labels_used.parquet")
        values = labels[data.columns].astype("Float64").to_numpy(float, na_value=float("nan"))
        known = pd.DataFrame(values, columns=data.columns)
        mean, std = known.mean().fillna(0.0), known.std(ddof=0).fillna(0.0).clip(lower=cfg.label_std_floor)
        run.update(
            arm=cfg.arm,
            fold=split.fold,
            label_fraction=cfg.label_fraction or len(labels) / len(candidates),
            labelled_frames=len(labels),
            label_seed=cfg.label_seed,
            seed=cfg.seed,
            train_label_mean={au: round(float(value), 6) for au, value in mean.items()},
            dataset=DatasetRecord(
                name=data.name,
                fingerprint=data.fingerprint,
                aus=list(data.aus),
                fps=data.fps,
                crop_size=data.meta["crop_size"],
                alignment=data.meta.get("alignment"),
                smooth_s=(data.meta.get("source") or {}).get("smooth_s"),
            ),
            protocol={part: list(getattr(split, part)) for part in ("train", "validation", "test")}
            | {"name": split.name, "fold": split.fold},
            stage_one=origin,
        )
        with Tracker(run) as tracker:
            if is_network:
                fitted = _train(run, cfg, data, split, labels, mean.tolist(), std.tolist(), stage_one, epochs, tracker)
            else:
                fit = regress(data, labels, split, config["model"]["relative"], config["model"]["penalties"])
                chosen = named("val", fit.validation, data.columns)
                about = {"steps": 0, "penalty": fit.penalty}
                fitted = Fitted(fit.predictions, fit.validated, fit.validation_icc, chosen, about)
            write_table(predictions(data, fitted.validated, split.fold), run.folder / "validation.parquet")
            table = predictions(data, fitted.predictions, split.fold)
            write_table(table, run.folder / "predictions.parquet")
            tested = scores(table, data.columns)
            run.update(**fitted.record, validation={"icc": fitted.validation_icc}, test=summary(tested, data.columns))
            logged = fitted.scores | named("test", tested, data.columns)
            if not is_network:  # there was no Trainer to log them
                tracker.log_metrics(logged, 0)
            tracker.results(data, table, logged, fitted.record["steps"])
    run.say(
        f"done in {duration(run.record.wall_s)}, validation ICC "
        f"{fitted.validation_icc:.3f} with {len(labels)} labelled frames, {run.folder}"
    )


def _train(
    run: Run,
    cfg: DictConfig,
    data: PreparedDataset,
    split: protocol.Split,
    labels: pd.DataFrame,
    mean: list[float],
    std: list[float],
    stage_one: StageOne | None,
    epochs: int,
    tracker: Tracker,
) -> Fitted:
    """Trains the network on the drawn labels, and scores the test subjects with what validated best."""
    config = run.record.config
    model = config["model"] if stage_one is None else stage_one.config
    stage = RegressionStage(
        model,
        list(data.aus),
        mean,
        std,
        stride=cfg.clip.stride[0],
        loss=cfg.loss,
        freeze=cfg.freeze,
        optim=config["optim"],
    )
    if stage_one is not None:
        load_encoder(stage.encoder, stage_one.weights, stage_one.file)
    module = RegressionData(
        data,
        labels,
        data.rows(split.validation),
        data.rows(split.test),
        config["clip"],
        config["augment"],
        size=model["size"],
        batch_size=cfg.loader.batch_size,
        batches_per_epoch=cfg.steps_per_epoch * accumulated(config["trainer"]),
        chunk=cfg.loader.chunk,
        workers=cfg.loader.workers,
        seed=cfg.seed,
        on_error=cfg.data.on_error,
    )
    best = ModelCheckpoint(
        run.checkpoints,
        "best",
        monitor="val/icc",
        mode="max",
        save_on_train_epoch_end=False,
        enable_version_counter=False,
    )
    trainer = make_trainer(run, config["trainer"], cfg.name, cfg.seed, epochs, cfg.progress_s, [best], tracker)
    trainer.fit(stage, module, ckpt_path=run.last, weights_only=True)
    steps = int(trainer.global_step)
    trainer.validate(stage, module, ckpt_path=best.best_model_path, verbose=False, weights_only=True)
    stage.gather_predictions()
    validated = stage.predictions
    trainer.test(stage, module, ckpt_path=best.best_model_path, verbose=False, weights_only=True)
    stage.gather_predictions()
    report_skipped(module.skipped)
    validation_icc = float(best.best_model_score)  # type: ignore[arg-type]  # set once it has run
    if validation_icc == -float("inf"):  # Lightning's word for one that was never defined: too few labels
        validation_icc = float("nan")
    record = {"steps": steps, "skipped": dict(module.skipped)}
    return Fitted(stage.predictions, validated, validation_icc, _best_validation(run.folder / "metrics.csv"), record)


def _best_validation(file: Path) -> dict[str, float]:
    """The scores in ``metrics.csv`` of the epoch whose weights were kept, be it from before a resume."""
    table = pd.read_csv(file)
    table = table[[name for name in table if str(name).startswith("val/")]].astype(float)
    scored = table.dropna(subset="val/mae")
    best = int(scored["val/icc"].fillna(-np.inf).to_numpy().argmax()) if len(scored) else -1
    return {str(name): float(value) for name, value in (scored if len(scored) else table).iloc[best].items()}


def predictions(data: PreparedDataset, scored: dict[int, npt.NDArray[np.float32]], fold: int) -> pd.DataFrame:
    """The scored frames that show a face: ``video_id, subject, frame, fold, AU.._true, AU.._pred``.

    Args:
        data: The dataset.
        scored: Row of a video to ``(frames, AUs)`` intensities.
        fold: The fold of the protocol.

    Raises:
        AulightError: When there are none.
    """
    if not scored:
        raise AulightError(f"dataset {data.name}: none of the validation or none of the test videos could be read")
    parts = []
    for row, intensities in sorted(scored.items()):
        video = data.videos.iloc[row]
        part = pd.DataFrame({"video_id": video["video_id"], "subject": video["subject"]}, index=range(len(intensities)))
        part["frame"], part["fold"] = part.index, fold
        parts.append(part.join(pd.DataFrame(intensities, columns=[f"{au}_pred" for au in data.columns])))
    table = pd.concat(parts)
    faces = data.frames.loc[data.frames["face_confidence"] > 0, ["video_id", "frame"]]
    table = table.merge(faces, on=["video_id", "frame"])
    truth = data.labels.rename(columns={au: f"{au}_true" for au in data.columns})
    return table.merge(truth, on=["video_id", "frame"], how="left")


def _refuse_conflicts(wanted: dict[str, Any], trained: dict[str, Any], overrides: list[str]) -> None:
    """Raises when the command line asks for another network than the checkpoint holds."""
    asked = [override.lstrip("+") for override in overrides if override.lstrip("+").startswith(("model=", "model."))]
    if not asked:
        return
    for key, value in wanted.items():
        if list(value) != list(trained[key]) if isinstance(value, list | tuple) else value != trained[key]:
            raise AulightError(
                f"{', '.join(asked)}: asks for model.{key}={value}, the pretrained checkpoint has {trained[key]}; "
                "drop the override or pretrain such a network"
            )
