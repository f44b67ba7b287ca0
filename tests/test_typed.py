"""What README and the pages in docs/ tell people to type: every line of shell runs, or stands here with why not.

Lines go through bash, which reads quotes, ``~``, ``*`` and comments. They run in the order of their page, on filmed
avatars, with settings that make them small (:data:`SMALL`). A page has what other pages have made (:data:`BEFORE`).
"""

import enum
import itertools
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from aulight.data.video.write import write_video
from tests.conftest import Command
from tests.data.faces.astronaut import film
from tests.labelling.conftest import Served
from tests.test_docs import ROOT, TEXTS


class Reason(enum.Enum):
    """Why a line does not run here; its value is what such a line has in it."""

    MAKE = r"^make "
    """A target of minutes, or of an environment; tests/test_reproduce.py and tests/test_rehearsal.py make them."""
    INSTALL = r"^pip install |^source \.venv/"
    """It changes the environment that the tests run in."""
    THEIRS = r"<[a-z ]+>| \.\.\.$"
    """Something of the reader's stands in it, or is left out."""
    CLUSTER = r"\$settings$|^dask | executor=dask "
    """Several machines; tests/workers/test_cluster.py and tests/training/ have some on the loopback."""
    SETTINGS = r"^settings="
    """For the lines of several machines alone."""
    WEBCAM = r"webcam:"
    """There is no camera; tests/prediction/test_streams.py has one of its own."""
    ACCOUNT = r"wandb|^aulight dashboard"
    """W&B is asked; tests/training/ logs to it offline."""
    SHELL = r"^eval "
    """It changes the shell that it is typed in; tests/cli/test_completion.py has such shells."""
    BUCKET = r"s3://"
    """It needs a bucket; tests/data/remote/test_training.py has one."""
    REPRODUCED = r"runs/reproduce/"
    """What `make reproduce` has made."""


NOT_RUN = {
    "README.md": {
        "make reproduce": Reason.MAKE,
        "make test": Reason.MAKE,
        "make install": Reason.MAKE,
        "source .venv/bin/activate": Reason.INSTALL,
    },
    "avatars.md": {
        'pip install "aulight[avatars]"': Reason.INSTALL,
        "aulight finetune data=avatars data.rig=second ...": Reason.THEIRS,
    },
    "cluster.md": {
        'pip install "aulight[cluster]"': Reason.INSTALL,
        "dask scheduler --no-dashboard": Reason.CLUSTER,
        "dask worker tcp://node1:8786 --nworkers 8 --nthreads 1 --no-dashboard": Reason.CLUSTER,
        "aulight prepare data.name=mine data.source=~/videos executor=dask "
        "cluster.address=tcp://node1:8786": Reason.CLUSTER,
        "aulight predict input=~/videos output=scored executor=dask cluster.address=tcp://node1:8786": Reason.CLUSTER,
        "aulight prepare data.name=mine data.source=~/videos executor=dask cluster=slurm "
        "cluster.jobs=8": Reason.CLUSTER,
        "aulight predict input=~/videos output=scored executor=dask cluster=slurm cluster.queue=long": Reason.CLUSTER,
    },
    "datasets.md": {
        "make reproduce-disfa DISFA=<raw dataset> [UNLABELLED=<folder of videos>]": Reason.MAKE,
        "make reproduce-bp4d BP4D=<raw dataset> [UNLABELLED=<folder of videos>]": Reason.MAKE,
        "aulight prepare data=disfa data.source=<raw> data.reader.drop_untracked=true": Reason.THEIRS,
        "aulight prepare data=bp4d_plus data.source=<raw>": Reason.THEIRS,
        "aulight prepare data=affwild2 data.source=<raw>": Reason.THEIRS,
    },
    "labelling.md": {'pip install "aulight[label]"': Reason.INSTALL},
    "own-data.md": {"source .venv/bin/activate": Reason.INSTALL, 'pip install "aulight[label]"': Reason.INSTALL},
    "predict.md": {
        "make install": Reason.MAKE,
        "source .venv/bin/activate": Reason.INSTALL,
        "aulight predict model=model.aulight input=webcam:0": Reason.WEBCAM,
        "aulight predict model=runs/reproduce/finetune/synthetic-fold1-pretrained-0.02-seed0 "
        "input=test_00568/00000.mp4 overlay=true": Reason.REPRODUCED,
    },
    "remote.md": {
        'pip install "aulight[s3]"': Reason.INSTALL,
        "aulight pretrain data=folder data.name=mine data.root=s3://bucket/mine": Reason.BUCKET,
    },
    "rehearsal.md": {
        "make rehearse-disfa": Reason.MAKE,
        "make rehearse-bp4d": Reason.MAKE,
        "make rehearse-disfa REHEARSAL=data/rehearsal-small RUNS=runs/rehearsal-small PEOPLE=5 FRAMES=300 OTHERS=5 "
        'OTHER_FRAMES=150 FRACTIONS=0.02,1.0 SETTINGS="model=resnet_tiny steps=100"': Reason.MAKE,
        "make rehearse-disfa REHEARSAL=data/rehearsal-tiny RUNS=runs/rehearsal-tiny PEOPLE=4 FRAMES=36 OTHERS=3 "
        'OTHER_FRAMES=24 FRACTIONS=1.0 SETTINGS="model=resnet_tiny model.size=32 steps=4 steps_per_epoch=2 '
        "loader.batch_size=2 loader.workers=0 threads=1 clip.length=6 clip.stride=[1,2] "
        'trainer.accelerator=cpu"': Reason.MAKE,
    },
    "sweeps.md": {
        "settings='trainer=ddp trainer.num_nodes=2 loader.batch_size=64'": Reason.SETTINGS,
        "torchrun --nnodes=2 --nproc-per-node=8 --rdzv-backend=c10d --rdzv-endpoint=<first machine>:29500 "
        "-m aulight pretrain $settings": Reason.CLUSTER,
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 torchrun --max-restarts=3 --nnodes=2 --nproc-per-node=8 "
        "--rdzv-backend=c10d --rdzv-endpoint=<first machine>:29500 -m aulight pretrain $settings": Reason.CLUSTER,
        "srun --nodes=2 --ntasks-per-node=8 --gpus-per-node=8 aulight pretrain $settings": Reason.CLUSTER,
        "NODE_RANK=0 MASTER_ADDR=<first machine> MASTER_PORT=29500 aulight pretrain $settings": Reason.CLUSTER,
    },
    "training.md": {
        "source .venv/bin/activate": Reason.INSTALL,
        'eval "$(aulight -sc install=bash)"': Reason.SHELL,
        'eval "$(aulight -sc install=zsh)"': Reason.SHELL,
    },
    "wandb.md": {
        "wandb login": Reason.ACCOUNT,
        "aulight pretrain logger=wandb": Reason.ACCOUNT,
        "aulight finetune -m logger=wandb logger.tags=[first] label_fraction=0.01,0.02,0.1 seed=0,1,2": Reason.ACCOUNT,
        "aulight dashboard": Reason.ACCOUNT,
    },
}
"""Page to the lines of it that are not run, and why."""

STAGE = [
    "steps=2", "steps_per_epoch=1", "loader.batch_size=2", "loader.workers=0", "threads=1", "clip.stride=[1,1]",
    "trainer.accelerator=cpu", "progress_s=0",
]  # fmt: skip
SMALL = {
    "pretrain": [*STAGE, "clip.length=6", "model.size=32", "probe=null"],
    "finetune": [*STAGE, "clip.length=2", "pseudo.true_share=0.5"],
    "prepare": ["workers=1"],
    "sample": ["label_count=24"],
    "label": ["label_count=24", "browser=false"],
    "predict": ["workers=1"],
}
"""Settings that a command takes here, in place of those of its line; and of several values (``-m``) the first alone."""

FILMED = ["--people", "6", "--frames", "16"]

BEFORE = {
    "README.md": "avatars.md",
    "own-data.md": "avatars.md",
    "labelling.md": "README.md",
    "predict.md": "README.md",
    "default-model.md": "README.md",
    "columns.md": "README.md",
    "training.md": None,
    "sweeps.md": None,
    "avatars.md": None,
}
"""Pages with lines that run, and the one whose datasets and runs they go on from; all have the same videos."""

MADE = {
    "avatars.md": ["faces/labels.csv", "data/faces/labels.parquet"],
    "README.md": [
        "predictions/clip.csv", "predictions/clip.events.csv", "predictions/clip.png", "predictions/clip.overlay.mp4",
        "data/mine/labels.parquet", "to_label/labels.csv",
        "runs/finetune/mine-fold1-pretrained-1-seed0/predictions.parquet",
    ],
    "own-data.md": ["to_label/to_label.csv", "to_label/labels.csv", "runs/finetune/report/report.html"],
    "labelling.md": [
        "to_label/labels.coders.csv", "to_label/agreement/agreement.csv", "to_label/agreement/agreement.png",
        "to_label/agreement/worst_frames.csv",
    ],
    "predict.md": ["scored/index.html", "model.aulight", "model.aulight.md", "predictions/interview.csv"],
    "default-model.md": ["default.onnx", "by_table/clip.csv", "predictions/astronaut.csv"],
    "columns.md": ["predictions/clip.csv"],
    "training.md": ["runs/finetune/report/report.html"],
    "sweeps.md": ["runs/label_efficiency/report/report.html"],
}  # fmt: skip
"""Files that a page says come out."""


class Line(NamedTuple):
    """A line of a block of shell, and the name of its page."""

    page: str
    text: str


def _lines() -> Iterator[Line]:
    """Every line that is typed, without its comment."""
    for path in TEXTS:
        for block in re.findall(r"^```(?:sh|bash|shell|zsh|console)\n(.*?)^```", path.read_text("utf-8"), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if text := re.sub(r"(^|\s+)# .*$", "", line).strip():
                    yield Line(path.name, text)


LINES = list(dict.fromkeys(_lines()))


def test_every_line_runs_or_has_its_reason() -> None:
    """A new line runs, or someone says why it cannot; no reason is given for what is gone or could run."""
    typed = set(LINES)
    for page, lines in NOT_RUN.items():
        for text, reason in lines.items():
            assert Line(page, text) in typed, "no page says so any more"
            assert re.search(reason.value, text), f"{reason} is not why"
    run = [line for line in LINES if line.text not in NOT_RUN.get(line.page, {})]
    assert {line.page for line in run} == set(BEFORE) == set(MADE)
    assert {re.split(r"[ =]", line.text)[0] for line in run} == {"aulight", "python"}
    for line in run:
        for reason in Reason:
            assert not re.search(reason.value, line.text), f"{line} is to be among NOT_RUN, for {reason}"


def test_no_shell_hides_in_other_blocks() -> None:
    """Blocks of commands say what they are, so that the tests here see them."""
    for path in TEXTS:
        kind: str | None = None
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("```"):
                kind = line.removeprefix("```") if kind is None else None
                assert kind in (None, "", "sh", "python", "r"), f"{path.name}: {line}"
            elif kind == "":
                assert not re.match(r"(\$ )?(aulight|python|make|pip) ", line), f"{path.name}: {line}"


# ---- a place where they run ---------------------------------------------------------------------------------------


def _words(text: str, folder: Path) -> list[str]:
    """What bash makes of a line: the words that a command gets."""
    script = "".join(f"{name}() {{ printf '%s\\0' {name} \"$@\"; }}\n" for name in ("aulight", "python")) + text
    read = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, check=True)
    return [word.decode() for word in read.stdout.split(b"\0")[:-1]]


def _small(words: Sequence[str]) -> list[str]:
    """The same with settings of :data:`SMALL`; those of a sweep with their first value."""
    command, *given = words
    if "-m" in given:
        given = [word.partition(",")[0] for word in given]
        if not any(word.startswith("experiment=") for word in given):
            given.remove("-m")  # the one job that is left needs no process of its own; experiments bring more
    small = list(SMALL.get(command, []))
    if command in ("pretrain", "finetune") and not any(word.startswith("data=") for word in given):
        small.append("data.size=smoke")
    if "pretrained=default" in given or "model=blendshapes" in given:
        small = [setting for setting in small if not setting.startswith("model.")]
    keys = {setting.partition("=")[0] for setting in small}
    return [command, *[word for word in given if word.partition("=")[0] not in keys], *small]


def _code(words: Sequence[str], folder: Path) -> None:
    """Opens the coding page, scores all that it shows as somebody of this name would, and ends it by Ctrl-C."""
    command = [sys.executable, "-m", "aulight", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)
    served = Served(process, "", [])
    assert process.stdout is not None
    try:
        for line in process.stdout:
            served.said.append(line)
            if found := re.search(r"^The page: (http://\S+)", line):
                served.address = found[1]
                break
        assert served.address, served.said
        state: Any = served.get("api/state")[1]
        for of in state["frames"]:
            for au in map(int, of.get("said") or ("1", "2", "4", "6", "12")):  # said: in the consensus round
                score = zlib.crc32(f"{of['video']} {of['frame']} {au} {words}".encode()) % 6
                assert served.score(of["video"], of["frame"], au, score)[0] == 200
        status, said = served.end()
        assert status == 0, said
    finally:
        process.kill()
        process.wait()


def _type(line: Line, folder: Path, aulight: Command) -> None:
    """Runs one line."""
    program, *words = _words(line.text, folder)
    if program == "python":
        more = FILMED if "raw" in words else []
        done = subprocess.run([sys.executable, *words, *more], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    elif words[0] == "label":
        _code(_small(words), folder)
    else:
        outcome = aulight(*_small(words))
        assert outcome.status == 0, f"{line}\n{outcome.out}\n{outcome.err}"
    if words[0] == "sample":  # a coder fills in the table by hand
        table = pd.read_csv(folder / "to_label" / "to_label.csv")
        for number, name in enumerate(name for name in table.columns.tolist() if name.startswith("AU")):
            table[name] = (table["frame"] + number) % 6
        table.to_csv(folder / "to_label" / "to_label.csv", index=False)


class Reader:
    """Somebody who types what a page says, in a folder with videos of their own."""

    def __init__(self, root: Path, aulight: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.aulight, self.patch = root, aulight, monkeypatch
        monkeypatch.setenv("AULIGHT_CACHE", os.environ.get("AULIGHT_CACHE", str(Path.home() / ".cache" / "aulight")))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        monkeypatch.setenv("HOME", str(root / "home"))

    def types(self, page: str) -> Path:
        """The folder of a page, in which all of it has run; that of the page before is done first."""
        folder = self.root / page.removesuffix(".md")
        if folder.exists():
            return folder
        before = BEFORE[page]
        given = self.types(before) if before else None
        folder.mkdir()
        if given is not None:
            self._set_out(folder, given)
        self.patch.chdir(folder)
        for line in LINES:
            if line.page == page and line.text not in NOT_RUN.get(page, {}):
                _type(line, folder, self.aulight)
        for name in MADE[page]:
            assert (folder / name).is_file(), name
        return folder

    def _set_out(self, folder: Path, given: Path) -> None:
        """Videos under the names that the page says; what the page before has made."""
        for name in ("data", "runs", "to_label"):
            if given.name == "README" and (given / name).exists():
                shutil.copytree(given / name, folder / name)
        faces = self.types("avatars.md") / "faces"
        left, right, *_ = sorted((faces / "videos").glob("*.mp4"))
        shutil.copytree(faces / "videos", self.root / "home" / "videos", dirs_exist_ok=True)
        shutil.copytree(faces / "videos", folder / "videos" / "day 1")
        shutil.copyfile(faces / "subjects.csv", folder / "subjects.csv")
        for name, video in {"clip.mp4": left, "a.mp4": left, "b.mp4": right}.items():
            shutil.copyfile(video, folder / name)
        # a minute and a second, filmed with the camera on its side
        lying = np.ascontiguousarray(np.rot90(next(film(1)).image))
        write_video(folder / "interview.mp4", itertools.repeat(lying, 61 * 5 + 2), 5.0)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, aulight: Command) -> Iterator[Reader]:
    with pytest.MonkeyPatch.context() as patch:
        yield Reader(tmp_path_factory.mktemp("typed"), aulight, patch)


@pytest.mark.slow
@pytest.mark.parametrize("page", BEFORE)
def test_what_a_page_types_runs(reader: Reader, page: str) -> None:
    """Oracle: every line ends well, and the files are there that the page says come out of it."""
    reader.types(page)


@pytest.mark.slow
def test_the_readers_model_is_their_own(reader: Reader) -> None:
    """From README alone: filmed, labelled in the page, trained and scored with what was trained."""
    folder = reader.types("predict.md")
    labels = pd.read_csv(folder / "to_label" / "labels.csv")
    assert list(labels.columns) == ["video", "frame", "AU01", "AU02", "AU04", "AU06", "AU12"]
    prepared = pd.read_parquet(folder / "data" / "mine" / "labels.parquet")
    assert len(prepared) == len(labels) == 24
    videos = {path.stem for path in (reader.root / "home" / "videos").glob("*.mp4")}
    assert set(pd.read_csv(folder / "scored" / "summary.csv")["video"]) >= videos
    for video in videos:
        table = pd.read_csv(folder / "scored" / f"{video}.csv")
        assert [name for name in table.columns.tolist() if name.endswith("_r")] == [
            f"AU{au:02d}_r" for au in (1, 2, 4, 6, 12)
        ]
        assert len(table) == int(FILMED[-1])
    interview = pd.read_csv(folder / "predictions" / "interview.csv")
    assert interview["timestamp"].between(60, 90).all()
    assert interview["success"].all(), "a face is found once the picture is turned upright"
