"""A slow copy of an encoder, whose vectors are what the encoder is to find."""

import copy
import math

import torch
from torch import Tensor, nn

from aulight.nets.encoder import Encoder
from aulight.nets.heads import Projector
from aulight.training.pretraining import places


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
