"""``aulight finetune``: stage two, from a checkpoint (or from scratch) and a few labels to scored test subjects."""

from pathlib import Path
from typing import Any

import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint

from aulight import protocol
from aulight.data.modules import RegressionData, open_data
from aulight.data.store import PreparedDataset, write_table
from aulight.errors import AulightError
from aulight.runs import Run
from aulight.stages.regression import RegressionStage, load_encoder, read_encoder
from aulight.training import duration, make_trainer, prepare_process, report_skipped, whole_epochs


def finetune(cfg: DictConfig) -> None:
    """Runs stage two as configured, or what is left of it."""
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    run = Run(Path(HydraConfig.get().runtime.output_dir), "finetune", config)
    if run.done:
        print(f"{cfg.name}: already done ({run.folder})")
        return
    model, pretrained = config["model"], None
    if cfg.pretrained is not None:
        pretrained = read_encoder(Path(cfg.pretrained))
        _refuse_conflicts(model, pretrained[0], list(HydraConfig.get().overrides.task))
        model = pretrained[0]
    epochs = whole_epochs(cfg.steps, cfg.steps_per_epoch)
    if cfg.loader.chunk % cfg.clip.stride[0]:
        raise AulightError(
            f"loader.chunk={cfg.loader.chunk}: a multiple of the least clip.stride={cfg.clip.stride[0]} is needed"
        )
    data = open_data(Path(cfg.data.root), config["data"]["synthetic"])
    run.check_data(data.fingerprint)
    split = protocol.own_split(data.videos, data.name)
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
            dataset={"name": data.name, "fingerprint": data.fingerprint, "aus": list(data.aus), "fps": data.fps},
            protocol={part: list(getattr(split, part)) for part in ("train", "validation", "test")}
            | {"name": split.name},
        )
        stage = RegressionStage(
            model,
            list(data.aus),
            mean.tolist(),
            std.tolist(),
            stride=cfg.clip.stride[0],
            loss=cfg.loss,
            freeze=cfg.freeze,
            optim=config["optim"],
        )
        if pretrained is not None:
            load_encoder(stage.encoder, *pretrained[1:])
        module = RegressionData(
            data,
            labels,
            data.rows(split.validation),
            data.rows(split.test),
            config["clip"],
            config["augment"],
            size=model["size"],
            batch_size=cfg.loader.batch_size,
            steps_per_epoch=cfg.steps_per_epoch,
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
        trainer = make_trainer(run, config["trainer"], cfg.name, cfg.seed, epochs, cfg.progress_s, [best])
        trainer.fit(stage, module, ckpt_path=run.last, weights_only=True)
        steps = int(trainer.global_step)
        trainer.test(stage, module, ckpt_path=best.best_model_path, verbose=False, weights_only=True)
        stage.gather_predictions()
        write_table(predictions(data, stage, split.fold), run.folder / "predictions.parquet")
        report_skipped(module.skipped)
        scores = stage.metrics.compute()["icc"]
        run.update(
            steps=steps,
            skipped=dict(module.skipped),
            validation={"icc": float(best.best_model_score)},  # type: ignore[arg-type]  # set once it has run
            test=stage.summary() | {"per_au": dict(zip(data.columns, scores.tolist(), strict=True))},
        )
    if trainer.is_global_zero:
        print(
            f"{cfg.name}: done in {duration(run.record['wall_s'])}, validation ICC "
            f"{run.record['validation']['icc']:.3f} with {len(labels)} labelled frames, {run.folder}"
        )


def predictions(data: PreparedDataset, stage: RegressionStage, fold: int) -> pd.DataFrame:
    """The scored frames that show a face: ``video_id, subject, frame, fold, AU.._true, AU.._pred``."""
    if not stage.predictions:
        raise AulightError(f"dataset {data.name}: none of the test subjects' videos could be read")
    parts = []
    for row, intensities in sorted(stage.predictions.items()):
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
