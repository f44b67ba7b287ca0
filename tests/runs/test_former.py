"""Runs that were begun by an earlier aulight, which weighed candidates and augmented frames in other ways."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from aulight.errors import AulightError
from aulight.runs.composed import composed, register_resolvers, settings_from
from aulight.runs.former import as_begun, augmented_as_begun
from aulight.runs.run import Run
from aulight.settings.objective import ContrastiveSettings
from aulight.settings.pretrain import PretrainSettings


def _settings(*typed: str) -> PretrainSettings:
    register_resolvers()
    with composed("pretrain", [*typed]) as config:
        settings = settings_from("pretrain", config)
    assert isinstance(settings, PretrainSettings)
    return settings


def _begun(folder: Path, outcome: str = "interrupted", checkpoint: bool = True, weight: float = 0.05) -> dict[str, Any]:
    """A run as it was written then, of today's settings otherwise; its settings."""
    config = _settings("loader.batch_size=32").model_dump(exclude_unset=True)
    objective = {
        name: value for name, value in config["objective"].items() if name not in ("other_subjects", "same_subject")
    }
    config["objective"] = objective | {"other_video_weight": weight}
    _write(folder, config, outcome, checkpoint)
    return config


def _write(folder: Path, config: dict[str, Any], outcome: str, checkpoint: bool) -> None:
    folder.mkdir()
    (folder / "run.yaml").write_text(yaml.safe_dump({"command": "pretrain", "outcome": outcome, "config": config}))
    if checkpoint:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "last.ckpt").touch()


def test_it_goes_on_as_it_began_also_a_second_time(tmp_path: Path) -> None:
    config = _begun(tmp_path / "run")
    for _ in range(2):  # the other processes of a distributed run read what the first has written
        settings = _settings("loader.batch_size=32")
        run = Run.begin(tmp_path / "run", settings)
        assert not run.done
        assert run.record.config["objective"] == config["objective"]
        goes_on, strangers = as_begun(settings, run.record.config)
        assert strangers
        assert isinstance(goes_on.objective, ContrastiveSettings)
        assert goes_on.objective.other_subjects == pytest.approx(31 * 0.05)
        assert goes_on.model_copy(update={"objective": settings.objective}) == settings
        with pytest.raises(KeyboardInterrupt), run:
            raise KeyboardInterrupt


def test_a_new_run_is_what_its_settings_say(tmp_path: Path) -> None:
    settings = _settings()
    assert as_begun(settings, Run.begin(tmp_path / "run", settings).record.config) == (settings, False)


def test_it_is_done_whatever_the_default_is_now(tmp_path: Path) -> None:
    _begun(tmp_path / "run", outcome="done", weight=0.2)
    assert Run.begin(tmp_path / "run", _settings("loader.batch_size=32")).done


@pytest.mark.parametrize("outcome", ["done", "interrupted", "running"])
@pytest.mark.parametrize(
    "typed", ["objective.other_subjects=0.1", "+objective.same_subject=0.5", "objective={other_subjects: 0.1}"]
)
def test_other_weights_that_are_asked_for_are_another_run(outcome: str, typed: str, tmp_path: Path) -> None:
    _begun(tmp_path / "run", outcome)
    override = typed.lstrip("+")
    with pytest.raises(AulightError, match=r"other settings \(objective\.other_video_weight was 0\.05"):
        Run.begin(tmp_path / "run", _settings("loader.batch_size=32", override), [typed])


def test_one_that_got_nowhere_begins_anew(tmp_path: Path) -> None:
    _begun(tmp_path / "run", checkpoint=False)
    settings = _settings("loader.batch_size=32")
    run = Run.begin(tmp_path / "run", settings)
    assert run.record.config == settings.model_dump(exclude_unset=True)
    assert as_begun(settings, run.record.config) == (settings, False)


def test_other_settings_are_refused_as_ever(tmp_path: Path) -> None:
    _begun(tmp_path / "run")
    with pytest.raises(AulightError, match=r"other settings \(loader\.batch_size was 32, is 8\)"):
        Run.begin(tmp_path / "run", _settings())


def _begun_before_augment_on(folder: Path, checkpoint: bool = True) -> PretrainSettings:
    settings = _settings("loader.batch_size=32")
    config = settings.model_dump(exclude_unset=True)
    del config["augment"]["on"]
    _write(folder, config, "interrupted", checkpoint)
    return settings


def test_frames_are_augmented_as_at_the_beginning_also_a_second_time(tmp_path: Path) -> None:
    settings = _begun_before_augment_on(tmp_path / "run")
    for _ in range(2):
        run = Run.begin(tmp_path / "run", settings)
        assert augmented_as_begun(settings, run.record.config).augment.on == "albumentations"
        with pytest.raises(KeyboardInterrupt), run:
            raise KeyboardInterrupt


def test_a_new_run_and_one_that_got_nowhere_are_augmented_as_their_settings_say(tmp_path: Path) -> None:
    settings = _begun_before_augment_on(tmp_path / "old", checkpoint=False)
    for name in ("old", "new"):
        assert augmented_as_begun(settings, Run.begin(tmp_path / name, settings).record.config) == settings


def test_another_way_to_augment_that_is_asked_for_is_another_run(tmp_path: Path) -> None:
    _begun_before_augment_on(tmp_path / "run")
    typed = "augment.on=loader"
    with pytest.raises(AulightError, match=r"other settings \(augment\.on was albumentations, is loader\)"):
        Run.begin(tmp_path / "run", _settings("loader.batch_size=32", typed), [typed])
