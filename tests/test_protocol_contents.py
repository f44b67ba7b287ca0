"""A test subject whose video stage one saw is refused, whatever videos, subjects and datasets are called by then."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
import yaml

from aulight.data.marks import MARK
from aulight.data.noted import NOTED
from aulight.data.video.write import write_video
from aulight.files import write_table
from aulight.foreign.yaml import write_yaml
from tests.data.formats import as_format_1

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
        write_video(path, coded(number, 12, 96), 25)
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


def _remuxed(raw: Path, folder: Path, suffix: str) -> Path:
    """The same pictures, in files of another kind and name."""
    for number, path in enumerate(sorted(raw.rglob("*.mp4"))):
        (folder / path.stem).mkdir(parents=True, exist_ok=True)
        with av.open(str(path)) as old, av.open(str(folder / path.stem / f"{number}{suffix}"), "w") as new:
            stream = new.add_stream_from_template(old.streams.video[0])
            for packet in old.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    new.mux(packet)
    return folder


def _tables_for(lab: Lab, names: dict[str, str], into: Path) -> list[str]:
    """Settings with the tables of the lab, of videos that are called otherwise: old name to new."""
    into.mkdir(parents=True, exist_ok=True)
    for table in (lab.subjects, lab.labels):
        rows = pd.read_csv(table)
        rows.assign(video=rows["video"].map(names)).to_csv(into / table.name, index=False)
    return [f"subjects={into / lab.subjects.name}", f"labels={into / lab.labels.name}"]


def test_the_same_folder_under_a_second_name(lab: Lab) -> None:
    lab.prepare("mine-v2", known=True)
    _refused(lab.finetune("mine-v2"), "mine-v2, in mine")


def test_the_same_folder_in_another_size(lab: Lab) -> None:
    lab.prepare("large", "crop_size=96", known=True)
    _refused(lab.finetune("large"), "large, in mine")


@pytest.mark.parametrize("suffix", [".mkv"])
def test_the_same_videos_in_other_containers_under_other_names(lab: Lab, suffix: str, tmp_path: Path) -> None:
    source = _remuxed(lab.raw, tmp_path / "raw", suffix)
    names = {
        path.relative_to(lab.raw).with_suffix("").as_posix(): f"{path.stem}/{number}"
        for number, path in enumerate(sorted(lab.raw.rglob("*.mp4")))
    }
    name = f"packed{suffix[1:]}"
    lab.prepare(name, "crop_size=80", *_tables_for(lab, names, tmp_path), source=source)
    _refused(lab.finetune(name), f"{name}, in mine")


def test_the_prepared_faces_as_raw_videos(lab: Lab, tmp_path: Path) -> None:
    """They are marked, and so left out; those that an earlier aulight made are known by their content."""
    lab.prepare("unmarked")
    as_format_1(lab.data / "unmarked")
    for path in (lab.data / "unmarked" / "videos").iterdir():
        path.write_bytes(path.read_bytes().replace(MARK.encode(), b"?" * len(MARK)))
    _forget(lab.data / "unmarked")
    assert lab.train("pretrain", "unmarked", "of_unmarked").status == 0
    source = shutil.copytree(lab.data / "unmarked" / "videos", tmp_path / "raw")
    names = {name: name.replace("/", "__").replace(" ", "_") for name in WHO}
    lab.prepare("crops", *_tables_for(lab, names, tmp_path), source=source)
    _refused(lab.finetune("crops", pretrained="of_unmarked"), "crops, in unmarked")


def _forget(store: Path) -> None:
    """Makes a dataset what an earlier aulight would have made."""
    videos = pd.read_parquet(store / "videos.parquet")
    write_table(videos.drop(columns=[name for name in NOTED if name in videos]), store / "videos.parquet")


@pytest.mark.parametrize("older", [False, True])
def test_a_dataset_that_was_moved_and_renamed(lab: Lab, tmp_path: Path, older: bool) -> None:
    """Of an earlier aulight's that has no digests, the prepared files are compared."""
    root = shutil.copytree(lab.data / "mine", tmp_path / "elsewhere")
    relabelled = [f"data.root={root}", "data.name=other"]
    lab.prepare("other", *relabelled, known=True)
    if older:
        _forget(root)
    described = yaml.safe_load((root / "dataset.yaml").read_text())
    write_yaml(described | {"name": "other"}, root / "dataset.yaml")
    assert older != bool({*NOTED} & {*pd.read_parquet(root / "videos.parquet")})
    _refused(lab.finetune("other", f"data.root={root}"), "other, in mine")


def test_a_checkpoint_that_does_not_tell_what_it_saw(lab: Lab, tmp_path: Path) -> None:
    """Then there are names alone: those of the dataset's own people, and of the videos that stood for people."""
    saved = torch.load(lab.folder / "pretrain" / "everybody" / "checkpoints" / "last.ckpt", weights_only=True)
    seen = saved["hyper_parameters"]["trained_on"]
    assert seen.pop("collection") == "mine"
    assert len(seen.pop("contents")) == 16 * 3 * len(WHO)
    assert len(set(seen.pop("steps_s"))) == 1
    assert seen == {"dataset": "mine", "subjects": sorted(name.replace("/", "__").replace(" ", "_") for name in WHO)}
    torch.save(saved, tmp_path / "old.ckpt")
    root = shutil.copytree(lab.data / "mine", tmp_path / "Mine")
    lab.prepare("mine", f"data.root={root}", known=True)
    _refused(lab.finetune("mine", f"data.root={root}", pretrained=str(tmp_path / "old.ckpt")), "mine")
    write_yaml(yaml.safe_load((root / "dataset.yaml").read_text()) | {"name": "other"}, root / "dataset.yaml")
    outcome = lab.finetune("other", f"data.root={root}", pretrained=str(tmp_path / "old.ckpt"))
    assert outcome.status == 0, outcome.err
    assert "stage one is of an earlier aulight and does not tell which videos it saw: names alone" in outcome.out


def test_a_stage_one_of_the_fold_is_taken_and_one_of_another_fold_is_not(lab: Lab) -> None:
    for name in ("one", "two"):
        lab.prepare(name, known=True)
    assert lab.train("pretrain", "one", "of_fold_1", "fold=1").status == 0
    outcome = lab.finetune("two", "fold=1", pretrained="of_fold_1")
    assert outcome.status == 0, outcome.err
    for data in ("one", "two"):
        outcome = lab.finetune(data, "fold=2", pretrained="of_fold_1")
        assert outcome.status == 2
        assert re.search("stage one saw videos of .*, of the (test|validation) subjects of fold 2", outcome.err)


def test_a_sweep_of_which_one_run_would_test_whom_stage_one_saw_begins_none(lab: Lab) -> None:
    """By names and by contents; by one stage one of the right fold, and one that saw everybody."""
    for name in ("swept", "swept-v2"):
        lab.prepare(name, known=True)
    assert lab.train("pretrain", "swept", "of_fold_2", "fold=2").status == 0
    right, everybody = (lab.folder / "pretrain" / name for name in ("of_fold_2", "everybody"))
    for data in ("swept", "swept-v2"):
        root = lab.folder / f"finetune-{data}"
        where = [f"data_dir={lab.data}", f"data.name={data}", f"root={root}", "label_fraction=1"]
        sweep = ["finetune", "-m", "hydra/launcher=basic", *TINY, *where, "name='${fold}-${label_seed}'"]
        outcome = lab._aulight(*sweep, f"pretrained={right}", "fold=2,1", "label_seed=0,1")
        assert outcome.status == 2
        first, *refused = outcome.err.splitlines()
        assert first == "aulight: 2 of 4 runs cannot be done, so none is begun:"
        saw = r"pretrained: stage one saw videos of .*, of the (test|validation) subjects of fold 1 of"
        assert [re.match(rf"(1-\d): {saw} {data}", line)[1] for line in refused] == ["1-0", "1-1"]  # type: ignore[index]
        assert not root.exists()
    outcome = lab._aulight(*sweep, f"pretrained={everybody}", "fold=1,2")
    assert outcome.err.startswith("aulight: 2 of 2 runs cannot be done, so none is begun:"), outcome.err
    outcome = lab._aulight(*sweep, f"pretrained={right}", "fold=2")
    assert outcome.status == 0, outcome.err
    shutil.rmtree(lab.data / "swept")  # what it saw is in its checkpoint alone now: each job finds it there
    outcome = lab._aulight(*sweep, f"pretrained={right}", "fold=1", "label_seed=0,1")
    assert outcome.status == 1
    first, *failed = outcome.err.splitlines()[-3:]
    assert first == "aulight: 2 of 2 runs failed:"
    assert [re.match(rf"(1-\d): {saw} swept-v2", line)[1] for line in failed] == ["1-0", "1-1"]  # type: ignore[index]


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_one_video_in_two_parts_of_a_dataset_of_an_earlier_aulight(lab: Lab, command: str, tmp_path: Path) -> None:
    root = shutil.copytree(lab.data / "mine", tmp_path / "twice")
    lab.prepare("twice", f"data.root={root}", known=True)
    as_format_1(root)
    _forget(root)
    (root / "videos" / "x2.mp4").unlink()
    shutil.copy(root / "videos" / "x3.mp4", root / "videos" / "x2.mp4")
    loso = ("data.protocol.name=loso", "fold=2")  # bob
    outcome = lab.train(command, "twice", "twice", f"data.root={root}", *loso)
    assert outcome.status == 2
    same = (
        r"x3 \(subject cleo, \w+\) is the same video as x2 \(subject bob, test\); give both one subject, or leave one"
    )
    assert re.search(rf"aulight: dataset mine: {same}", outcome.err), outcome.err
    assert not (lab.folder / command / "twice" / "checkpoints").exists()


def test_a_dataset_of_an_earlier_aulight_says_what_it_cannot_tell(lab: Lab, tmp_path: Path) -> None:
    """Until it has been prepared once more, which decodes nothing."""
    root = shutil.copytree(lab.data / "mine", tmp_path / "old")
    _forget(root)
    said = "mine was prepared by an earlier aulight, which did not note what its raw videos hold: whether another"
    outcome = lab.train("pretrain", "mine", "old", f"data.root={root}")
    assert outcome.status == 0, outcome.err
    assert said in outcome.out
    lab.prepare("other", "crop_size=80", known=True)
    lab.prepare("mine", f"data.root={root}")
    outcome = lab.train("pretrain", "mine", "new", f"data.root={root}")
    assert outcome.status == 0, outcome.err
    assert said not in outcome.out
    _refused(lab.finetune("other", pretrained="new"), "other, in mine")
