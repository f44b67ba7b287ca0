"""Opens a prepared dataset; the synthetic one is made where it is not there yet."""

from pathlib import Path

from aulight.data.store import PreparedDataset
from aulight.files import alone
from aulight.settings.data import GeneratorSettings


def open_data(root: Path, synthetic: GeneratorSettings | None = None) -> PreparedDataset:
    """Opens a prepared dataset; the synthetic one is made where it is not there yet.

    Args:
        root: The dataset's folder.
        synthetic: What the synthetic dataset is made with, or ``None`` for any other.

    Raises:
        AulightError: As :class:`PreparedDataset` does.
    """
    root = root.expanduser()
    if synthetic is not None and not root.exists():
        from aulight.data.synthetic.dataset import generate

        root.parent.mkdir(parents=True, exist_ok=True)
        with alone(root, None):  # one of the jobs of a sweep makes it, the others wait
            if not root.exists():
                generate(root, synthetic.size, synthetic.seed)
    return PreparedDataset(root)
