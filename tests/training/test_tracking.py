"""Runs on W&B, read back from what they leave behind offline; the oracles are metrics.csv and the predictions."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import wandb
import yaml
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # made at import

from aulight.data.store import BLENDSHAPE, PreparedDataset
from aulight.data.video.prepared import open_video
from aulight.drawing.truth_video import SIDE
from aulight.files import write_table
from aulight.scoring import agreement
from aulight.training import dashboard, tracking
from aulight.training.progress import Progress
from aulight.training.tracking import unreachable
from tests.data.formats import spoil

Command = Callable[..., Any]
KEY = "k" * 40


class Page(NamedTuple):
    """What a run logged, in one go."""

    folder: Path
    run: Any
    config: dict[str, Any]
    rows: list[dict[str, Any]]
    summary: dict[str, Any]
    exit_code: int | None

    @property
    def table(self) -> pd.DataFrame:
        """Scalars by step."""
        return pd.DataFrame(self.rows).set_index("_step")

    def media(self, key: str) -> list[Path]:
        """Files that the last row with this key names."""
        (value,) = [row[key] for row in self.rows if key in row]
        return [self.folder / "files" / name for name in value.get("filenames") or [value["path"]]]


def _pages(run: Path) -> list[Page]:
    """Every page in a run directory, oldest first."""
    return [_page(folder) for folder in sorted((run / "wandb").glob("offline-run-*"))]


def _page(folder: Path) -> Page:
    (file,) = folder.glob("run-*.wandb")
    config: dict[str, Any] = {}
    rows, summary, exit_code, run = list[dict[str, Any]](), dict[str, Any](), None, None
    for blob in _records(file.read_bytes()):
        record = Record.FromString(blob)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            config |= _items(run.config.update)
        elif kind == "config":
            config |= _items(record.config.update)
        elif kind == "history":
            rows.append(_items(record.history.item))
        elif kind == "summary":
            summary |= _items(record.summary.update)
        elif kind == "exit":
            exit_code = record.exit.exit_code
    return Page(folder, run, config, rows, summary, exit_code)


def _items(items: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        *outer, name = item.nested_key or [item.key]
        inner = found
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[name] = json.loads(item.value_json)
    return found


def _records(data: bytes) -> Iterator[bytes]:
    """LevelDB's log: blocks of 32 KiB, in them pieces with checksum, length and kind (whole, or first to last)."""
    place, parts = 7, b""
    while place + 7 <= len(data):
        rest = 32768 - place % 32768
        if rest < 7:
            place += rest
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


def _csv(run: Path) -> pd.DataFrame:
    """The rows of metrics.csv, one a step, as they are on a page."""
    return pd.read_csv(run / "metrics.csv").groupby("step").last()


def _assert_logged(tables: list[pd.DataFrame], run: Path) -> None:
    """Every scalar of metrics.csv, at its step, and once."""
    logged = pd.concat(tables)
    assert logged.index.is_unique
    expected = _csv(run)
    shared = logged.loc[expected.index, list(expected)].astype(float)
    pd.testing.assert_frame_equal(shared, expected.astype(float), check_names=False, rtol=1e-6)


@pytest.fixture(scope="module")
def sweep(
    tmp_path_factory: pytest.TempPathFactory, aulight: Command, tiny_finetune: list[str], pretrained: Path
) -> list[Path]:
    """The run directories of two jobs of one sweep, in one process."""
    root = tmp_path_factory.mktemp("tracked") / "runs" / "finetune"
    command = [*tiny_finetune, "-m", "logger=wandb", "logger.tags=[one,two]", f"root={root}", "name='${seed}'"]
    command += ["seed=0,1", f"pretrained={pretrained}", "loader.workers=1"]
    outcome = aulight(*command)
    assert outcome.status == 0, outcome.err
    assert outcome.out.count("W&B is offline (asked for); to upload the run: wandb sync /") == 2
    assert "already done" in aulight(*command).out  # and is not logged again
    return [root / "0", root / "1"]


@pytest.fixture(scope="module")
def stage_one(tmp_path_factory: pytest.TempPathFactory, aulight: Command, tiny_pretrain: list[str]) -> Path:
    root = tmp_path_factory.mktemp("tracked") / "runs" / "pretrain"
    assert aulight(*tiny_pretrain, "logger=wandb", "logger.group=mine", f"root={root}", "name=run").status == 0
    return root / "run"


def test_csv_leaves_wandb_alone(finetuned: Path) -> None:
    assert (finetuned / "metrics.csv").is_file()
    assert not (finetuned / "wandb").exists()
    assert "wandb_id" not in yaml.safe_load((finetuned / "run.yaml").read_text())


def test_jobs_of_a_sweep_are_pages_of_their_own_in_one_group(sweep: list[Path]) -> None:
    pages = [page for run in sweep for page in _pages(run)]
    assert len(pages) == 2
    assert len({page.run.run_id for page in pages}) == 2
    for seed, (run, page) in enumerate(zip(sweep, pages, strict=True)):
        record = yaml.safe_load((run / "run.yaml").read_text())
        assert page.run.run_id == record["wandb_id"]
        assert page.run.run_group == "runs/finetune"
        assert (page.run.project, page.run.job_type, page.run.display_name) == ("aulight", "finetune", str(seed))
        assert list(page.run.tags) == ["one", "two"]
        assert page.exit_code == 0
        expected = {"arm": "pretrained", "label_fraction": 0.1, "labelled_frames": 36, "fold": 1, "seed": seed}
        expected |= {"dataset": "synthetic", "fingerprint": record["dataset"]["fingerprint"]}
        assert {key: page.config[key] for key in expected} == expected
        assert page.config["clip"] == record["config"]["clip"]


def test_every_scalar_of_stage_two(sweep: list[Path]) -> None:
    for run in sweep:
        (page,) = _pages(run)
        _assert_logged([page.table], run)
    columns = PreparedDataset(Path(page.config["data"]["root"])).columns
    scores = {f"{part}/{name}_{au}" for part in ("val", "test") for name in agreement.METRICS for au in columns}
    assert scores | {"train/loss", "lr", "lr_encoder", "speed/frames_per_s", "val/icc"} <= set(page.table)
    assert page.table["val/icc"].count() == 3
    assert page.table["lr_encoder"].dropna().tolist() == pytest.approx((0.6 * page.table["lr"].dropna()).tolist())


def test_every_scalar_of_stage_one(stage_one: Path) -> None:
    (page,) = _pages(stage_one)
    _assert_logged([page.table], stage_one)
    terms = {f"train/{term}_{what}" for term in ("instance", "predictive") for what in ("top1_same", "chance_same")}
    assert terms | {"train/loss", "lr", "speed/frames_per_s", "probe/icc"} <= set(page.table)
    assert (page.run.job_type, page.run.run_group, page.exit_code) == ("pretrain", "mine", 0)
    assert page.config["dataset"] == "synthetic"


def _expected_scores(run: Path, columns: list[str]) -> dict[str, Any]:
    table = pd.read_parquet(run / "predictions.parquet")
    preds, true = (
        torch.from_numpy(table[[f"{au}_{k}" for au in columns]].to_numpy(float, copy=True)) for k in ("pred", "true")
    )
    return {name: getattr(agreement, name)(preds, true).tolist() for name in agreement.METRICS}


def test_tables_and_summary(sweep: list[Path], smoke_data: Path) -> None:
    columns = PreparedDataset(smoke_data).columns
    (page,) = _pages(sweep[0])
    (file,) = page.media("test/per_au")
    shown = json.loads(file.read_text())
    table = pd.DataFrame(shown["data"], columns=shown["columns"]).set_index("AU")
    assert list(table.index) == columns
    assert table.loc["AU12", "name"] == "lip corner puller"
    for name, values in _expected_scores(sweep[0], columns).items():
        assert table[name].astype(float).tolist() == pytest.approx(values, abs=1e-9, nan_ok=True)
        assert [float(page.summary[f"test/{name}_{au}"]) for au in columns] == pytest.approx(values, nan_ok=True)
    validated = _csv(sweep[0]).dropna(subset="val/icc")
    best = validated.iloc[int(validated["val/icc"].argmax())]
    (file,) = page.media("val/per_au")
    shown = json.loads(file.read_text())
    table = pd.DataFrame(shown["data"], columns=shown["columns"]).set_index("AU")
    assert table["mae"].tolist() == pytest.approx([best[f"val/mae_{au}"] for au in columns])
    assert page.summary["val/icc"] == pytest.approx(best["val/icc"])


def _video(path: Path) -> np.ndarray[Any, Any]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_curves_and_face(sweep: list[Path], smoke_data: Path) -> None:
    (page,) = _pages(sweep[0])
    pictures = [cv2.imread(str(path)) for path in page.media("test/timelines")]
    assert len(pictures) == 2
    assert all(picture is not None and picture.shape[1] > 1000 for picture in pictures)
    # of the test subject with the highest labels; the video, shorter than four seconds, is shown whole
    table = pd.read_parquet(sweep[0] / "predictions.parquet")
    strength = table.filter(like="_true").mean(axis=1).astype(float).groupby(table["video_id"]).mean()
    data = PreparedDataset(smoke_data)
    row = int(np.flatnonzero(data.videos["video_id"] == strength.idxmax())[0])
    faces = open_video(data.file(row)).read(range(60))
    (file,) = page.media("test/face")
    shown = _video(file)
    assert shown.shape[:2] == (60, SIDE)
    for frame, face in zip(shown, faces, strict=True):
        expected = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        assert np.abs(frame[:, :SIDE].astype(float) - expected).mean() < 6


def test_failed_run_and_its_second_try_are_one_page(
    aulight: Command, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    shutil.copytree(smoke_data, tmp_path / "data")
    data = PreparedDataset(tmp_path / "data")
    shards = {path: path.read_bytes() for path in (data.root / "shards").iterdir()}
    spoil(data, int(np.flatnonzero(data.videos["split"] == "test")[0]), b"not a video")
    command = [*tiny_finetune, "data.synthetic=null", f"data.root={data.root}", f"root={tmp_path}", "name=run"]
    outcome = aulight(*command, "logger=wandb")
    assert outcome.status == 2
    (failed,) = _pages(tmp_path / "run")
    assert failed.exit_code == 1
    for path, whole in shards.items():
        path.write_bytes(whole)
    assert aulight(*command, "logger=wandb", "logger.media=false").status == 0
    _, done = _pages(tmp_path / "run")
    assert done.run.run_id == failed.run.run_id
    assert done.exit_code == 0
    _assert_logged([failed.table, done.table], tmp_path / "run")
    assert not any("test/face" in row for row in done.rows)


def test_interrupted_run_goes_on_on_its_page(
    aulight: Command, tiny_finetune: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*tiny_finetune, f"root={tmp_path}", "name=run", "logger=wandb", "logger.media=false"]

    def stop(self: Any, trainer: Any, *rest: Any) -> None:
        if trainer.global_step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_validation_end", lambda *_: None)
        patch.setattr(Progress, "on_train_batch_start", stop)
        patch.setattr(Progress, "on_train_batch_end", lambda *_: None)
        assert aulight(*command).status == 130
    (first,) = _pages(tmp_path / "run")
    assert first.exit_code == 130
    assert aulight(*command).status == 0
    _, second = _pages(tmp_path / "run")
    assert second.run.run_id == first.run.run_id
    assert second.exit_code == 0
    assert set(second.table.index) == {2, 3, 4, 5, 6}


def test_regression_from_blendshapes(
    aulight: Command, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    shutil.copytree(smoke_data, tmp_path / "data", copy_function=os.link)
    data = PreparedDataset(tmp_path / "data")
    scores = np.random.default_rng(0).uniform(size=(len(data.frames), 52)).astype(np.float32)
    columns = {f"{BLENDSHAPE}s{i}": scores[:, i] for i in range(52)}
    write_table(data.frames.assign(**columns), data.root / "frames.parquet")
    command = [*tiny_finetune, "data.synthetic=null", f"data.root={data.root}", f"root={tmp_path}", "name=run"]
    outcome = aulight(*command, "model=blendshapes", "logger=wandb")
    assert outcome.status == 0, outcome.err
    (page,) = _pages(tmp_path / "run")
    assert page.config["arm"] == "blendshapes"
    record = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    row = page.table.iloc[0]
    assert row["val/icc"] == pytest.approx(record["validation"]["icc"], abs=1e-9)
    for name, values in _expected_scores(tmp_path / "run", data.columns).items():
        assert [float(row[f"test/{name}_{au}"]) for au in data.columns] == pytest.approx(values, nan_ok=True)
    assert all(path.is_file() for key in ("test/timelines", "test/face", "test/per_au") for path in page.media(key))


# ---- without a key, without a network, without the service --------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """An environment that wandb has not read yet, and that it forgets afterwards."""
    wandb.teardown()
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    yield monkeypatch
    wandb.teardown()


def test_no_key(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert unreachable() == "no key: set WANDB_API_KEY or run `wandb login`"
    fresh.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    wandb.teardown()
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1\n  login user\n  password {KEY}\n")
    assert unreachable() == "no answer from http://127.0.0.1:9"


@pytest.mark.parametrize("listening", [True, False])
def test_no_answer(listening: bool, fresh: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listening:  # takes the call and says nothing
            server.listen()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        fresh.setenv("WANDB_API_KEY", KEY)
        fresh.setenv("WANDB_BASE_URL", url)
        fresh.setattr(tracking, "ANSWER_S", 1)
        begin = time.monotonic()
        assert unreachable() == f"no answer from {url}"
        assert time.monotonic() - begin < 4


# The service dies at step 3.
DRIVER = """
import psutil
from aulight.cli.main import main
from aulight.training.progress import Progress

original = Progress.on_train_batch_end

def hook(self, trainer, *rest):
    original(self, trainer, *rest)
    if trainer.global_step == 3:
        for child in psutil.Process().children(recursive=True):
            if child.name() == "wandb-core":
                child.kill()
                print("KILLED")

Progress.on_train_batch_end = hook
main()
"""


def test_a_run_survives_all_that_can_happen_to_wandb(tiny_finetune: list[str], tmp_path: Path) -> None:
    """A key without a network, and a service that dies: two lines say so, and nothing else is different."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    environment |= {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    command = [*tiny_finetune, f"root={tmp_path}", "name=run", "logger=wandb"]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *command],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    (page,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert lines[1] == (  # with the first row, which comes after the first step
        f"run: W&B is offline (no answer from http://127.0.0.1:9); to upload the run: wandb sync {page}"
    )
    assert "KILLED" in lines
    (lost,) = [line for line in lines if "the run goes on without it" in line]
    assert lost.startswith("run: W&B: ")
    assert len(lines) == 1 + 6 + 1 + 1 + 1  # offline, steps, killed, lost, done
    assert len(_csv(tmp_path / "run")) == 7


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["logger=nope"], ["logger/nope", "wandb"]),
        (["logger.mode=offline"], ["logger.mode"]),
        (["logger=wandb", "logger.mode=of"], ["logger.mode=of", "offline"]),
        (["logger=wandb", "logger.tags=['']"], ["logger.tags"]),
        (["logger=wandb", "logger.media=3"], ["logger.media=3", "true or false"]),
    ],
)
def test_mistakes(
    settings: list[str], parts: list[str], aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", *settings)
    assert outcome.status == 2
    (line,) = outcome.err.splitlines()
    assert all(part in line for part in parts)


@pytest.mark.parametrize("mistake", ["+trainer.nope=1", "augment.frame=[{name: Nope}]", "a video"])
def test_a_refused_run_leaves_no_page(
    mistake: str, aulight: Command, tiny_pretrain: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    shutil.copytree(smoke_data, tmp_path / "data", copy_function=os.link)
    data = PreparedDataset(tmp_path / "data")
    for row in range(len(data.videos)) if mistake == "a video" else ():
        spoil(data, row)
    where = ["data.synthetic=null", f"data.root={tmp_path}/data", f"root={tmp_path}", "name=run", "logger=wandb"]
    outcome = aulight(*tiny_pretrain, *where, *([mistake] if mistake != "a video" else []))
    assert (outcome.status, len(outcome.err.splitlines())) == (2, 1), outcome.err
    assert "W&B" not in outcome.out
    assert not (tmp_path / "run" / "wandb").exists()
    record = tmp_path / "run" / "run.yaml"
    assert not record.exists() or "wandb_id" not in yaml.safe_load(record.read_text())


def test_disabled(aulight: Command, tiny_pretrain: list[str], tmp_path: Path) -> None:
    outcome = aulight(*tiny_pretrain, f"root={tmp_path}", "name=run", "steps=2", "logger=wandb", "logger.mode=disabled")
    assert outcome.status == 0, outcome.err
    assert "W&B" not in outcome.out
    assert not (tmp_path / "run" / "wandb").exists()


@pytest.mark.slow
def test_one_page_for_two_processes(tiny_finetune: list[str], tmp_path: Path) -> None:
    command = [*tiny_finetune, f"root={tmp_path}", "name=run", "logger=wandb", "loader.batch_size=4"]
    command += ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    done = subprocess.run(
        [sys.executable, "-m", "aulight", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("W&B") == 1
    (page,) = _pages(tmp_path / "run")
    assert page.exit_code == 0
    _assert_logged([page.table], tmp_path / "run")


# ---- the workspace --------------------------------------------------------------------------------------------------


def test_workspace_shows_what_is_logged(sweep: list[Path], stage_one: Path, smoke_data: Path) -> None:
    logged = {key for run in (sweep[0], stage_one) for page in _pages(run) for row in page.rows for key in row}
    (page,) = _pages(sweep[0])
    columns = PreparedDataset(smoke_data).columns
    built: Any = dashboard.workspace("team", "faces", "watch", columns)
    kinds = {section.name: [type(panel).__name__ for panel in section.panels] for section in built.sections}
    assert list(kinds) == ["Label efficiency", "Per AU", "Training health", "Media"]
    assert kinds["Label efficiency"][0] == "ScatterPlot"
    assert {"BarPlot", "WeavePanelSummaryTable"} <= set(kinds["Per AU"])
    assert set(kinds["Training health"]) == {"LinePlot"}
    assert set(kinds["Media"]) == {"MediaBrowser"}
    shown: set[str] = set()
    for section in built.sections:
        for panel in section.panels:
            kind = type(panel).__name__
            if kind == "ScatterPlot":
                assert panel.x.name in page.config
                shown.add(panel.y.name)
            elif kind == "LinePlot":
                shown |= set(panel.y)
            elif kind == "BarPlot":
                shown |= set(panel.metrics)
                assert panel.groupby.name in page.config
            elif kind == "MediaBrowser":
                shown |= set(panel.media_keys)
            else:
                shown.add(panel.table_name)
    assert shown <= logged
    assert {"test/icc", "test/mse_AU12", "val/icc_AU12", "train/loss", "lr_encoder", "test/face"} <= shown
    sent = json.loads(built._to_model().model_dump_json(by_alias=True))
    assert (sent["entity"], sent["project"], sent["displayName"]) == ("team", "faces", "watch")
    assert "config:label_fraction.value" in json.dumps(sent)


def test_dashboard_says_what_is_missing(aulight: Command, fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(part: str) -> None:
        outcome = aulight("dashboard", f"hydra.run.dir={tmp_path}")
        assert outcome.status == 2
        (line,) = outcome.err.splitlines()
        assert line.startswith("aulight: dashboard: ")
        assert part in line

    refused("no key: set WANDB_API_KEY")
    fresh.setenv("WANDB_API_KEY", KEY)
    fresh.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    wandb.teardown()
    refused("no answer from http://127.0.0.1:9")
    fresh.setattr("importlib.util.find_spec", lambda name: None)
    refused('pip install "aulight[sweep]"')
