"""Commands on a dataset at an URL: training gives what it gives on the folder; those that write refuse it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from aulight.data.store import PreparedDataset
from tests.conftest import Command
from tests.data.remote.test_opening import URL, upload


def weights(run: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return found


@pytest.mark.slow
def test_weights_are_those_of_the_folder(aulight: Command, data: PreparedDataset, bucket: Any, tmp_path: Path) -> None:
    upload(bucket, data.root)
    small = [
        "data=folder", "data.name=coded", "data.protocol.name=own", "model.size=32", "steps=4", "steps_per_epoch=2",
        "clip.length=4", "clip.stride=[1,2]", "loader.batch_size=4", "trainer=cpu", "threads=1", "probe=null",
        f"runs={tmp_path}",
    ]  # fmt: skip
    local = aulight("pretrain", *small, "name=local", f"data.root={data.root}", "loader.workers=0")
    assert local.status == 0, local.err
    remote = [*small, "name=remote", f"data.root={URL}", "loader.workers=2", f"data.cache={tmp_path}/cache"]
    done = aulight("pretrain", *remote, "data.cache_gb=0.0001")
    assert done.status == 0, done.err
    one, other = weights(tmp_path / "pretrain" / "local"), weights(tmp_path / "pretrain" / "remote")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    again = aulight("pretrain", *remote, f"data.cache={tmp_path}/other")  # neither cache nor bound is of the run
    assert "already done" in again.out


@pytest.mark.parametrize(
    "command",
    [["prepare", "data.source=videos"], ["sample", "output=drawn"], ["label", "label_count=3"]],
    ids=lambda words: words[0],
)
def test_commands_that_write_want_a_folder(aulight: Command, tmp_path: Path, command: list[str]) -> None:
    told = aulight(*command, "data=folder", "data.name=mine", f"data.root={URL}", f"data_dir={tmp_path}")
    assert told.status == 2
    assert told.err == (
        f"aulight: data.root={URL}: a folder is needed: at an URL a dataset is read by pretrain and finetune alone\n"
    )


def test_what_is_made_up_wants_a_folder(aulight: Command) -> None:
    told = aulight("pretrain", "data=synthetic", f"data.root={URL}")
    assert told.err == f"aulight: data.root={URL}: a folder is needed; for a dataset at an URL add data=folder\n"


def test_no_dataset_there_is_told_before_a_run_is_made(aulight: Command, bucket: Any, tmp_path: Path) -> None:
    told = aulight(
        "pretrain", "data=folder", "data.name=mine", f"data.root={URL}", f"runs={tmp_path}/runs",
        f"data.cache={tmp_path}/cache",
    )  # fmt: skip
    assert told.status == 2
    assert told.err == f"aulight: {URL}: no prepared dataset there (dataset.yaml is missing); look at data.root=\n"
    assert not (tmp_path / "runs").exists()
