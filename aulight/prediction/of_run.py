"""The model of a run directory, or of a checkpoint in one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from aulight.errors import AulightError
from aulight.facs import column
from aulight.prediction.description import plain
from aulight.prediction.model import Model
from aulight.prediction.network import build
from aulight.runs.record import read_record
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
    if record.get("outcome") != "done":
        raise AulightError(
            f"{folder}: not finished ({record.get('outcome')}); the same command goes on with it, "
            f"or give {folder / 'checkpoints' / 'best.ckpt'} to take it as it is"
        )
    return of_checkpoint(folder / "checkpoints" / "best.ckpt", folder)


def _record(folder: Path) -> dict[str, Any]:
    """What ``run.yaml`` says of a run of stage two with a network."""
    found = read_record(folder)
    if found is None:
        raise AulightError(f"{folder}: not a run directory (run.yaml is missing); give one of `aulight finetune`")
    record = found.plain()
    if record.get("command") != "finetune":
        raise AulightError(f"{folder}: a run of stage one, which knows no intensities; give one of `aulight finetune`")
    if record["config"]["model"].get("arm") == "blendshapes":
        raise AulightError(f"{folder}: a run of model=blendshapes, which has no network; give one with another model=")
    return record


def of_checkpoint(file: Path, folder: Path) -> Model:
    """The model of a checkpoint, described by the run directory that it is in."""
    record = _record(folder)
    if not file.is_file():
        raise AulightError(f"{file}: missing; run `aulight finetune` again in another folder")
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)
        settings, weights = saved["hyper_parameters"], saved["state_dict"]
        config = NetworkSettings(**settings["encoder"]).model_dump()
        mean, std = weights["regressor.mean"].tolist(), weights["regressor.std"].tolist()
        aus, stride = [int(au) for au in settings["aus"]], int(settings["stride"])
    except Exception as error:
        raise AulightError(f"{file}: not a checkpoint of `aulight finetune` ({type(error).__name__})") from error
    normalisation = {"image_mean": config.pop("mean"), "image_std": config.pop("std")}
    normalisation |= {"label_mean": mean, "label_std": std}
    dataset = record["dataset"]
    tested = record.get("outcome") == "done" and file.name == "best.ckpt"
    meta = {
        "name": record["config"]["name"],
        "aus": aus,
        "architecture": config,
        "stride": stride,
        "normalisation": normalisation,
        **_crop(record, folder),
        "dataset": {key: dataset[key] for key in ("name", "fingerprint", "fps")},
        "stage_one": record.get("stage_one"),
        **{key: record[key] for key in ("arm", "fold", "label_fraction", "labelled_frames", "label_seed", "seed")},
        "subjects": {part: len(record["protocol"][part]) for part in ("train", "validation", "test")},
        "validation": record["validation"] if tested else None,
        "test": _test(folder, aus) if tested else None,
        "intervals": _intervals(folder, aus) if tested else None,
        "versions": record["versions"],
    }
    return build(plain(meta), weights, file)


def _crop(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``crop_size`` in pixels and ``alignment`` of the faces that a run was trained on."""
    keys = ("crop_size", "alignment")
    known = record["dataset"]
    root = Path(record["config"]["data"]["root"]).expanduser()
    if "crop_size" not in known:  # of an earlier aulight: the dataset says it
        try:
            known = yaml.safe_load((root / "dataset.yaml").read_text(encoding="utf-8"))
        except OSError as error:
            raise AulightError(
                f"{folder / 'run.yaml'}: does not say how faces were cut, and there is no {root / 'dataset.yaml'}; "
                "go to the folder from which the run was started, or train it again"
            ) from error
    return {key: known.get(key) for key in keys}


def _test(folder: Path, aus: list[int]) -> dict[str, Any]:
    """Scores on the test subjects, as means over the AUs and for each."""
    file, columns = folder / "predictions.parquet", [column(au) for au in aus]
    try:
        table = pd.read_parquet(file)
        tested = scores(table, columns)
    except (OSError, KeyError, ValueError) as error:
        raise AulightError(f"{file}: missing or damaged; run `aulight finetune` again in another folder") from error
    return {
        "labelled_frames": int(table[[f"{au}_true" for au in columns]].notna().any(axis=1).sum()),
        **{name: float(mean(values)) for name, values in tested.items()},
        "per_au": {
            au: {name: float(values[place]) for name, values in tested.items()} for place, au in enumerate(columns)
        },
    }


def _intervals(folder: Path, aus: list[int]) -> dict[str, Any] | None:
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
    return calibrate(preds, truth, columns, subjects).plain()
