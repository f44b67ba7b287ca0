"""``aulight dashboard``: the workspace on Weights & Biases in which to watch runs."""

from aulight.settings.dashboard import DashboardSettings
from aulight.training.dashboard import save


def dashboard(settings: DashboardSettings) -> None:
    """Saves the workspace to the project on W&B, and prints where it is.

    Raises:
        AulightError: Without the package, a key or an answer, or when W&B refuses.
    """
    print(f"workspace {settings.name}: {save(settings)}")
