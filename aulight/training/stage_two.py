"""Stage two: from a checkpoint (or from scratch) and a few labels to scored test subjects."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytorch_lightning as pl
import torch

from aulight import protocol
from aulight.data.contents import forgotten, shown
from aulight.data.labelled import frames_of, frames_with_labels
from aulight.data.loaders import RegressionData
from aulight.data.opening import open_dataset
from aulight.data.sources.cells import read_text
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.files import sha256
from aulight.foreign.parquet import checked
from aulight.runs.ahead import weights_of
from aulight.runs.former import augmented_as_begun
from aulight.runs.record import LAST, DatasetRecord, ProtocolRecord, TestRecord, ValidationRecord
from aulight.runs.run import PSEUDO, Run, typed_network
from aulight.runs.teachers import teachers_of
from aulight.scoring.agreement import METRICS
from aulight.scoring.agreement import mean as mean_of
from aulight.scoring.amplitude import LEAST_SUBJECTS
from aulight.scoring.scores import named, scores, summary
from aulight.settings.finetune import FinetuneSettings
from aulight.settings.model import DEFAULT, FrozenSettings, NetworkSettings, RidgeSettings
from aulight.training.amplitude import labelled_frames, recorded, set_amplitude
from aulight.training.baseline import Features, blendshapes, regress
from aulight.training.boxed import boxed
from aulight.training.frozen import FrozenFeatures
from aulight.training.progress import duration, report_skipped
from aulight.training.pseudo import pseudo_labels
from aulight.training.ranks import of_all
from aulight.training.regression import RegressionStage
from aulight.training.resuming import Best, StageOne, load_encoder, read_stage_one, step_of
from aulight.training.tracking import Tracker
from aulight.training.trainer import fit, make_trainer, prepare_process, refuse_without_validation


class Fitted(NamedTuple):
    """What became of a regressor.

    Attributes:
        predictions: Row of a test video to ``(frames, AUs)`` float32 intensities in 0..5.
        last: The same by the last checkpoint, which nobody chose; ``None`` where there is none.
        validated: The same of validation videos, by what was chosen on them.
        validation_icc: Mean over AUs of the ICC on the validation subjects, which chose it; NaN where undefined.
        scores: Those on validation subjects, named as in :func:`aulight.scoring.scores.named`.
        steps: Of the optimiser.
        about: What else ``run.yaml`` says of it.
    """

    predictions: dict[int, npt.NDArray[np.float32]]
    last: dict[int, npt.NDArray[np.float32]] | None
    validated: dict[int, npt.NDArray[np.float32]]
    validation_icc: float
    scores: dict[str, float]
    steps: int
    about: Mapping[str, object]


def learn(settings: FinetuneSettings, folder: Path, typed: Sequence[str] = ()) -> None:
    """Runs stage two, or what is left of it.

    Args:
        settings: What to do. On top of stage one the network is the checkpoint's, whatever ``model`` says.
        folder: The run directory.
        typed: Settings as they were typed: a network among them that is not the checkpoint's is refused.

    Raises:
        AulightError: For anything that a user can mend.
    """
    run = Run.begin(folder, settings, typed)
    if run.done:
        return
    settings = augmented_as_begun(settings, run.record.config)
    stage_one = _start(settings.pretrained)
    if stage_one is not None:
        _refuse_conflicts(settings.encoder, stage_one.network, typed_network(typed))
        settings = settings.model_copy(update={"model": stage_one.network})
        if (problem := settings.reference_problem) is not None:
            raise AulightError(f"reference={settings.reference}: {problem}")
        run.build_on(stage_one.network)
    data = open_dataset(settings.data)
    run.check_data(data.fingerprint)
    frames = frames_with_labels(data)
    subjects = protocol.labelled_subjects(data.labels, frames, data.videos)
    split = protocol.split(
        data.videos, data.name, fold=settings.fold, labelled=subjects, **settings.data.protocol.model_dump()
    )
    for note in split.notes:
        run.say(note)
    videos = shown(data)
    protocol.check_contents(videos, split)
    origin = None if stage_one is None else protocol.check_stage_one(stage_one.trained_on, videos, split)
    if stage_one is not None and (said := forgotten(data)):
        run.say(said)
    if stage_one is not None and "contents" not in stage_one.trained_on:
        run.say("stage one is of an earlier aulight and does not tell which videos it saw: names alone are compared")
    if stage_one is not None and (note := _other_steps(stage_one, settings.clip.stride[0], data.fps)):
        run.say(note)
    candidates = protocol.usable_labels(data.labels, frames, data.videos, split.train)
    labels = protocol.draw_labels(candidates, settings.label_seed, settings.label_fraction, settings.label_count)
    protocol.assert_subjects(labels, split.train, "drawn labels")
    if settings.amplitude == "crossfit" and (people := labels["subject"].nunique()) < LEAST_SUBJECTS:
        raise AulightError(
            f"amplitude=crossfit: the drawn labels are of {people} subjects, and {LEAST_SUBJECTS} are needed; "
            "draw more labels, or take amplitude=none"
        )
    asked = settings.pseudo.runs or () if run.last is None else ()  # a run that goes on has kept what they said
    teachers = teachers_of(asked, data.fingerprint, split, labels)
    chosen_on = protocol.usable_labels(data.labels, frames, data.videos, split.validation)
    with run:
        prepare_process(settings.threads, settings.seed)
        run.write_table(labels, "labels_used.parquet")
        values = labels[data.columns].astype("Float64").to_numpy(float, na_value=float("nan"))
        known = pd.DataFrame(values, columns=data.columns)
        mean, std = known.mean().fillna(0.0), known.std(ddof=0).fillna(0.0).clip(lower=settings.label_std_floor)
        run.update(
            arm=settings.arm,
            fold=split.fold,
            label_fraction=settings.label_fraction or len(labels) / len(candidates),
            labelled_frames=len(labels),
            validation_frames=len(chosen_on),
            label_seed=settings.label_seed,
            seed=settings.seed,
            train_label_mean={au: round(float(value), 6) for au, value in mean.items()},
            dataset=_described(data),
            protocol=ProtocolRecord(
                train=list(split.train),
                validation=list(split.validation),
                test=list(split.test),
                name=split.name,
                fold=split.fold,
            ),
            stage_one=origin,
            stage_one_sha256=None if stage_one is None else sha256(stage_one.file),
        )
        with Tracker(run, settings.logger) as tracker:
            if settings.model.kind == "network":
                task = Task(run, settings, data, split, labels, candidates, mean.tolist(), std.tolist(), teachers)
                fitted = _train(task, stage_one, tracker)
            else:
                fitted = _regress(settings, settings.model, data, labels, split)
            run.write_table(predictions(data, fitted.validated, split.fold), "validation.parquet")
            table = predictions(data, fitted.predictions, split.fold)
            run.write_table(table, "predictions.parquet")
            tested = scores(table, data.columns)
            if fitted.last is not None:
                unchosen = predictions(data, fitted.last, split.fold)
                run.write_table(unchosen, LAST)
                run.update(last=TestRecord(**summary(scores(unchosen, data.columns), data.columns)))
            errors = {name: fitted.scores.get(f"val/{name}") for name in METRICS if name != "icc"}
            run.update(
                steps=fitted.steps,
                **fitted.about,
                validation=ValidationRecord(icc=fitted.validation_icc, **errors),
                test=TestRecord(**summary(tested, data.columns)),
            )
            logged = fitted.scores | named("test", tested, data.columns)
            if settings.model.kind != "network":  # there was no Trainer to log them
                tracker.log_metrics(logged, 0)
            tracker.results(data, table, logged, fitted.steps)
    run.say(
        f"done in {duration(run.record.wall_s)}, validation ICC "
        f"{fitted.validation_icc:.3f} with {len(labels)} labelled frames, {run.folder}"
    )


def _start(pretrained: str | None) -> StageOne | None:
    if pretrained == DEFAULT:
        return boxed()
    return None if pretrained is None else read_stage_one(Path(pretrained))


def _other_steps(stage_one: StageOne, stride: int, fps: float) -> str:
    """A note where the samples of a clip are nearer or farther than stage one knows them, in seconds; else empty."""
    step = stride / fps
    low, high = stage_one.trained_on.get("steps_s", [step, step])
    if low / 1.1 <= step <= 1.1 * high:
        return ""
    near = max(1, round((low if step < low else high) * fps))
    advice = "" if near == stride else f"; clip.stride={near} is nearer"
    return (
        f"stage one saw samples {1000 * low:.0f} to {1000 * high:.0f} ms apart, here they are {1000 * step:.0f} ms "
        f"apart (clip.stride={stride} at {fps:g} frames a second){advice}"
    )


class Task(NamedTuple):
    """What a network is trained for.

    Attributes:
        run: Where everything goes.
        settings: Of the command, with the network that is trained.
        data: The dataset.
        split: Its subjects.
        labels: The drawn rows: all that training may know.
        candidates: What they were drawn from.
        mean: ``(AUs,)`` mean of the drawn labels.
        std: ``(AUs,)`` standard deviation of the drawn labels.
        teachers: Directories of finished runs, whose predictions are labels for videos without.
    """

    run: Run
    settings: FinetuneSettings
    data: PreparedDataset
    split: protocol.Split
    labels: pd.DataFrame
    candidates: pd.DataFrame
    mean: list[float]
    std: list[float]
    teachers: list[Path]


def _described(data: PreparedDataset) -> DatasetRecord:
    source = data.meta.get("source")
    return DatasetRecord(
        name=data.name,
        fingerprint=data.fingerprint,
        aus=list(data.aus),
        fps=data.fps,
        crop_size=data.meta["crop_size"],
        alignment=data.meta.get("alignment"),
        smooth_s=source.get("smooth_s") if isinstance(source, dict) else None,
    )


def _train(task: Task, stage_one: StageOne | None, tracker: Tracker) -> Fitted:
    """Trains the network on the drawn labels, and scores the test subjects with the best checkpoint and the last."""
    run, settings, data = task.run, task.settings, task.data
    stage = RegressionStage(
        settings.encoder,
        list(data.aus),
        task.mean,
        task.std,
        stride=settings.clip.stride[0],
        step_s=settings.clip.stride[0] / data.fps,
        primed=settings.clip.length - 1,
        loss=settings.loss,
        freeze=settings.freeze,
        optim=settings.optim,
        ccc_share=settings.ccc_share,
        reference=settings.reference,
    )
    if stage_one is not None:
        load_encoder(stage.encoder, stage_one.weights, stage_one.file)
    module = RegressionData(
        data,
        task.labels,
        data.rows(task.split.validation),
        data.rows(task.split.test),
        settings.clip,
        settings.augment,
        size=settings.encoder.size,
        batch_size=settings.loader.batch_size,
        batches_per_epoch=settings.steps_per_epoch * settings.trainer.accumulate_grad_batches,
        chunk=settings.loader.chunk,
        workers=settings.loader.workers,
        seed=settings.seed,
        on_error=settings.data.on_error,
        decord=settings.loader.reader == "decord",
        reference=settings.reference,
    )
    best = Best(run.checkpoints)
    trainer = make_trainer(run, settings, [best], tracker)
    refuse_without_validation(trainer)
    if settings.pseudo.runs is not None:
        module.add(_taught(task, trainer, module), settings.pseudo.true_share)
    fit(trainer, stage, module, run, settings)
    steps = int(trainer.global_step)
    amplitude = None
    if settings.amplitude == "crossfit":
        train, seed = task.split.train, settings.label_seed
        frames = labelled_frames(task.labels, task.candidates, data.columns, train, seed)
        assert run.last is not None  # training has come to its end
        set_amplitude(trainer, stage, module, run.last, frames, seed)
        amplitude = set_amplitude(trainer, stage, module, Path(best.best_model_path), frames, seed)
    trainer.validate(stage, module, ckpt_path=best.best_model_path, verbose=False, weights_only=True)
    stage.gather_predictions()
    validated = stage.predictions
    trainer.test(stage, module, ckpt_path=best.best_model_path, verbose=False, weights_only=True)
    stage.gather_predictions()
    predicted = last = stage.predictions
    skipped = dict(sum(of_all(module.skipped), Counter()))  # not once more for the same videos
    if step_of(Path(best.best_model_path)) < steps:
        trainer.predict(stage, module, ckpt_path=run.last, return_predictions=False, weights_only=True)
        stage.gather_predictions()
        last = stage.predictions
    if run.is_first:
        report_skipped(skipped)
    validation_icc = float("nan") if best.score is None else best.score
    if best.score is None:
        run.say("labels of validation subjects do not vary: they cannot choose a checkpoint, and the last one is taken")
    chosen = _best_validation(run.folder / "metrics.csv")
    about: dict[str, object] = {"skipped": skipped}
    if amplitude is not None:  # not the network as it was while it was trained
        about["amplitude"] = recorded(amplitude, data.columns)
        found = scores(predictions(data, validated, task.split.fold), data.columns)
        validation_icc, chosen = float(mean_of(found["icc"])), named("val", found, data.columns)
    return Fitted(predicted, last, validated, validation_icc, chosen, steps, about)


def _regress(
    settings: FinetuneSettings, model: RidgeSettings, data: PreparedDataset, labels: pd.DataFrame, split: protocol.Split
) -> Fitted:
    """Ridge regression from features that nothing is learned for."""
    about: dict[str, object] = {}
    features: Features = partial(blendshapes, data, relative=model.relative)
    if isinstance(model, FrozenSettings):
        cuda = settings.trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
        on_error = settings.data.on_error
        features = frozen = FrozenFeatures(data, model, settings.loader.chunk, "cuda" if cuda else "cpu", on_error)
        about["weights_sha256"] = sha256(weights_of(model))
    fit = regress(data, labels, split, features, model.penalties)
    if isinstance(model, FrozenSettings):
        about["skipped"] = dict(frozen.skipped)
        report_skipped(frozen.skipped)
    chosen = named("val", fit.validation, data.columns)
    about["penalty"] = fit.penalty
    return Fitted(fit.predictions, None, fit.validated, fit.validation_icc, chosen, 0, about)


def _taught(task: Task, trainer: pl.Trainer, module: RegressionData) -> pd.DataFrame:
    """The pseudo-labels; those that the run has kept, where it goes on from a checkpoint."""
    run = task.run
    if run.last is None:
        apart, size = task.settings.pseudo.apart * np.array(task.std), task.settings.encoder.size
        table = pseudo_labels(trainer, module, task.data, task.split, task.teachers, task.labels, apart, size)
        run.write_table(table, PSEUDO)
        by = {str(teacher): sha256(teacher / "checkpoints" / "best.ckpt") for teacher in task.teachers}
        run.update(teachers=by, pseudo_frames=len(table))
    else:
        table = pd.read_parquet(checked(run.folder / PSEUDO))
    protocol.assert_subjects(table, task.split.stage_one, "pseudo-labels")
    return table


def _best_validation(file: Path) -> dict[str, float]:
    """The scores in ``metrics.csv`` of the epoch whose weights were kept, be it from before a resume."""
    table = pd.read_csv(io.StringIO(read_text(file)))
    table = table[[name for name in table if str(name).startswith("val/")]].astype(float)
    scored = table.dropna(subset="val/mae")
    known = scored["val/icc"].notna().any()
    best = int(scored["val/icc"].fillna(-np.inf).to_numpy().argmax()) if known else -1  # else the last one was kept
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
    frames = frames_of(data, table["video_id"].unique())
    faces = frames.loc[frames["face_confidence"] > 0, ["video_id", "frame"]]
    table = table.merge(faces, on=["video_id", "frame"])
    truth = data.labels.rename(columns={au: f"{au}_true" for au in data.columns})
    return table.merge(truth, on=["video_id", "frame"], how="left")


def _refuse_conflicts(wanted: NetworkSettings, trained: NetworkSettings, asked: list[str]) -> None:
    """Raises when the command line asks for another network than the checkpoint holds."""
    if not asked:
        return
    for key, value in wanted:
        if value != (there := getattr(trained, key)):
            raise AulightError(
                f"{', '.join(asked)}: asks for model.{key}={value}, the pretrained checkpoint has {there}; "
                "drop the override or pretrain such a network"
            )
