"""What is drawn and composed is what albumentations draws and does, one transform after another, and so on a device."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
import yaml

from aulight.data.augment import Augmentation
from aulight.data.composed import on_device
from aulight.data.draws import SEEDS, STEP, noise_field
from aulight.errors import AulightError
from aulight.settings.augment import AugmentSettings

Spec = dict[str, Any]
Frames = npt.NDArray[np.uint8]

CONF = Path(__file__).parents[2] / "conf" / "augment"
PRESETS: dict[str, dict[str, Any]] = {path.stem: yaml.safe_load(path.read_text()) for path in CONF.glob("*.yaml")}
SINGLE = {
    f"{preset}.{level}[{place}] {spec['name']}": {"on": "auto", "clip": [], "frame": [], level: [spec]}
    for preset, lists in PRESETS.items()
    for level in ("clip", "frame")
    for place, spec in enumerate(lists[level])
}
NOISE: Spec = PRESETS["strong"]["frame"][-1]
OTHERS: dict[str, list[Spec]] = {
    "upside down": [{"name": "VerticalFlip", "p": 0.6}],
    "pixels, sheared": [{"name": "Affine", "translate_px": [-9, 5], "shear": [-9, 12], "border_mode": 1, "p": 0.7}],
    "unlike along and down": [{
        "name": "Affine", "scale": {"x": [0.8, 0.9], "y": [1.1, 1.3]}, "rotate": [10, 30], "p": 1, "border_mode": 1,
        "translate_percent": {"x": [0.1, 0.2], "y": [-0.3, -0.2]},
    }],
    "light, tint, light": [
        {"name": "RandomBrightnessContrast", "p": 0.9},
        {"name": "RGBShift", "r_shift_limit": 40, "p": 0.5},
        {"name": "RandomBrightnessContrast", "brightness_limit": [-0.4, 0.1], "p": 1},
    ],
    "never": [{"name": "RGBShift", "p": 0.0}, {"name": "ToGray", "p": 0.0}],
}  # fmt: skip


def settings(lists: dict[str, Any], on: str = "auto") -> AugmentSettings:
    return AugmentSettings.model_validate({**lists, "on": on})


def chained(lists: dict[str, Any], frames: Frames, seed: Sequence[int]) -> Frames:
    """By albumentations alone: a Compose a level, seeded as a clip's are."""
    import albumentations

    made = [
        albumentations.Compose(
            [getattr(albumentations, spec["name"])(**{k: v for k, v in spec.items() if k != "name"}) for spec in specs],
            seed=0,
        )
        for specs in copy.deepcopy([lists["clip"], lists["frame"]])
    ]
    for level, state in zip(made, np.random.SeedSequence(seed).generate_state(2), strict=True):
        level.set_random_seed(int(state))
    changed = made[0](images=frames)["images"] if lists["clip"] else frames
    return np.stack([made[1](image=frame)["image"] for frame in changed])


def on_torch(augment: Augmentation, frames: Frames, seeds: Sequence[Sequence[int]]) -> npt.NDArray[np.uint8]:
    """Views of one clip ``(V, T, H, W, 3)`` by the batched implementation."""
    drawn = [augment.draw(frames.shape, seed) for seed in seeds]
    stacked = {name: torch.from_numpy(np.stack([of[name] for of in drawn]))[None] for name in drawn[0]}  # type: ignore[literal-required]
    changed: npt.NDArray[np.uint8] = on_device(torch.from_numpy(frames)[None, None], stacked)[0].numpy()  # type: ignore[arg-type]
    return changed


def pictures(height: int = 48, width: int = 64, frames: int = 9) -> Frames:
    """Smooth as faces are, with very dark and very light places."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(-40, 296, (frames, height // 8, width // 8, 3)).clip(0, 255).astype(np.uint8)
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in coarse])


def off(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Grey levels between them, on average."""
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize("lists", SINGLE.values(), ids=SINGLE)
def test_a_transform_does_what_albumentations_does(lists: dict[str, Any]) -> None:
    augment, frames = Augmentation(settings(lists)), pictures()
    assert augment.unknown is None
    limit = 2.0 if NOISE in lists["frame"] else 0.05  # another noise of the same strength, which is tested by itself
    apart = []
    for seed in range(20):
        here = augment(frames, (seed, 5))
        apart.append(off(here, chained(lists, frames, (seed, 5))))
        assert off(here, on_torch(augment, frames, [(seed, 5)])[0]) < 0.05
    assert np.mean(apart) < limit


@pytest.mark.parametrize("preset", PRESETS)
def test_a_list_does_what_albumentations_does(preset: str) -> None:
    lists, frames = PRESETS[preset], pictures()
    augment = Augmentation(settings(lists))
    assert augment.unknown is None
    seeds = [(seed, 5) for seed in range(20)]
    here = np.stack([augment(frames, seed) for seed in seeds])
    there = np.stack([chained(lists, frames, seed) for seed in seeds])
    assert off(here, there) < 2.0
    if preset == "none":
        assert augment.empty
        np.testing.assert_array_equal(here, there)
    else:
        assert off(here, np.broadcast_to(frames, here.shape)) > 8
        assert off(here, on_torch(augment, frames, seeds)) < 0.05
    quiet = {**lists, "frame": [spec for spec in lists["frame"] if spec != NOISE]}
    still = Augmentation(settings(quiet))
    apart = [off(still(frames, seed), chained(quiet, frames, seed)) for seed in seeds]
    assert np.mean(apart) < 0.7  # clip-level light after the warp in place of before it
    assert max(apart) < 2.0


@pytest.mark.parametrize("specs", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("level", ["clip", "frame"])
def test_other_arguments_are_known_too(specs: list[Spec], level: str) -> None:
    lists: dict[str, Any] = {"clip": [], "frame": []} | {level: specs}
    augment, frames = Augmentation(settings(lists)), pictures()
    assert augment.unknown is None
    for seed in range(8):
        here = augment(frames, (seed,))
        assert off(here, chained(lists, frames, (seed,))) < 0.05
        assert off(here, on_torch(augment, frames, [(seed,)])[0]) < 0.05


def test_noise_is_as_strong_as_that_of_albumentations_and_as_rough() -> None:
    lists = {
        "clip": [],
        "frame": [{**NOISE, "p": 1.0, "noise_params": {"mean_range": [0, 0], "std_range": [0.02, 0.1]}}],
    }
    augment, grey = Augmentation(settings(lists)), np.full((6, 64, 64, 3), 128, np.uint8)
    ours = np.concatenate([augment(grey, (seed,)) for seed in range(20)]).astype(float) - 128
    theirs = np.concatenate([chained(lists, grey, (seed,)) for seed in range(20)]).astype(float) - 128
    spread = theirs.std((1, 2, 3))
    assert np.ptp(spread) > 10
    np.testing.assert_allclose(ours.std((1, 2, 3)), spread, rtol=0.05)  # drawn alike, frame by frame
    np.testing.assert_allclose(ours.mean((1, 2, 3)) / spread, 0, atol=0.05)
    level = ours / ours.std((1, 2, 3), keepdims=True)
    down, along, channels = (
        level[:, 1:] * level[:, :-1],
        level[:, :, 1:] * level[:, :, :-1],
        level[..., 1:] * level[..., :-1],
    )
    for neighbour in (down, along, channels):
        assert abs(neighbour.mean()) < 0.01  # no pixel or channel knows of the next
    assert len({frame.tobytes() for frame in ours}) == len(ours)
    assert abs(np.corrcoef(level[:60].reshape(60, -1)) - np.eye(60)).max() < 0.06


def test_there_are_as_many_noise_fields_as_seeds() -> None:
    row = noise_field(100)
    assert len(row) == SEEDS * STEP + 100
    assert abs(row.mean()) < 0.005
    assert abs(row.std() - 1) < 0.005


@pytest.mark.parametrize(
    ("specs", "unknown"),
    [
        ([{"name": "GaussNoise"}], 0),
        ([{"name": "HorizontalFlip"}, {"name": "Blur"}], 1),
        ([{"name": "Affine", "rotate": [1, 2]}], 0),  # fills with black
        ([{"name": "Affine", "border_mode": 1}, {"name": "Affine", "border_mode": 1}], 1),
        ([{"name": "ToGray"}, {"name": "RGBShift"}], 1),
        ([NOISE, {"name": "HorizontalFlip"}], 1),
        ([NOISE, NOISE], 1),
        ([{"name": "ToGray", "method": "max"}], 0),
        ([{"name": "RandomBrightnessContrast", "brightness_by_max": False}], 0),
    ],
)
def test_what_cannot_be_composed_is_left_to_albumentations(
    specs: list[Spec], unknown: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lists, frames = {"clip": [], "frame": specs}, pictures()
    augment = Augmentation(settings(lists))
    np.testing.assert_array_equal(augment(frames, (3,)), chained(lists, frames, (3,)))
    assert not augment.on_device(gpu=False)
    assert capsys.readouterr().err == ""
    assert not augment.on_device(gpu=True)
    place = f"augment.frame[{unknown}] ({specs[unknown]['name']})"
    assert f"augment.on=auto: the loader applies all of augment; no device applies {place}" in capsys.readouterr().err
    with pytest.raises(AulightError) as caught:
        Augmentation(settings(lists, on="device"))
    assert str(caught.value).startswith(f"augment.on=device: no device applies {place}")


@pytest.mark.parametrize(
    ("on", "cpu", "gpu"), [("auto", False, True), ("loader", False, False), ("device", True, True)]
)
def test_a_gpu_changes_frames_by_itself(on: str, cpu: bool, gpu: bool) -> None:
    augment = Augmentation(settings(PRESETS["strong"], on))
    assert (augment.on_device(gpu=False), augment.on_device(gpu=True)) == (cpu, gpu)
    assert not Augmentation(settings(PRESETS["none"], on)).on_device(gpu=True)
