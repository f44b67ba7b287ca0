"""A slow copy of an encoder, whose vectors are what the encoder is to find."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from aulight.nets.encoder import Encoder
from aulight.nets.heads import Projector
from aulight.training.pretraining import Pretraining, centred, places


class Teacher(nn.Module):
    """A running mean of an encoder and its projector (mean teacher: Tarvainen & Valpola, 2017).

    It is never trained, and starts as they are.

    Args:
        encoder: The encoder.
        projector: Of its embeddings.
        momentum: The share of itself that it keeps in the first step; it rises to 1 at the end along a cosine.
    """

    def __init__(self, encoder: Encoder, projector: Projector, momentum: float) -> None:
        super().__init__()
        self.encoder, self.projector = copy.deepcopy(encoder), copy.deepcopy(projector)
        self.encoder.temporal = nn.Identity()  # type: ignore[assignment]  # each frame is looked at alone
        self.momentum = momentum
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """Vectors ``(B, T, places, D)`` of frames as :meth:`Encoder.embed` takes them."""
        vectors: Tensor = self.projector(places(self.encoder.embed(pixels)))
        return vectors

    @torch.no_grad()
    def follow(self, encoder: Encoder, projector: Projector, done: float) -> None:
        """Moves towards what it is a mean of.

        Args:
            encoder: As it is now.
            projector: Likewise.
            done: Share of the training that is over.
        """
        keep = 1 - (1 - self.momentum) * (math.cos(math.pi * min(done, 1.0)) + 1) / 2
        theirs = {f"encoder.{name}": value for name, value in encoder.named_parameters()}
        theirs |= {f"projector.{name}": value for name, value in projector.named_parameters()}
        for name, mine in self.named_parameters():
            mine.lerp_(theirs[name].to(mine.dtype), 1 - keep)


class Taught(Pretraining):
    """An encoder that learns from its own slow copy; arguments as of :class:`Pretraining`.

    Attributes:
        projector: Of the encoder's embeddings.
        teacher: Of both.
    """

    projector: Projector
    teacher: Teacher

    def on_before_zero_grad(self, optimizer: Optimizer) -> None:
        """The teacher follows, before each step."""
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        self.teacher.follow(self.encoder, self.projector, self.global_step / steps)


def apart(mine: Tensor, theirs: Tensor, within: bool) -> Tensor:
    """Squared distances ``(B, T, places)`` of vectors ``(B, T, places, D)`` that are brought to length 1.

    Args:
        mine: What was found.
        theirs: What was to be found.
        within: Whether they count without their clip's mean.
    """
    if within:
        mine, theirs = centred(mine), centred(theirs)
    return 2 - 2 * F.cosine_similarity(mine, theirs, dim=-1)
