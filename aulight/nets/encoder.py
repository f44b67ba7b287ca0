"""The encoder: frames through a backbone to an embedding each, and a causal recurrence over them."""

import torch
from torch import Tensor, nn

from aulight.errors import AulightError
from aulight.nets.backbone import build_backbone, map_norm, vector_norm
from aulight.nets.temporal import build_temporal
from aulight.settings.model import NetworkSettings

_LEAST_SPREAD = 0.1
"""By which a picture is divided that is all but black, or of one grey."""


class Encoder(nn.Module):
    """Clips to features: backbone, embedding, temporal module.

    With `temporal` `gru` or `none` the backbone's map is flattened into one vector a frame (on aligned
    faces the place in the map says which part of the face it is, which a mean over the map would lose);
    with `convgru` it stays a map.

    Args:
        config: What to build.

    Attributes:
        config: The configuration it was built from.
        channels: Channels C of the features.
        map_size: Height and width (h, w) of the features.

    Raises:
        AulightError: The configuration names something unknown.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, config: NetworkSettings) -> None:
        super().__init__()
        self.config = config
        # on the CPU also where the rest is on no device, for its sizes alone: the map has to be measured
        with torch.device("cpu"):
            self.backbone = build_backbone(config.backbone, config.norm, config.small_input)
            height, width = _map_size(self.backbone, config.seen)
            mean, std = torch.tensor(config.mean), torch.tensor(config.std)
            scale, shift = 1 / (255 * std), -mean / std
        self.temporal = build_temporal(config.temporal, config.embedding, config.hidden)
        self._skips = config.skip and config.temporal != "none"
        self.channels = self.temporal.channels + (config.embedding if self._skips else 0)
        inputs = self.backbone.channels
        if config.temporal == "convgru":
            self.map_size = (height, width)
            self.project: nn.Module = nn.Conv2d(inputs, config.embedding, 1, bias=False)
            self.norm = map_norm(config.norm, config.embedding)
        else:
            self.map_size = (1, 1)
            inputs *= height * width
            self.project = nn.Sequential(nn.Flatten(), nn.Linear(inputs, config.embedding, bias=False))
            self.norm = vector_norm(config.norm, config.embedding)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)
        self.lay_out(channels_last=True)

    def lay_out(self, channels_last: bool) -> None:
        """Chooses how pictures and convolutions lie in memory; channels last is the faster way on most devices."""
        self._memory = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self._memory)  # type: ignore[call-overload]

    def normalise(self, clip: Tensor) -> Tensor:
        """Turn pixels `(B, T, H, W, 3)` of 0 to 255 into network input `(B, T, 3, seen, seen)` float32."""
        if margin := self.config.margin:
            clip = clip[:, :, margin:-margin, margin:-margin]
        frames = (clip * self.scale).add_(self.shift)
        if self.config.contrast == "picture":
            spread, mean = torch.std_mean(frames, (2, 3), correction=0, keepdim=True)
            frames = (frames - mean) / spread.clamp(min=_LEAST_SPREAD)
        # Permuted last, so that the frames lie in memory as the channels-last convolutions want them.
        return frames.permute(0, 1, 4, 2, 3)

    def embed(self, clip: Tensor) -> Tensor:
        """Embed each frame alone, before the recurrence.

        Args:
            clip: `(B, T, 3, seen, seen)` float, normalised.

        Returns:
            `(B, T, embedding, h, w)` float32.

        Raises:
            AulightError: The frames are not of the configured size.
        """
        return self.embed_maps(self.maps(clip))

    def maps(self, clip: Tensor) -> Tensor:
        """The first half of `embed`: what the backbone gives, `(B, T, C, h, w)`."""
        (height, width), margins = clip.shape[-2:], 2 * self.config.margin
        if height != self.config.seen or width != self.config.seen:
            raise AulightError(
                f"the encoder was built for frames of {self.config.size}x{self.config.size} pixels but got "
                f"{height + margins}x{width + margins}: read the videos at size {self.config.size}"
            )
        frames = clip.flatten(0, 1).contiguous(memory_format=self._memory)
        maps: Tensor = self.backbone(frames)
        return maps.reshape(*clip.shape[:2], *maps.shape[1:])

    def embed_maps(self, maps: Tensor) -> Tensor:
        """The second half of `embed`: from the backbone's maps to the embeddings."""
        embedding: Tensor = self.norm(self.project(maps.flatten(0, 1)).float())
        return embedding.reshape(*maps.shape[:2], -1, *self.map_size)

    def forward(self, clip: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Encode a clip, or the next piece of one.

        Args:
            clip: `(B, T, 3, seen, seen)` float, normalised.
            state: What the call on the piece before returned; None at the beginning of a video.

        Returns:
            The features `(B, T, channels, h, w)` float32, of which frame t depends on frames up to t, and
            the state after the last frame.

        Raises:
            AulightError: The frames are not of the configured size.
        """
        return self.follow(self.embed(clip), state)

    def follow(self, embedding: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The second half of `forward`: from the embeddings of `embed` to the features and the new state."""
        context, state = self.temporal(embedding, state)
        return torch.cat([context, embedding.float()], 2) if self._skips else context, state


@torch.no_grad()
def _map_size(backbone: nn.Module, size: int) -> tuple[int, int]:
    training = backbone.training
    height, width = backbone.eval()(torch.zeros(1, 3, size, size)).shape[-2:]
    backbone.train(training)
    return height, width
