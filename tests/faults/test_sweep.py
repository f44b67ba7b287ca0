"""A whole sweep struck down, and called again: its runs end as those of an undisturbed one."""

import random
import shutil
import signal
from pathlib import Path

import pytest

from tests.faults.trials import Server, Tally, copied, difference, snapshot, some

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("sweep")]

SWEEP = [
    "pretrain", "-m", "data_dir=data", "data.size=smoke", "runs=runs", "name='seed${seed}'", "seed=0,1", "steps=6",
    "steps_per_epoch=2", "loader.batch_size=3", "loader.workers=0", "threads=1", "progress_s=0",
    "trainer.accelerator=cpu", "clip.length=6", "hydra/launcher=cores", "hydra.launcher.n_jobs=2",
]  # fmt: skip
STRIKES = [(signal.SIGKILL, True), (signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGINT, True)] * 3


def test_sweep_is_struck_and_called_again(
    server: Server, smoke_data: Path, tmp_path_factory: pytest.TempPathFactory, tally: Tally
) -> None:
    place = tmp_path_factory.mktemp("sweep")
    before, work = place / "before", place / "work"
    shutil.copytree(smoke_data, before / "data" / smoke_data.name)
    copied(before, work)
    alone = server.run(work, SWEEP)
    assert alone.status == 0, alone.printed
    expected = snapshot(work)
    assert {"runs/pretrain/seed0/checkpoints/last.ckpt", "runs/pretrain/seed1/checkpoints/last.ckpt"} <= {*expected}

    draw = random.Random("sweep")
    for do, group in some(STRIKES):
        copied(before, work)
        moment = (0.2 + 0.8 * draw.random()) * alone.seconds  # its jobs are at work after the first fifth
        struck = server.run(work, SWEEP, seconds=moment, do=do, group=group)
        again = server.run(work, SWEEP)
        wrong = "left processes " if struck.orphans else ""
        wrong += f"status {again.status}: {again.printed[-400:]}" if again.status else ""
        wrong += difference(snapshot(work), expected)
        tally.add("sweep", f"{do.name} to {'all' if group else 'it'}", wrong and f"after {moment:.1f} s: {wrong}")
    assert not tally.losses, "\n".join(tally.losses)
