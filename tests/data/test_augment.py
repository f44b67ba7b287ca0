"""Augmentation: one draw a clip, one a frame, and nothing but the seed decides."""

import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aulight.data.augment import Augmentation
from aulight.errors import AulightError
from aulight.settings.augment import AugmentSettings
from aulight.settings.reading import read

Spec = dict[str, Any]
CONF = Path(__file__).parents[2] / "conf" / "augment"
PRESETS = {path.stem: AugmentSettings(**yaml.safe_load(path.read_text())) for path in CONF.glob("*.yaml")}
JITTER: list[Spec] = [
    {"name": "Affine", "translate_percent": [-0.2, 0.2], "rotate": [-20, 20], "p": 1.0},
    {"name": "RGBShift", "r_shift_limit": 60, "g_shift_limit": 60, "b_shift_limit": 60, "p": 1.0},
    {"name": "GaussNoise", "std_range": [0.1, 0.2], "p": 0.9},
]


def augmentation(clip: list[Spec], frame: list[Spec]) -> Augmentation:
    return Augmentation(AugmentSettings.model_validate({"on": "auto", "clip": clip, "frame": frame}))


def picture(height: int = 32, width: int = 40) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def clip(frames: int = 6) -> npt.NDArray[np.uint8]:
    return np.repeat(picture()[None], frames, axis=0)


def different(frames: npt.NDArray[np.uint8]) -> int:
    return len({frame.tobytes() for frame in frames})


def test_the_clip_level_draws_once_for_all_frames() -> None:
    augment = augmentation(JITTER[:2], [])
    for seed in range(5):
        changed = augment(clip(), (seed,))
        assert different(changed) == 1
        assert (changed != clip()).any()
    assert different(np.concatenate([augment(clip(1), (seed,)) for seed in range(20)])) == 20


def test_the_clip_level_moves_frames_that_differ_alike() -> None:
    dots = np.zeros((8, 33, 33, 3), np.uint8)
    for t in range(8):
        dots[t, 16, 8 + 2 * t] = 255
    moved = augmentation([{"name": "HorizontalFlip", "p": 0.5}], [])
    results = [moved(dots, (seed,)) for seed in range(20)]
    kinds = [np.array_equal(result, dots) for result in results]
    assert 3 < sum(kinds) < 17
    for result, kept in zip(results, kinds, strict=True):
        np.testing.assert_array_equal(result, dots if kept else dots[:, :, ::-1])


def test_the_frame_level_draws_for_every_frame() -> None:
    assert different(augmentation([], JITTER)(clip(), (0,))) == 6
    assert different(augmentation(JITTER, JITTER)(clip(), (0,))) == 6


def test_the_two_levels_draw_independently() -> None:
    shift = [{"name": "RGBShift", "r_shift_limit": 100, "g_shift_limit": 0, "b_shift_limit": 0, "p": 1.0}]
    grey = np.full((1, 8, 8, 3), 128, np.uint8)
    levels = [
        [float(augment(grey, (seed,))[..., 0].mean()) for seed in range(200)]
        for augment in (augmentation(shift, []), augmentation([], shift))
    ]
    assert abs(np.asarray(np.corrcoef(levels))[0, 1]) < 0.25


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_depend_on_the_seed_alone(preset: str) -> None:
    augment = Augmentation(PRESETS[preset])
    first = augment(clip(), (3, 1, 4))
    augment(clip(), (9,))  # what came before does not matter, nor does anything global
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  # the generator under test must not look at this one
    np.testing.assert_array_equal(augment(clip(), (3, 1, 4)), first)
    np.testing.assert_array_equal(Augmentation(PRESETS[preset])(clip(), (3, 1, 4)), first)
    others = [augment(clip(), seed) for seed in ((3, 1, 5), (3, 2, 4), (4, 1, 4))]
    assert all((other != first).any() for other in others) == (preset != "none")


def test_another_process_draws_the_same() -> None:
    script = (
        "import sys, zlib, yaml, numpy as np\n"
        "from aulight.data.augment import Augmentation\n"
        "from aulight.settings.augment import AugmentSettings\n"
        "picture = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)\n"
        "clip = np.repeat(picture[None], 6, axis=0)\n"
        "augment = Augmentation(AugmentSettings(**yaml.safe_load(open(sys.argv[1]))))\n"
        "print(zlib.crc32(augment(clip, (3, 1, 4)).tobytes()))"
    )
    there = subprocess.run(
        [sys.executable, "-c", script, str(CONF / "strong.yaml")], capture_output=True, text=True, check=True
    )
    assert int(there.stdout) == zlib.crc32(Augmentation(PRESETS["strong"])(clip(), (3, 1, 4)).tobytes())


@settings(max_examples=40, deadline=None)
@given(
    preset=st.sampled_from(sorted(PRESETS)),
    shape=st.tuples(st.integers(1, 4), st.integers(8, 40), st.integers(8, 40)),
    seed=st.lists(st.integers(0, 2**62), min_size=1, max_size=4),
)
def test_size_and_type_are_kept_and_the_input_is_not_touched(
    preset: str, shape: tuple[int, int, int], seed: list[int]
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = frames.copy()
    changed = _AUGMENT[preset](frames, seed)
    assert changed.shape == frames.shape
    assert changed.dtype == np.uint8
    np.testing.assert_array_equal(frames, before)
    if preset == "none":
        np.testing.assert_array_equal(changed, frames)


_AUGMENT = {name: Augmentation(levels) for name, levels in PRESETS.items()}


def _clip_level(spec: Spec) -> Augmentation:
    return augmentation([spec], [])


def _frame_level(spec: Spec) -> Augmentation:
    return augmentation([], [{"name": "HorizontalFlip"}, spec])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "Flipp"}, "name=Flipp: albumentations has no such transform"),
        ({"name": "Compose"}, "name=Compose: albumentations has no such transform"),
        ({"name": "__doc__"}, "name=__doc__: albumentations has no such transform"),
        ({"name": "HorizontalFlip", "q": 1}, "(HorizontalFlip): Argument(s) 'q' are not valid"),
        ({"name": "HorizontalFlip", "p": 2.0}, "(HorizontalFlip): 1 validation error"),
        ({"name": "Affine", "rotate": "far"}, "(Affine): "),
    ],
)
@pytest.mark.parametrize(
    ("make", "place"), [(_clip_level, r"augment.clip[0]"), (_frame_level, r"augment.frame[1]")], ids=["clip", "frame"]
)
def test_a_wrong_transform_is_named_in_one_line(
    make: Callable[[Spec], Augmentation], place: str, spec: Spec, message: str
) -> None:
    with pytest.raises(AulightError) as caught:
        make(spec)
    assert str(caught.value).startswith(place)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("level", ["clip", "frame"])
def test_a_transform_without_a_name_is_refused(level: str) -> None:
    with pytest.raises(AulightError, match=rf"^augment\.{level}\S*name: is missing"):
        read(AugmentSettings, {"on": "auto", "clip": [], "frame": []} | {level: [{"p": 1.0}]}, "augment")


@pytest.mark.parametrize("make", [_clip_level, _frame_level])
@pytest.mark.parametrize(
    "spec", [{"name": "Normalize"}, {"name": "CenterCrop", "height": 8, "width": 8}, {"name": "ToFloat"}]
)
def test_a_transform_that_changes_size_or_type_is_refused(make: Callable[[Spec], Augmentation], spec: Spec) -> None:
    with pytest.raises(AulightError, match="use transforms that keep size and type"):
        make({"p": 1.0, **spec})(clip(), (0,))
