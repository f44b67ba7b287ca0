import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aulight.errors import AulightError
from aulight.files import is_taken, whole
from aulight.runs import machine
from aulight.runs.record import read_record
from aulight.runs.run import Run

Command = Callable[..., Any]
CONFIG: dict[str, Any] = {
    "steps": 4,
    "model": {"size": 64},
    "data": {"root": "a"},
    "loader": {"workers": 0, "batch": 2},
}


def _run(folder: Path, outcome: str, checkpoint: bool = False, **record: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "run.yaml").write_text(yaml.safe_dump({"outcome": outcome, "config": CONFIG, **record}))
    if checkpoint:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "last.ckpt").touch()


def _read(folder: Path) -> dict[str, Any]:
    """What the file says, and that its reader says the same."""
    plain: dict[str, Any] = yaml.safe_load((folder / "run.yaml").read_text())
    record = read_record(folder)
    assert record is not None
    assert record.plain() == plain
    return plain


def test_records_what_it_was_and_that_it_is_done(tmp_path: Path) -> None:
    with Run(tmp_path, "pretrain", CONFIG) as run:
        assert read_record(tmp_path) == run.record
        assert run.record.outcome == "running"
        assert not run.done
        run.update(steps=4)
    record = _read(tmp_path)
    assert (record["command"], record["outcome"], record["steps"]) == ("pretrain", "done", 4)
    assert record["config"] == CONFIG
    assert set(record["versions"]) > {"python", "torch", "aulight"}
    assert record["wall_s"] >= 0
    assert 20 < record["peak_rss_mb"] < 100_000
    assert Run(tmp_path, "pretrain", CONFIG).done


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (AulightError("no", "file"), "failed: no file"),
        (ValueError("bad"), "failed: bad"),
        (ZeroDivisionError(), "failed: ZeroDivisionError"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(1), "interrupted"),  # what Lightning makes of Ctrl-C
    ],
)
def test_records_how_it_ended(error: BaseException, outcome: str, tmp_path: Path) -> None:
    expected = KeyboardInterrupt if outcome == "interrupted" else type(error)
    with pytest.raises(expected), Run(tmp_path, "pretrain", CONFIG):
        raise error
    record = _read(tmp_path)
    assert record["outcome"] == outcome


def test_failure_in_a_loader_process_is_recorded_in_one_line(tmp_path: Path) -> None:
    text = "Caught VideoError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File\n"
    with pytest.raises(AulightError), Run(tmp_path, "pretrain", CONFIG):
        raise AulightError(f"{text}aulight.errors.VideoError: a.mp4: damaged; remove it\n")
    assert _read(tmp_path)["outcome"] == "failed: a.mp4: damaged; remove it"


@pytest.mark.parametrize("outcome", ["done", "running", "failed: x", "interrupted"])
def test_other_settings_are_refused_and_listed(outcome: str, tmp_path: Path) -> None:
    _run(tmp_path, outcome, checkpoint=True)
    other = {**CONFIG, "steps": 8, "model": {"size": 32}}
    with pytest.raises(AulightError, match=r"model.size was 64, is 32; steps was 4, is 8") as caught:
        Run(tmp_path, "pretrain", other)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_that_change_no_result_may_differ(tmp_path: Path) -> None:
    _run(tmp_path, "running", checkpoint=True)
    Run(tmp_path, "pretrain", {**CONFIG, "data": {"root": "b"}, "loader": {"workers": 2, "batch": 2}, "threads": 1})
    with pytest.raises(AulightError, match=r"loader\.batch was 2, is 3"):
        Run(tmp_path, "pretrain", {**CONFIG, "loader": {"workers": 2, "batch": 3}})


@pytest.mark.parametrize(("outcome", "allowed"), [("failed: steps", True), ("interrupted", True), ("running", False)])
def test_a_run_that_got_nowhere_may_be_tried_with_other_settings(outcome: str, allowed: bool, tmp_path: Path) -> None:
    _run(tmp_path, outcome)
    if allowed:
        assert Run(tmp_path, "pretrain", {**CONFIG, "steps": 8}).record.config["steps"] == 8
    else:
        with pytest.raises(AulightError, match="steps was 4"):
            Run(tmp_path, "pretrain", {**CONFIG, "steps": 8})


def test_time_adds_up_over_the_parts_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(tmp_path, "interrupted", checkpoint=True, wall_s=100.0)
    now = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Run(tmp_path, "pretrain", CONFIG):
        now[0] = 57.0
    assert _read(tmp_path)["wall_s"] == 107.0


@pytest.mark.parametrize(
    "content", [b"", b"[1, 2", b"- 1", b"\xff\xfe\x00", b"outcome: done", b"config: 3", b"a: b: c"]
)
def test_damaged_record(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_bytes(content)
    with pytest.raises(AulightError, match="move the run directory away") as caught:
        Run(tmp_path, "pretrain", CONFIG)
    assert str(tmp_path / "run.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_record_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Run(tmp_path, "pretrain", CONFIG) as run:
        before = _read(tmp_path)

        def full_disk(self: Path, text: str) -> None:
            with self.open("w") as file:
                file.write(text[:50])
            raise OSError(28, os.strerror(28))

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", full_disk)
            with pytest.raises(OSError, match="No space"):
                run.update(steps=4)
        assert _read(tmp_path) == before


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    run = Run(tmp_path, "pretrain", CONFIG)
    run.checkpoints.mkdir()
    for path in (tmp_path / "run.yaml", run.checkpoints / "last.ckpt"):
        with whole(path) as temporary:
            temporary.touch()
        path.rename(temporary)
    with run:
        assert list(run.checkpoints.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints", "run.yaml"}


def test_installed_package_has_no_revision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "aulight" / "runs" / "machine.py"))
    assert machine.git_revision() is None


@pytest.mark.parametrize("stage", ["pretrained", "finetuned"])
def test_a_finished_run_is_left_alone(
    stage: str, request: pytest.FixtureRequest, aulight: Command, tiny_pretrain: list[str], tiny_finetune: list[str]
) -> None:
    folder: Path = request.getfixturevalue(stage)
    command = tiny_pretrain
    if stage == "finetuned":
        command = [*tiny_finetune, f"pretrained={request.getfixturevalue('pretrained')}"]
    files = [path for path in folder.rglob("*") if path.is_file() and ".hydra" not in path.parts]
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}
    outcome = aulight(*command, f"root={folder.parent}", "name=run")
    assert outcome.status == 0
    assert outcome.out == f"run: already done ({folder})\n"
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files} == before


def test_record_of_a_stage_two_run(finetuned: Path, pretrained: Path) -> None:
    record = _read(finetuned)
    assert record["outcome"] == "done"
    assert (record["arm"], record["fold"], record["labelled_frames"]) == ("pretrained", 1, 36)
    assert (record["label_fraction"], record["seed"], record["label_seed"], record["steps"]) == (0.1, 0, 0, 6)
    assert {len(record["protocol"][part]) for part in ("validation", "test")} == {3}
    assert len(record["protocol"]["train"]) == 6
    assert set(record["test"]) == {"icc", "mae", "mse", "pearson", "per_au"}
    assert len(record["train_label_mean"]) == len(record["test"]["per_au"]) == 12
    assert record["config"]["pretrained"] == str(pretrained)
    assert record["skipped"] == {}


def test_another_process_at_work(tmp_path: Path) -> None:
    held = "import sys\nfrom pathlib import Path\nfrom aulight.runs.run import Run\n"
    held += "with Run(Path(sys.argv[1]), 'pretrain', {}):\n    print('in', flush=True)\n    sys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", held, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(AulightError, match="another process"), Run(tmp_path, "pretrain", {}):
            pass
        other.stdin.close()
        assert other.wait(60) == 0
    with Run(tmp_path, "pretrain", {}) as run:
        assert run.record.outcome == "running"


@pytest.mark.parametrize("name", ["metrics.csv", "predictions.parquet", "checkpoints/last.ckpt"])
def test_a_users_own_files_are_not_written_over(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(AulightError, match="there already, and no run of aulight"):
        Run(tmp_path, "finetune", CONFIG)
    assert (tmp_path / name).read_text() == "mine"


def test_nothing_but_the_run_stays_however_it_ends(tmp_path: Path) -> None:
    for outcome in (None, ValueError):
        with contextlib.suppress(ValueError), Run(tmp_path, "pretrain", {}) as run:
            assert is_taken(tmp_path / "run.yaml")
            if outcome:
                raise outcome
        assert not is_taken(tmp_path / "run.yaml")
        assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]
        assert run.record.outcome in ("done", "failed: ValueError")
    for name in (".lock", ".aulight-0123456789abcdef.lock", ".aulight-0123456789abcdef.tmp.yaml"):
        (tmp_path / name).touch()  # as of a process that was killed
    with Run(tmp_path, "pretrain", {}):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


def test_other_data(tmp_path: Path) -> None:
    with Run(tmp_path, "pretrain", {}) as run:
        run.update(dataset={"fingerprint": "a"})
        run.checkpoints.mkdir()
        (run.checkpoints / "last.ckpt").touch()
    Run(tmp_path, "pretrain", {}).check_data("a")
    with pytest.raises(AulightError, match="another version of the dataset"):
        Run(tmp_path, "pretrain", {}).check_data("b")
