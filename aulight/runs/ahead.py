"""What can be said against a run by a look at its files, before torch is imported or anything is made."""

from pathlib import Path

from aulight import protocol
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.settings.finetune import FinetuneSettings
from aulight.settings.training import TrainingSettings


def check_ahead(settings: TrainingSettings, opened: dict[Path, PreparedDataset] | None = None) -> None:
    """Refuses a run whose checkpoint or dataset is not there, or whose subjects cannot be split as it asks.

    Args:
        settings: Of the command.
        opened: Datasets that were opened before, for a sweep not to open one for each run; more are added.

    Raises:
        AulightError: As both stages would, later.
    """
    pretrained = settings.pretrained if isinstance(settings, FinetuneSettings) else None
    if pretrained is not None:
        checkpoint_of(Path(pretrained))
    root = Path(settings.data.root).expanduser()
    if settings.data.synthetic is not None and not root.exists():
        return  # it makes itself
    opened = {} if opened is None else opened
    if root not in opened:
        opened[root] = PreparedDataset(root)
    data = opened[root]
    if not isinstance(settings, FinetuneSettings) and not (data.root / "labels.parquet").is_file():
        return
    subjects = protocol.labelled_subjects(data.labels, data.frames, data.videos)
    chosen = settings.data.protocol.model_dump()
    split = protocol.split(data.videos, data.name, fold=settings.fold, labelled=subjects, **chosen)
    if isinstance(settings, FinetuneSettings):
        candidates = protocol.usable_labels(data.labels, data.frames, data.videos, split.train)
        protocol.draw_labels(candidates, settings.label_seed, settings.label_fraction, settings.label_count)


def checkpoint_of(path: Path) -> Path:
    """The checkpoint that ``pretrained=`` means.

    Args:
        path: The checkpoint, or a run directory that has ``checkpoints/last.ckpt``.

    Raises:
        AulightError: When it is not there.
    """
    file = path / "checkpoints" / "last.ckpt" if path.is_dir() else path
    if not file.is_file():
        raise AulightError(f"pretrained={path}: no checkpoint at {file}; give a stage-one run directory or .ckpt file")
    return file
