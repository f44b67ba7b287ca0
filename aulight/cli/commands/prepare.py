"""``aulight prepare``: raw videos to a prepared dataset of aligned faces."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aulight.errors import say
from aulight.preparation.dataset import prepare_dataset
from aulight.preparation.recipe import Finding, Recipe
from aulight.preparation.relabelling import Replaceable
from aulight.settings.prepare import PrepareSettings
from aulight.workers.hiring import hire


def prepare(settings: PrepareSettings, typed: Sequence[str] | None = None) -> None:
    """Prepares a dataset, or what is left of it, and prints what came of it.

    Args:
        settings: The settings.
        typed: Those that were typed; of the others, what a dataset that is there was made with counts. ``None``: all.

    Raises:
        AulightError: For raw data that are not laid out as expected, and for settings that do not fit them or what is
            there already.
    """
    root, faces = Path(settings.raw.root).expanduser(), settings.faces
    keys = None if typed is None else {text.lstrip("+~").partition("=")[0] for text in typed} - {"data"}  # a choice
    recipe, notes = _recipe(settings).remembering(root, keys)
    for line in notes:
        say(line)
    workers = hire(settings)
    if recipe.by_torch:
        from aulight.data.faces.batched.networks import AT_ONCE  # with torch

        workers = replace(workers, each=AT_ONCE)
    summary = prepare_dataset(
        root,
        settings.raw.name,
        recipe,
        None if faces.model is None else Path(faces.model),
        settings.on_error,
        workers,
        Replaceable(settings.labels_replace, settings.subjects_replace),
        apart=(Path(settings.data_dir).expanduser(), root),
    )
    for line in summary.lines():
        say(line)


def _recipe(settings: PrepareSettings) -> Recipe:
    data, faces, labels = settings.raw, settings.faces, settings.labels
    assert data.source is not None  # as the settings have checked
    finding = Finding(faces.blendshapes, faces.max_faces, faces.smooth_s) if data.faces == "mediapipe" else None
    device = "cpu"
    if finding is not None and faces.device != device:
        from aulight.data.faces.batched.networks import found_device  # with torch

        device = found_device(faces.device)
    return Recipe(
        data.format,
        Path(data.source).expanduser(),
        None if labels is None else tuple(map(_absolute, [labels] if isinstance(labels, str) else labels)),
        None if settings.subjects is None else _absolute(settings.subjects),
        data.reader.model_dump(),
        settings.crop_size,
        finding,
        settings.gop,
        device,
    )


def _absolute(path: str) -> Path:
    return Path(path).expanduser().resolve()
