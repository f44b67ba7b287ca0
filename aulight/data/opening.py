"""Opens a prepared dataset; those that are made up are made where they are not there yet."""

from pathlib import Path

from aulight.data.store import PreparedDataset
from aulight.files import alone
from aulight.settings.data import AvatarGeneratorSettings, GeneratorSettings


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
