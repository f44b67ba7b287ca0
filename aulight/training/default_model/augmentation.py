"""Change by chance, drawn for a whole batch at once by torch, which costs a fraction of what libraries take.

What rendered faces have too little of, or too alike: place, light, colour, blur, noise, compression, and things that
come before a face.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate


def augment(pictures: Tensor, seen: int) -> tuple[Tensor, Tensor, Tensor]:
    """Changed copies of crops, each in its own way.

    Args:
        pictures: ``(B, S, S, 3)`` uint8 RGB.
        seen: Height and width of the middle of the crops that comes back.

    Returns:
        ``(B, 3, seen, seen)`` float32 of 0 to 1; ``(B, 2, 3)`` float32, the map of homogeneous places on the changed
        picture to places on the crop, both from -1 to 1 over the whole crop or what is seen of it; and ``(B,)`` bool,
        which are mirrored.
    """
    count, side = len(pictures), pictures.shape[1]
    frames = pictures.permute(0, 3, 1, 2).float() / 255
    mirrored = torch.rand(count) < 0.5
    where = _places(count, seen / side, mirrored)
    frames = grid_sample(frames, affine_grid(where, [count, 3, seen, seen], False), "bilinear", "reflection", False)
    frames = _covered(frames)
    frames = _coarse(_lit(frames))
    return _compressed(_noisy(frames)).clamp(0, 1), where, mirrored


def _normal(count: int, spread: float) -> Tensor:
    return spread * torch.randn(count)


def _places(count: int, share: float, mirrored: Tensor) -> Tensor:
    """Turned, larger or smaller, shifted, mirrored."""
    angle, size = _normal(count, math.radians(6)), share * torch.exp(_normal(count, 0.07))
    cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
    sign = 1 - 2 * mirrored.float()
    rows = (
        torch.stack([cos * sign, -sin, _normal(count, 0.045)], 1),
        torch.stack([sin * sign, cos, _normal(count, 0.045)], 1),
    )
    return torch.stack(rows, 1)


def _lit(frames: Tensor) -> Tensor:
    """Another light, another camera: colours, gamma, a light from one side, grey."""
    count, _, height, width = frames.shape
    down = torch.linspace(-1, 1, height)[:, None]
    along = torch.linspace(-1, 1, width)[None]
    slope_x, slope_y = _normal(count, 0.25)[:, None, None, None], _normal(count, 0.15)[:, None, None, None]
    gain = torch.exp(torch.randn(count, 3, 1, 1) * 0.08 + torch.randn(count, 1, 1, 1) * 0.22)
    frames = frames * (gain * (1 + slope_x * along + slope_y * down).clamp(min=0.15))
    frames = frames.clamp(1e-3, 1.15)
    some = (torch.rand(count) < 0.5).nonzero()[:, 0]
    frames[some] **= torch.exp(_normal(len(some), 0.35))[:, None, None, None]
    grey = frames.mean(1, keepdim=True)
    faded = torch.where(torch.rand(count) < 0.3, torch.ones(count), 0.3 * torch.rand(count))[:, None, None, None]
    return torch.lerp(frames, grey, faded)


def _coarse(frames: Tensor) -> Tensor:
    """Some of low resolution, some out of focus or moved."""
    count, _, height, width = frames.shape
    chance = torch.rand(count)
    some = (chance < 0.3).nonzero()[:, 0]
    if len(some):
        side = int(torch.randint(26, height - 8, ()))
        small = interpolate(frames[some], size=(side, side), mode="area")
        frames[some] = interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
    some = ((chance > 0.3) & (chance < 0.5)).nonzero()[:, 0]
    if len(some):
        reach = [(3, 3), (5, 1), (1, 5), (3, 1), (5, 5)][int(torch.randint(5, ()))]
        frames[some] = avg_pool2d(frames[some], reach, 1, (reach[0] // 2, reach[1] // 2), count_include_pad=False)
    return frames


def _covered(frames: Tensor) -> Tensor:
    """Some with something before the face: of one colour, of skin, or a piece of another picture."""
    count, _, height, width = frames.shape
    some = (torch.rand(count) < 0.25).nonzero()[:, 0]
    if not len(some):
        return frames
    n = len(some)
    down, along = torch.linspace(-1, 1, height)[None, :, None], torch.linspace(-1, 1, width)[None, None]
    mask = torch.zeros(n, height, width, dtype=torch.bool)
    middle, lean = torch.rand(n, 2, 1, 1) * 2.4 - 1.2, torch.rand(n, 1, 1) * math.pi
    for finger in range(3):  # one, or some beside each other
        there = (torch.rand(n, 1, 1) < 0.5) | torch.tensor(finger == 0)
        x, y = (
            along - middle[:, 0] - 0.2 * finger * torch.sin(lean),
            down - middle[:, 1] + 0.2 * finger * torch.cos(lean),
        )
        u, v = x * torch.cos(lean) + y * torch.sin(lean), -x * torch.sin(lean) + y * torch.cos(lean)
        long, wide = 0.25 + 0.6 * torch.rand(n, 1, 1), 0.06 + 0.25 * torch.rand(n, 1, 1) ** 2
        mask |= there & ((u / long).abs() ** 3 + (v / wide).abs() ** 3 < 1)
    chance = torch.rand(n, 1, 1, 1)
    skin = frames[some, :, height // 3 : 2 * height // 3, width // 3 : 2 * width // 3].mean((2, 3))[..., None, None]
    skin = skin * (1 + 0.15 * torch.randn(n, 1, 1, 1)) * (1 + 0.2 * along[:, None] * torch.randn(n, 1, 1, 1))
    flat = torch.rand(n, 3, 1, 1).expand(n, 3, height, width)
    other = frames[some].roll((1, height // 3, width // 4), (0, 2, 3))
    fill = torch.where(chance < 0.4, skin, torch.where(chance < 0.7, flat, other))
    frames[some] = torch.where(mask[:, None], fill, frames[some])
    return frames


def _noisy(frames: Tensor) -> Tensor:
    """Some with the noise of a camera."""
    some = (torch.rand(len(frames)) < 0.5).nonzero()[:, 0]
    noise = torch.randn_like(frames[some])
    frames[some] += noise * (0.04 * torch.randn(len(some), 1, 1, 1)).abs()
    return frames


def _compressed(frames: Tensor) -> Tensor:
    """Some as a strong compression leaves them: blocks of 8 pixels, of whose waves small ones are lost."""
    count, _, height, width = frames.shape
    some = (torch.rand(count) < 0.2).nonzero()[:, 0]
    if not len(some) or height % 8 or width % 8:
        return frames
    k = torch.arange(8.0)
    waves = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) * math.sqrt(2 / 8)
    waves[0] /= math.sqrt(2)
    blocks = frames[some].reshape(len(some), 3, height // 8, 8, width // 8, 8).transpose(3, 4)
    spectrum = waves @ blocks @ waves.T
    step = (0.02 + 0.12 * torch.rand(len(some), 1, 1, 1, 1, 1)) * (0.4 + (k[:, None] + k[None]) / 8)
    blocks = waves.T @ ((spectrum / step).round() * step) @ waves
    frames[some] = blocks.transpose(3, 4).reshape(len(some), 3, height, width)
    return frames
