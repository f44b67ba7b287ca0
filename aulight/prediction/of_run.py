"""The model of a run directory, or of a checkpoint in one."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic_core import to_json
from torch import Tensor

from aulight.errors import AulightError
from aulight.facs import column
from aulight.foreign.checkpoint import read_checkpoint
from aulight.foreign.parquet import checked
from aulight.foreign.yaml import read_yaml
from aulight.prediction.description import Architecture, MeanScores, ModelDescription, Reach, Scores
from aulight.prediction.model import Model
from aulight.prediction.network import build
from aulight.runs.record import BegunFinetune, FinetuneRecord, ProtocolRecord, check_settings, complete, read_record
from aulight.scoring.agreement import mean
from aulight.scoring.conformal import calibrate
from aulight.scoring.scores import scores

MOST_AUS = 99


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
    """What ``run.yaml`` says of a run of stage two."""
    record = read_record(folder)
    if record is None:
        raise AulightError(f"{folder}: not a run directory (run.yaml is missing); give one of `aulight finetune`")
    if not isinstance(record, FinetuneRecord):
        raise AulightError(f"{folder}: a run of stage one, which knows no intensities; give one of `aulight finetune`")
    return record


def of_checkpoint(file: Path, folder: Path) -> Model:
    """The model of a checkpoint, described by the run directory that it is in.

    Raises:
        AulightError: When it is missing or none, or the directory is no run of stage two with a network.
    """
    run = complete(_record(folder), BegunFinetune, folder)
    check_settings(run, folder)
    if not run.is_network:
        raise AulightError(f"{folder}: a run whose model= trained no network; give one with another model=")
    if not file.is_file():
        raise AulightError(f"{file}: missing; run `aulight finetune` again in another folder")
    saved = read_checkpoint(file)
    weights, normalisation = saved.weights, saved.network.model_dump()
    encoder = {name: normalisation.pop(name) for name in Architecture.model_fields}
    normalisation = {f"image_{name}": value for name, value in normalisation.items()}
    normalisation |= {f"label_{name}": _scale(weights, name, file) for name in ("mean", "std")}
    aus = _aus(saved.settings.get("aus"), file)
    who = run.protocol or ProtocolRecord()
    tested = run.done and file.name == "best.ckpt"
    pace: dict[str, object] = {
        name: saved.settings[name] for name in ("step_s", "primed") if name in saved.settings
    }  # not by 0.1.0
    about: dict[str, object] = {
        "name": run.name,
        "aus": aus,
        "architecture": encoder,
        "stride": saved.settings.get("stride"),
        **pace,
        "normalisation": normalisation,
        **_reference(weights),
        **_faces(run, folder),
        "dataset": run.dataset.model_dump(include={"name", "fingerprint", "fps"}),
        "stage_one": run.stage_one and run.stage_one.model_dump(exclude_unset=True),
        **run.model_dump(include={"arm", "fold", "label_fraction", "labelled_frames", "label_seed", "seed"}),
        "subjects": {part: len(getattr(who, part) or ()) for part in ("train", "validation", "test")},
        "validation": _validation(run) if tested else None,
        "test": _test(folder, aus) if tested else None,
        "intervals": _intervals(folder, aus) if tested else None,
        "versions": run.versions,
    }
    try:
        description = ModelDescription.checked(to_json(about, inf_nan_mode="constants"), file)
    except ValueError as error:
        raise AulightError(f"{folder}: what its run.yaml and its checkpoint say is no model ({error})") from error
    return build(description, weights, file)


def _validation(run: BegunFinetune) -> dict[str, object] | None:
    """How the checkpoint was chosen, as far as the run says it."""
    if run.validation is None:
        return None
    frames = {} if run.validation_frames is None else {"labelled_frames": run.validation_frames}
    return run.validation.model_dump(exclude_unset=True) | frames


def _aus(given: object, file: Path) -> list[int]:
    if not isinstance(given, list | tuple) or not all(isinstance(au, int) and 1 <= au <= MOST_AUS for au in given):
        raise AulightError(f"{file}: not a checkpoint of `aulight finetune` (aus are no numbers of AUs)")
    return list(given)


def _scale(weights: Mapping[str, Tensor], name: str, file: Path) -> list[float]:
    """What intensities were scaled by, one number an AU, as the weights have it."""
    values = weights.get(f"regressor.{name}")
    if values is None or values.dim() != 1 or not 1 <= len(values) <= MOST_AUS:
        raise AulightError(f"{file}: not a checkpoint of `aulight finetune` (regressor.{name} is missing, or odd)")
    scale: list[float] = values.tolist()
    return scale


def _reference(weights: Mapping[str, Tensor]) -> dict[str, object]:
    """The usual reference in parts of intensities, where the network has one."""
    usual = weights.get("regressor.usual")
    return {} if usual is None else {"reference": (usual * weights["regressor.std"]).tolist()}


def _faces(run: BegunFinetune, folder: Path) -> dict[str, object]:
    """How the faces were cut that a run was trained on: ``crop_size``, ``alignment`` and, if it is known, ``smooth_s``.

    Runs of an earlier aulight do not say all of it; then their dataset does, where it is still there.
    """
    said = run.dataset.model_dump(exclude_unset=True, include={"crop_size", "alignment", "smooth_s"})
    data = run.config.get("data")
    file = Path(str(data.get("root") if isinstance(data, dict) else None)).expanduser() / "dataset.yaml"
    if not {"crop_size", "smooth_s"} <= said.keys():
        try:
            dataset = dict(read_yaml(file))
            source = dict(dataset.get("source") or {})
        except (AulightError, TypeError, ValueError) as error:
            if "crop_size" not in said:
                raise AulightError(
                    f"{folder / 'run.yaml'}: does not say how faces were cut, and neither does {file}; "
                    "go to the folder from which the run was started, or train it again"
                ) from error
        else:
            dataset["smooth_s"] = source.get("smooth_s")
            said = {key: dataset.get(key) for key in ("crop_size", "alignment", "smooth_s")} | said
    if said.get("smooth_s") is None:  # nobody looked for faces, or nobody knows
        said.pop("smooth_s", None)
    return said


def _test(folder: Path, aus: list[int]) -> MeanScores:
    """Scores on the test subjects, as means over the AUs and for each."""
    file, columns = folder / "predictions.parquet", [column(au) for au in aus]
    try:
        table = pd.read_parquet(checked(file))
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
        table = pd.read_parquet(checked(file))
        preds, truth = (
            table[[f"{au}_{kind}" for au in columns]].to_numpy(np.float64, na_value=np.nan) for kind in ("pred", "true")
        )
        subjects = table["subject"].to_numpy()
    except (OSError, KeyError, ValueError) as error:
        raise AulightError(f"{file}: damaged; run `aulight finetune` again in another folder") from error
    return Reach.model_validate(calibrate(preds, truth, columns, subjects).plain())
