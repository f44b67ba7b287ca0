"""A test subject whose video stage one saw is refused, whatever videos, subjects and datasets are called by then."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from aulight.data.video.write import write_video

Command = Callable[..., Any]
Frames = npt.NDArray[np.uint8]

WHO = {"x1": "anna", "day 2/x1": "anna", "x2": "bob", "x3": "cleo", "x4": "dan", "x5": "eve"}
TINY = [
    *("steps=2", "steps_per_epoch=2", "loader.batch_size=2", "loader.workers=0", "threads=1", "progress_s=0"),
    *("trainer.accelerator=cpu", "clip.length=4", "clip.stride=[1,1]", "data=folder"),
    *("model.embedding=8", "model.hidden=8"),
]


class Lab:
    """A folder with raw videos, and the commands on them."""

    def __init__(self, folder: Path, aulight: Command) -> None:
        self.folder, self._aulight = folder, aulight
        self.raw, self.data = folder / "raw", folder / "data"
        self.subjects, self.labels = folder / "subjects.csv", folder / "labels.csv"

    def prepare(self, name: str, *settings: str, known: bool = False, source: Path | None = None) -> None:
        tables = [f"subjects={self.subjects}", f"labels={self.labels}"] if known else []
        plain = [f"data.name={name}", f"data.source={source or self.raw}", f"data_dir={self.data}", "data.faces=none"]
        crop = [] if any(setting.startswith("crop_size=") for setting in settings) else ["crop_size=64"]
        outcome = self._aulight("prepare", *plain, *crop, "workers=1", *tables, *settings)
        assert outcome.status == 0, outcome.err

    def train(self, command: str, data: str, name: str, *settings: str) -> Any:
        where = [f"data_dir={self.data}", f"root={self.folder / command}", f"data.name={data}", f"name={name}"]
        return self._aulight(command, *TINY, *where, *settings)

    def finetune(self, data: str, *settings: str, pretrained: str = "everybody") -> Any:
        name = f"run{len(list((self.folder / 'finetune').glob('*')))}"
        one = self.folder / "pretrain" / pretrained
        return self.train("finetune", data, name, f"pretrained={one}", "label_fraction=1", *settings)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, aulight: Command, coded: Callable[..., Iterator[Frames]]) -> Lab:
    """Videos of which a stage one has seen all, called `everybody`, before anybody was told from another."""
    lab = Lab(tmp_path_factory.mktemp("lab"), aulight)
    for number, name in enumerate(WHO):
        path = lab.raw / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, coded(number, 12), 25)
    pd.DataFrame({"video": list(WHO), "subject": list(WHO.values())}).to_csv(lab.subjects, index=False)
    rows = [(name, frame, (frame + place) % 5) for place, name in enumerate(WHO) for frame in range(0, 12, 2)]
    pd.DataFrame(rows, columns=["video", "frame", "AU12"]).to_csv(lab.labels, index=False)
    lab.prepare("mine")
    outcome = lab.train("pretrain", "mine", "everybody")
    assert outcome.status == 0, outcome.err
    return lab


def _refused(outcome: Any, dataset: str = "") -> None:
    lines = outcome.err.splitlines()
    assert outcome.status == 2, outcome.out + outcome.err
    of = rf"of the test subjects of fold 1 of {dataset or '.*'}; run stage one on the labelled dataset"
    assert re.search(rf"^aulight: pretrained: stage one saw videos of \w+( and 1 more)?, {of}", lines[-1]), outcome.err


def test_subjects_given_after_stage_one(lab: Lab) -> None:
    shutil.copytree(lab.data / "mine", lab.data / "kept")
    lab.prepare("mine", known=True)
    _refused(lab.finetune("mine"), "mine")
    checkpoint = "everybody/checkpoints/last.ckpt"
    _refused(lab.finetune("mine", pretrained=checkpoint), "mine")
    shutil.rmtree(lab.data / "mine")
    (lab.data / "kept").rename(lab.data / "mine")
