"""Stage one's objectives by their settings: peers over the same encoder."""

from aulight.protocol import TrainedOn
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import ByolSettings, ContrastiveSettings, ObjectiveSettings, VicregSettings
from aulight.settings.training import OptimSettings
from aulight.training.byol import Byol
from aulight.training.contrastive import Contrastive
from aulight.training.masked import Masked
from aulight.training.pretraining import Pretraining
from aulight.training.vicreg import Vicreg


def built(
    encoder: NetworkSettings,
    objective: ObjectiveSettings,
    optim: OptimSettings,
    trained_on: TrainedOn | None = None,
    strangers: bool = False,
) -> Pretraining:
    """The module that is asked for.

    Args:
        encoder: As of :class:`Pretraining`, as the next ones.
        objective: Likewise; its class tells which.
        optim: Likewise.
        trained_on: Likewise.
        strangers: See :class:`Contrastive`.
    """
    if isinstance(objective, ContrastiveSettings):
        return Contrastive(encoder, objective, optim, trained_on, strangers)
    if isinstance(objective, VicregSettings):
        return Vicreg(encoder, objective, optim, trained_on)
    if isinstance(objective, ByolSettings):
        return Byol(encoder, objective, optim, trained_on)
    return Masked(encoder, objective, optim, trained_on)
