"""Applies what augmentation drew: on a CPU with OpenCV, or to a whole batch where the network is with torch.

Both do the same, within a grey level here and there where they round another way.
"""

import functools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from aulight.data.draws import SEEDS, STEP, Drawn, Draws, noise_field

Frames = npt.NDArray[np.uint8]

TOGETHER = 256
"""Frames that a device changes at a time: enough to keep it busy, with some 200 MB at 112 pixels."""

GREY = (0.299, 0.587, 0.114)
"""What red, green and blue add to the light of a pixel, as OpenCV has it."""


def on_cpu(frames: Frames, draws: Draws) -> Frames:
    """A changed copy of a clip.

    Args:
        frames: ``(T, H, W, 3)`` uint8.
        draws: Of its T frames.

    Returns:
        ``(T, H, W, 3)`` uint8.
    """
    import cv2

    count, height, width, _ = frames.shape
    fields = noise_field(frames[0].size) if "noise" in draws else None
    changed = np.empty_like(frames)
    if "where" in draws:  # of four channels, which OpenCV warps in half the time
        tall = cv2.cvtColor(frames.reshape(count * height, width, 3), cv2.COLOR_RGB2RGBA)
        four = tall.reshape(count, height, width, 4)
    tables = np.ascontiguousarray(draws["table"].transpose(0, 2, 1))[:, None] if "table" in draws else None
    for t, frame in enumerate(frames):
        if "where" in draws:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            moved = cv2.warpAffine(
                four[t], draws["where"][t], (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            frame = cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB)
        if tables is not None:
            frame = cv2.LUT(frame, tables[t])
        if "grey" in draws and draws["grey"][t]:
            frame = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if fields is not None and draws["noise"][t, 1]:
            first = STEP * int(draws["noise"][t, 0])
            noise = fields[first : first + frame.size] * draws["noise"][t, 1]
            # in whole grey levels, cut towards 0, as albumentations has it
            frame = cv2.add(frame, noise.astype(np.int16).reshape(frame.shape), dtype=cv2.CV_8U)
        changed[t] = frame
    return changed


def on_device(clips: Tensor, draws: Mapping[Drawn, Tensor]) -> Tensor:
    """Changed copies of the clips of a batch, on the device that they are on.

    Args:
        clips: ``(B, 1, T, H, W, 3)`` uint8, which all views are made of.
        draws: :class:`Draws` of all of them as tensors, with ``(B, V, T)`` in front.

    Returns:
        ``(B, V, T, H, W, 3)`` uint8.
    """
    batch, views, length = next(iter(draws.values())).shape[:3]
    frames = clips.expand(-1, views, -1, -1, -1, -1).flatten(0, 2)
    flat = {name: drawn.flatten(0, 2) for name, drawn in draws.items()}
    pieces = [
        _changed(frames[first : first + TOGETHER], {name: of[first : first + TOGETHER] for name, of in flat.items()})
        for first in range(0, len(frames), TOGETHER)
    ]
    return torch.cat(pieces).view(batch, views, length, *frames.shape[1:])


def _changed(frames: Tensor, draws: Mapping[Drawn, Tensor]) -> Tensor:
    """``(N, H, W, 3)`` uint8 to the same."""
    count, height, width, _ = frames.shape
    planes = frames.permute(0, 3, 1, 2).float()
    if "where" in draws:
        planes = _warped(planes, draws["where"]).round_()
    if "table" in draws:
        levels = planes.flatten(2).long()
        planes = draws["table"].gather(2, levels).view_as(planes).float()
    if "grey" in draws:
        red, green, blue = (planes[:, channel : channel + 1] for channel in range(3))
        light = (GREY[0] * red + GREY[1] * green + GREY[2] * blue).round_()
        planes = torch.where(draws["grey"][:, None, None, None], light, planes)
    if "noise" in draws:
        field, spread = draws["noise"].unbind(1)
        noise = _fields(height * width * 3, planes.device)[field.long()].view(count, height, width, 3)
        planes = planes + (spread[:, None, None, None] * noise.permute(0, 3, 1, 2)).trunc_()
    return planes.round().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _warped(planes: Tensor, where: Tensor) -> Tensor:
    """Bilinear, continued beyond the edges; torch counts places from -1 to 1 between the middles of outer pixels."""
    height, width = planes.shape[2:]
    x = torch.arange(width, device=planes.device)[None, None, :, None]
    y = torch.arange(height, device=planes.device)[None, :, None, None]
    along, down, shift = where[:, None, None].unbind(4)
    half = where.new_tensor([width - 1, height - 1]) / 2
    grid = (along * x + down * y + shift) / half - 1  # not as a matrix product, which a GPU may round to 10 bits
    return grid_sample(planes, grid, "bilinear", "border", align_corners=True)


@functools.cache
def _fields(size: int, device: torch.device) -> Tensor:
    """``(SEEDS + 1, size)``, all noise fields: views of one row on the device."""
    row = torch.from_numpy(noise_field(size)).to(device)
    assert len(row) == SEEDS * STEP + size
    return row.unfold(0, size, STEP)
