"""The model of a run directory, or of a checkpoint in one."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

from aulight.errors import AulightError
from aulight.facs import column
from aulight.prediction.description import MeanScores, ModelDescription, Reach, Scores
from aulight.prediction.model import Model
from aulight.prediction.network import build
from aulight.runs.record import BegunFinetune, FinetuneRecord, ProtocolRecord, complete, read_record
from aulight.scoring.agreement import mean
from aulight.scoring.conformal import calibrate
from aulight.scoring.scores import scores
from aulight.settings.model import NetworkSettings


def of_run(folder: Path) -> Model:
    """The model of a finished run directory: its best checkpoint.

    Raises:
        AulightError: When it is no run of stage two with a network, or not finished.
    """
    record = _record(folder)
    if not record.done:
        raise AulightError(
            f"{folder}: not finished ({record.outcome}); the same command goes on with it, "
            f"or give {folder / 'checkpoints' / 'best.ckpt'} to take it as it is"
        )
    return of_checkpoint(folder / "checkpoints" / "best.ckpt", folder)


def _record(folder: Path) -> FinetuneRecord:
    """What ``run.yaml`` says of a run of stage two with a network."""
    record = read_record(folder)
    if record is None:
        raise AulightError(f"{folder}: not a run directory (run.yaml is missing); give one of `aulight finetune`")
    if not isinstance(record, FinetuneRecord):
        raise AulightError(f"{folder}: a run of stage one, which knows no intensities; give one of `aulight finetune`")
    if not record.is_network:
        raise AulightError(f"{folder}: a run of model=blendshapes, which has no network; give one with another model=")
    return record


def of_checkpoint(file: Path, folder: Path) -> Model:
    """The model of a checkpoint, described by the run directory that it is in.

    Raises:
        AulightError: When it is missing or none, or the directory is no run of stage two with a network.
    """
    record = _record(folder)
    if not file.is_file():
        raise AulightError(f"{file}: missing; run `aulight finetune` again in another folder")
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)
        settings, weights = saved["hyper_parameters"], saved["state_dict"]
        encoder = NetworkSettings(**settings["encoder"]).model_dump()
        mean, std = weights["regressor.mean"].tolist(), weights["regressor.std"].tolist()
        aus, stride = [int(au) for au in settings["aus"]], int(settings["stride"])
    except Exception as error:
        raise AulightError(f"{file}: not a checkpoint of `aulight finetune` ({type(error).__name__})") from error
    normalisation = {"image_mean": encoder.pop("mean"), "image_std": encoder.pop("std")}
    normalisation |= {"label_mean": mean, "label_std": std}
    run = complete(record, BegunFinetune, folder)
    who = run.protocol or ProtocolRecord()
    tested = run.done and file.name == "best.ckpt"
    about = {
        "name": run.name,
        "aus": aus,
        "architecture": encoder,
        "stride": stride,
        "normalisation": normalisation,
        **_faces(run, folder),
        "dataset": run.dataset.model_dump(include={"name", "fingerprint", "fps"}),
        "stage_one": run.stage_one and run.stage_one.model_dump(exclude_unset=True),
        **run.model_dump(include={"arm", "fold", "label_fraction", "labelled_frames", "label_seed", "seed"}),
        "subjects": {part: len(getattr(who, part) or ()) for part in ("train", "validation", "test")},
        "validation": run.validation and run.validation.model_dump(exclude_unset=True) if tested else None,
        "test": _test(folder, aus) if tested else None,
        "intervals": _intervals(folder, aus) if tested else None,
        "versions": run.versions,
    }
    return build(ModelDescription.model_validate(about), weights, file)


def _faces(run: BegunFinetune, folder: Path) -> dict[str, object]:
    """How the faces were cut that a run was trained on: ``crop_size``, ``alignment`` and, if it is known, ``smooth_s``.

    Runs of an earlier aulight do not say all of it; then their dataset does, where it is still there.
    """
    said = run.dataset.model_dump(exclude_unset=True, include={"crop_size", "alignment", "smooth_s"})
    file = Path(run.config["data"]["root"]).expanduser() / "dataset.yaml"
    if not {"crop_size", "smooth_s"} <= said.keys():
        try:
            dataset = dict(yaml.safe_load(file.read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
            if "crop_size" not in said:
                raise AulightError(
                    f"{folder / 'run.yaml'}: does not say how faces were cut, and neither does {file}; "
                    "go to the folder from which the run was started, or train it again"
                ) from error
        else:
            dataset["smooth_s"] = (dataset.get("source") or {}).get("smooth_s")
            said = {key: dataset.get(key) for key in ("crop_size", "alignment", "smooth_s")} | said
    if said.get("smooth_s") is None:  # nobody looked for faces, or nobody knows
        said.pop("smooth_s", None)
    return said


def _test(folder: Path, aus: list[int]) -> MeanScores:
    """Scores on the test subjects, as means over the AUs and for each."""
    file, columns = folder / "predictions.parquet", [column(au) for au in aus]
    try:
        table = pd.read_parquet(file)
        tested = scores(table, columns)
    except (OSError, KeyError, ValueError) as error:
        raise AulightError(f"{file}: missing or damaged; run `aulight finetune` again in another folder") from error
    means = {name: float(mean(values)) for name, values in tested.items()}
    return MeanScores(
        labelled_frames=int(table[[f"{au}_true" for au in columns]].notna().any(axis=1).sum()),
        icc=means["icc"],
        mae=means["mae"],
        mse=means["mse"],
        per_au={
            au: Scores(icc=float(icc), mae=float(mae), mse=float(mse))
            for au, icc, mae, mse in zip(columns, tested["icc"], tested["mae"], tested["mse"], strict=True)
        },
    )


def _intervals(folder: Path, aus: list[int]) -> Reach | None:
    """Calibrated on what the run predicted for those who validated it; an earlier aulight did not keep that."""
    file, columns = folder / "validation.parquet", tuple(column(au) for au in aus)
    if not file.is_file():
        return None
    try:
        table = pd.read_parquet(file)
        preds, truth = (
            table[[f"{au}_{kind}" for au in columns]].to_numpy(np.float64, na_value=np.nan) for kind in ("pred", "true")
        )
        subjects = table["subject"].to_numpy()
    except (OSError, KeyError, ValueError) as error:
        raise AulightError(f"{file}: damaged; run `aulight finetune` again in another folder") from error
    return Reach.model_validate(calibrate(preds, truth, columns, subjects).plain())
