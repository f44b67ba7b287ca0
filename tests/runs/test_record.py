from pathlib import Path
from typing import Any

import pytest
import yaml

from aulight.errors import AulightError
from aulight.runs.compared import differences, dotted
from aulight.runs.record import (
    BegunFinetune,
    DatasetRecord,
    FinetuneRecord,
    FinishedFinetune,
    OriginRecord,
    PretrainRecord,
    complete,
    read_record,
)
from aulight.settings.finetune import FinetuneSettings
from aulight.settings.group import CHANGES_NO_RESULT, NAMES_THE_RUN
from aulight.settings.pretrain import PretrainSettings
from aulight.settings.walk import marked

HEAD: dict[str, Any] = {
    "command": "finetune",
    "config": {"data": {"root": "data/faces"}, "model": {"size": 64}, "name": "run"},
    "wall_s": 2.5,
    "outcome": "done",
    "versions": {"python": "3.11.7", "aulight": "0.1.0"},
    "git": None,
    "peak_rss_mb": 678,
    "peak_gpu_mb": None,
}
BEGUN: dict[str, Any] = {
    "arm": "pretrained",
    "fold": 1,
    "label_fraction": 0.02,
    "labelled_frames": 7,
    "label_seed": 0,
    "seed": 0,
    "train_label_mean": {"AU01": 0.857143},
    "dataset": {"name": "faces", "fingerprint": "41a0b2ab831962bf", "aus": [1], "fps": 25.0},
    "protocol": {"train": ["S1"], "validation": ["S2"], "test": ["S3"], "name": "own", "fold": 1},
    "stage_one": {"dataset": "faces", "own_frames": True, "subjects": 18, "unlabelled_subjects": 12},
}
ENDED: dict[str, Any] = {
    "steps": 20,
    "skipped": {"a.mp4: damaged": 2},
    "validation": {"icc": 0.06218120828270912},
    "test": {"icc": 0.01, "mae": 0.7, "mse": 1.3, "per_au": {"AU01": 0.4670112063080507}},
}
OLD: dict[str, Any] = HEAD | BEGUN | ENDED
"""As a version wrote it that knew neither crop size nor alignment nor smoothing."""


def _write(folder: Path, plain: dict[str, Any]) -> str:
    text = yaml.safe_dump(plain, sort_keys=False)
    (folder / "run.yaml").write_text(text)
    return text


def test_a_record_of_an_earlier_version_is_read_and_written_to_the_byte(tmp_path: Path) -> None:
    text = _write(tmp_path, OLD)
    record = read_record(tmp_path)
    assert isinstance(record, FinetuneRecord)
    assert yaml.safe_dump(record.plain(), sort_keys=False) == text
    assert (record.stage, record.done, record.name, record.arm) == (2, True, "run", "pretrained")
    assert record.dataset is not None
    assert (record.dataset.crop_size, record.dataset.alignment, record.dataset.smooth_s) == (None, None, None)
    assert record.stage_one == OriginRecord(dataset="faces", own_frames=True, subjects=18, unlabelled_subjects=12)
    assert record.settings == {"data.root": "data/faces", "model.size": 64, "name": "run"}


def test_what_a_later_version_adds_is_kept(tmp_path: Path) -> None:
    later = OLD | {"energy_j": 5, "dataset": OLD["dataset"] | {"licence": "none"}}
    _write(tmp_path, later)
    record = read_record(tmp_path)
    assert record is not None
    assert record.plain() == later
    assert record.updated(outcome="running").plain() == later | {"outcome": "running"}


def test_stage_one(tmp_path: Path) -> None:
    plain = HEAD | {"command": "pretrain", "protocol": {"name": None, "fold": None, "stage_one": ["S1"]}}
    text = _write(tmp_path, plain | {"train": {"train/loss": float("inf")}})
    record = read_record(tmp_path)
    assert isinstance(record, PretrainRecord)
    assert yaml.safe_dump(record.plain(), sort_keys=False) == text
    assert record.stage == 1
    assert record.seed is None


def test_a_run_that_has_said_little(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    _write(tmp_path, {"command": "finetune", "outcome": "failed: a bug"})
    record = read_record(tmp_path)
    assert isinstance(record, FinetuneRecord)
    assert (record.outcome, record.arm, record.config) == ("failed: a bug", None, {})


def test_whether_its_model_is_a_network() -> None:
    network = {"backbone": "resnet_tiny", "temporal": "gru", "size": 64, "embedding": 128, "hidden": 128, "skip": True}
    network |= {"norm": "batch", "small_input": False, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    baseline = {"arm": "blendshapes", "relative": True, "penalties": [0.1, 1.0]}
    for model, is_network in ((network, True), (baseline, False), ({"arm": "blendshapes"}, False)):
        assert FinetuneRecord(config={"model": model}).is_network == is_network


def test_fields_that_must_be_there(tmp_path: Path) -> None:
    _write(tmp_path, HEAD | BEGUN)
    record = read_record(tmp_path)
    assert record is not None
    begun = complete(record, BegunFinetune, tmp_path)
    assert (begun.fold, begun.dataset.fps, begun.dataset.aus) == (1, 25.0, [1])
    with pytest.raises(AulightError, match=r"run\.yaml: lacks the key 'steps'; move the run directory away"):
        complete(record, FinishedFinetune, tmp_path)
    assert complete(record.updated(**ENDED), FinishedFinetune, tmp_path).steps == 20


def test_fields_are_typed_and_known(tmp_path: Path) -> None:
    record = FinetuneRecord(config={})
    dataset = DatasetRecord(name="faces", fingerprint="f", smooth_s=0.1)
    assert record.updated(dataset=dataset, seed=3).plain() == {
        "config": {},
        "dataset": {"name": "faces", "fingerprint": "f", "smooth_s": 0.1},
        "seed": 3,
    }
    with pytest.raises(AssertionError, match="sede"):
        record.updated(sede=3)
    _write(tmp_path, OLD | {"label_fraction": "some"})
    with pytest.raises(AulightError, match=r"run\.yaml: label_fraction: .*valid number.*; move the run") as caught:
        read_record(tmp_path)
    assert "\n" not in str(caught.value)


def test_which_settings_may_differ_is_said_at_the_fields() -> None:
    """Oracle: the lists that were kept by hand before."""
    free = {
        "data.cache", "data.cache_gb", "data.reader.pictures", "data.root", "data.source", "data_dir", "equal_steps",
        "loader.reader", "loader.workers", "logger", "name", "progress_s", "resume_on_other_hardware", "root", "runs",
        "threads", "trainer.accelerator", "trainer.channels_last", "trainer.compile", "trainer.devices",
        "trainer.log_every_n_steps", "trainer.num_nodes", "trainer.strategy", "trainer.sync_batchnorm",
    }  # fmt: skip
    assert set(marked(PretrainSettings, CHANGES_NO_RESULT)) == free
    assert set(marked(FinetuneSettings, CHANGES_NO_RESULT)) == free
    pooled = free | {"seed", "label_seed", "fold", "pretrained", "pseudo.runs", "stage_one_run"}
    assert set(marked(FinetuneSettings, CHANGES_NO_RESULT, NAMES_THE_RUN)) == pooled


def test_differences() -> None:
    old = {"a": 1, "b": {"c": [1, 2], "d": {"e": None}}, "data": {"root": "x"}}
    assert dotted(old) == {"a": 1, "b.c": [1, 2], "b.d.e": None, "data.root": "x"}
    new = {"a": 1, "b": {"c": [1, 3], "d": {"e": None, "f": 0}}, "data": {"root": "y"}}
    assert differences(old, new, ["data.root"]) == ["b.c was [1, 2], is [1, 3]", "b.d.f was None, is 0"]
    assert differences(old, new, ["data", "b"]) == []


def test_what_an_earlier_aulight_had_no_setting_for() -> None:
    """It goes on as it was: by the squared error, its amplitude as it was learned."""
    old = {"label_seed": 0, "loss": "mse"}
    pseudo = {"runs": None, "true_share": 0.25, "apart": 1.0}
    assert differences(old, old | {"ccc_share": 1.0, "amplitude": "none", "pseudo": pseudo}, []) == []
    assert differences(old, old | {"amplitude": "crossfit"}, []) == ["amplitude was none, is crossfit"]
    assert differences({"seed": 0}, {"seed": 0, "ccc_share": 1.0}, []) == ["ccc_share was None, is 1.0"]


def test_a_run_of_before_augmentation_had_a_place_had_it_from_albumentations() -> None:
    old: dict[str, Any] = {"augment": {"clip": [], "frame": []}}
    now: dict[str, Any] = {"on": "albumentations", "clip": [], "frame": []}
    assert differences(old, {"augment": now}, []) == []
    assert differences(old, {"augment": now | {"on": "device"}}, []) == ["augment.on was albumentations, is device"]
