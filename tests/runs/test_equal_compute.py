"""Stage two alone with the frames of both stages; the oracle counts by hand."""

import pytest

from aulight.runs.composed import composed, register_resolvers


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ([], 2600),  # (1200 steps of 8 clips, two views, 16 samples + 200 of 16 clips, 8 samples) / (16 x 8)
        (["experiment=reproduce"], 2600),
        (["experiment=reproduce", "reference=8"], 1400),  # (1200 x 8 x 2 x 16 + 200 x 16 x (8 + 8)) / (16 x (8 + 8))
        (["experiment=smoke"], 100),  # (20 x 4 x 2 x 16 + 20 x 4 x 8) / (4 x 8)
        (["experiment=smoke", "loader.batch_size=8"], 100),
        (["experiment=smoke", "loader={batch_size: 8, chunk: 32}"], 100),
        (["experiment=smoke", "clip.length=9"], 60),  # of both stages: 20 x 2 + 20
        (["experiment=smoke", "steps=21", "steps_per_epoch=7", "clip.length=9"], 21),  # as typed
        (["experiment=objectives", "stage_one=dense", "steps_per_epoch=7"], 2604),  # 2600 in whole epochs
        (["experiment=disfa", "data_dir=/somewhere", "label_fraction=null", "label_count=7"], 50000),  # 10000 x (4 + 1)
    ],
)
def test_equal_steps(settings: list[str], steps: int) -> None:
    register_resolvers()
    with composed("finetune", [*settings, "start=scratch_equal_compute"]) as config:
        assert config.steps == steps
