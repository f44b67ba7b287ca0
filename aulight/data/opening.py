"""Opens a prepared dataset: in a folder, where it may be made up first, or at an URL."""

from pathlib import Path

from aulight.data.fetching import cached
from aulight.data.remote.cache import Cache
from aulight.data.remote.objects import Objects, Patience
from aulight.data.remote.shelf import RemoteShards
from aulight.data.remote.tables import copy_tables
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.files import alone
from aulight.settings.data import AvatarGeneratorSettings, DataSettings, GeneratorSettings, PreparedSettings
from aulight.settings.group import is_url


def open_dataset(settings: DataSettings) -> PreparedDataset:
    """Opens the dataset that settings name, in a folder or at an URL.

    Raises:
        AulightError: As :func:`open_data` and :func:`open_remote` do.
    """
    if isinstance(settings, PreparedSettings) and is_url(settings.root):
        cache = cached("remote") if settings.cache is None else Path(settings.cache).expanduser()
        return open_remote(settings.root, cache, int(settings.cache_gb * 1e9))
    return open_data(Path(settings.root), settings.synthetic)


def open_remote(url: str, cache: Path, most_bytes: int, patience: Patience | None = None) -> PreparedDataset:
    """Opens a prepared dataset at an URL: its tables are copied, its videos fetched as they are read.

    Args:
        url: Of its folder.
        cache: Where what is fetched is kept; processes and datasets may share it.
        most_bytes: Of videos in it.
        patience: How long the bucket is waited for.

    Raises:
        AulightError: When it is not there, may not be read or nobody answers, and as :class:`PreparedDataset` does.
    """
    objects = Objects(url, patience)
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)  # faces and labels are for who may read the bucket
    except OSError as error:
        raise AulightError(f"{cache}: cannot be written ({error.strerror}); give another data.cache=") from error
    tables = copy_tables(objects, cache / "tables")
    return PreparedDataset(tables.folder, RemoteShards(objects, Cache(cache, most_bytes), tables.changed))


def open_data(root: Path, synthetic: GeneratorSettings | None = None) -> PreparedDataset:
    """Opens a prepared dataset; the synthetic one is made where it is not there yet.

    Args:
        root: The dataset's folder.
        synthetic: What a made-up dataset is made with, or ``None`` for any other.

    Raises:
        AulightError: As :class:`PreparedDataset` does; where avatars cannot be made.
    """
    root = root.expanduser()
    if synthetic is not None and not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        with alone(root, None):  # one of the jobs of a sweep makes it, the others wait
            if not root.exists():
                _make(root, synthetic)
    return PreparedDataset(root)


def _make(root: Path, synthetic: GeneratorSettings) -> None:
    if isinstance(synthetic, AvatarGeneratorSettings):
        from aulight.data.avatars.dataset import generate as generate_avatars

        generate_avatars(root, synthetic.size, synthetic.seed, synthetic.rig)
    else:
        from aulight.data.synthetic.dataset import generate

        generate(root, synthetic.size, synthetic.seed)
