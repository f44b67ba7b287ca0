"""What can be said against a run by a look at its files, before torch is imported or anything is made."""

from pathlib import Path

from aulight import protocol
from aulight.data.contents import shown
from aulight.data.labelled import frames_with_labels
from aulight.data.opening import open_dataset
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.runs.record import PretrainRecord, read_record
from aulight.runs.teachers import teachers_of
from aulight.settings.data import DataSettings
from aulight.settings.finetune import FinetuneSettings
from aulight.settings.group import is_url
from aulight.settings.model import DEFAULT, FrozenSettings
from aulight.settings.training import TrainingSettings

LAST = "last.ckpt"
"""The checkpoint with which a run goes on, and that stage two loads."""


class Looked:
    """What was looked at before: datasets and stages one, each once however many runs of a sweep build on it."""

    def __init__(self) -> None:
        self._data: dict[str, PreparedDataset] = {}
        self._shown: dict[str, protocol.Shown] = {}
        self._seen: dict[Path, protocol.TrainedOn | None] = {}

    def data(self, settings: DataSettings) -> PreparedDataset:
        """The dataset that settings name.

        Raises:
            AulightError: When there is none, or it is damaged.
        """
        if settings.root not in self._data:
            self._data[settings.root] = open_dataset(settings)
        return self._data[settings.root]

    def shown(self, settings: DataSettings) -> protocol.Shown:
        """Which of its videos show whom."""
        if settings.root not in self._shown:
            self._shown[settings.root] = shown(self.data(settings))
        return self._shown[settings.root]

    def seen_by(self, checkpoint: Path) -> protocol.TrainedOn | None:
        """What stage one saw, by its run directory and its dataset; ``None`` where these are not what they were.

        The checkpoint itself says it, whatever became of them, but only torch can read it: stage two looks there.
        """
        if checkpoint not in self._seen:
            try:
                self._seen[checkpoint] = self._recorded(checkpoint.parent.parent)
            except (AulightError, KeyError):
                self._seen[checkpoint] = None
        return self._seen[checkpoint]

    def _recorded(self, run: Path) -> protocol.TrainedOn | None:
        record = read_record(run)
        if not isinstance(record, PretrainRecord) or record.dataset is None or record.protocol is None:
            return None
        root = str(record.settings["data.root"])
        data = self._data.get(root)
        if data is None and not is_url(root):
            data = self._data[root] = PreparedDataset(Path(root).expanduser())
        if data is None or data.fingerprint != record.dataset.fingerprint or record.protocol.stage_one is None:
            return None
        return shown(data, data.rows(record.protocol.stage_one)).trained_on()


def check_ahead(settings: TrainingSettings, looked: Looked | None = None, begun: bool = False) -> None:
    """Refuses a run whose checkpoint or dataset is not there, or whose subjects may not be used as it asks.

    Args:
        settings: Of the command.
        looked: What was looked at for other runs of a sweep; more is added.
        begun: Whether it goes on from a checkpoint, and has kept what its teachers said.

    Raises:
        AulightError: As both stages would, later.
    """
    looked = looked or Looked()
    pretrained = settings.pretrained if isinstance(settings, FinetuneSettings) else None
    from_box = pretrained == DEFAULT  # it has seen nobody who lives
    checkpoint = None if pretrained is None or from_box else checkpoint_of(Path(pretrained))
    if settings.data.synthetic is not None and not Path(settings.data.root).expanduser().exists():
        return  # it makes itself
    data = looked.data(settings.data)
    if not isinstance(settings, FinetuneSettings) and not data.has_labels:
        return
    frames = frames_with_labels(data)
    subjects = protocol.labelled_subjects(data.labels, frames, data.videos)
    chosen = settings.data.protocol.model_dump()
    split = protocol.split(data.videos, data.name, fold=settings.fold, labelled=subjects, **chosen)
    protocol.check_contents(looked.shown(settings.data), split)
    if checkpoint is not None and (seen := looked.seen_by(checkpoint)) is not None:
        protocol.check_stage_one(seen, looked.shown(settings.data), split)
    if isinstance(settings, FinetuneSettings):
        if settings.model.kind == "frozen":
            weights_of(settings.model)
        candidates = protocol.usable_labels(data.labels, frames, data.videos, split.train)
        labels = protocol.draw_labels(candidates, settings.label_seed, settings.label_fraction, settings.label_count)
        teachers_of(settings.pseudo.runs or () if not begun else (), data.fingerprint, split, labels)


def meant_by(path: Path) -> Path:
    """The checkpoint that a path means, be it there or not: the last one of a run directory, or else itself."""
    return path / "checkpoints" / LAST if path.is_dir() else path


def weights_of(model: FrozenSettings) -> Path:
    """The file of weights that ``model.weights=`` means.

    Raises:
        AulightError: When none is given, or it is not there.
    """
    if model.weights is None:
        raise AulightError(f"model.weights=null: the file with the weights of timm's {model.timm} is needed")
    file = Path(model.weights).expanduser()
    if not file.is_file():
        raise AulightError(f"model.weights={model.weights}: no such file; nothing is fetched")
    return file


def checkpoint_of(path: Path) -> Path:
    """The checkpoint that ``pretrained=`` means.

    Args:
        path: The checkpoint, or a run directory that has ``checkpoints/last.ckpt``.

    Raises:
        AulightError: When it is not there, or is the last one so far of a stage one that is not done.
    """
    file = meant_by(path)
    if not file.is_file():
        raise AulightError(f"pretrained={path}: no checkpoint at {file}; give a stage-one run directory or .ckpt file")
    if file.name == LAST and (outcome := _unfinished(file.parent.parent)) is not None:
        raise AulightError(
            f"pretrained={path}: stage one is not done there ({outcome}); the same `aulight pretrain` goes on with it; "
            "a copy of the checkpoint under another name is taken as it is"
        )
    return file


def _unfinished(folder: Path) -> str | None:
    """What became of a stage one that is not done; ``None`` where it is done, or does not say."""
    try:
        record = read_record(folder)
    except AulightError:
        return None
    return None if not isinstance(record, PretrainRecord) or record.done else str(record.outcome)
