"""Sweeps with every launcher, cut off in every way; the oracle is always the run typed alone and left alone."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import psutil
import pytest
import torch
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from aulight.runs import gpus, sweep_job, sweep_plan
from aulight.runs.composed import composed, conf_dir
from aulight.runs.overrides import Typed
from aulight.settings.model import DEFAULT

Command = Callable[..., Any]
WAIT_S = 400

# Every process imports it at its start. The job of one run stops in its 5th step and says so, or has a bug there.
HOOK = """
import os, sys

if "AULIGHT_JOB" in os.environ and f"hydra.run.dir='{os.environ['AT']}'" in sys.orig_argv:
    import signal
    from aulight.training.progress import Progress

    original = Progress.on_train_batch_end

    def hook(self, trainer, *rest):
        original(self, trainer, *rest)
        if trainer.global_step == 5:
            if "HERE" not in os.environ:
                raise ValueError("a bug,\\nin two lines")
            with open(os.environ["HERE"], "w") as file:
                file.write(str(os.getpid()))
            while True:
                signal.pause()

    Progress.on_train_batch_end = hook
"""


def swept(*settings: str, **variables: object) -> subprocess.Popen[str]:
    """Starts a sweep in a group of processes of its own, as a shell does."""
    command, *rest = settings
    return subprocess.Popen(
        [sys.executable, "-m", "aulight", command, "-m", *rest],
        env=os.environ | {name: str(value) for name, value in variables.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Status, stdout and stderr of a process."""
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out, err


def record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((run / "run.yaml").read_text())
    return found


def assert_same_run(run: Path, undisturbed: Path) -> None:
    """Equal to the bit: weights and predictions."""
    assert record(run)["outcome"] == "done"
    one, other = (torch.load(r / "checkpoints" / "last.ckpt", weights_only=True) for r in (run, undisturbed))
    assert one["global_step"] == other["global_step"]
    for key, value in one["state_dict"].items():
        torch.testing.assert_close(value, other["state_dict"][key], rtol=0, atol=0, equal_nan=True)
    one, other = (pd.read_parquet(r / "predictions.parquet") for r in (run, undisturbed))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


# ---- what is run ------------------------------------------------------------------------------------------------


class Job(NamedTuple):
    """A job as a launcher starts it."""

    folder: Path
    config: Any


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that are started; they are noted instead of run, whatever stage one and datasets are there."""
    jobs: list[Job] = []

    def note(command: str, config: Any) -> None:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        jobs.append(Job(Path(HydraConfig.get().runtime.output_dir), plain))

    monkeypatch.setattr(sweep_job, "run_job", note)
    monkeypatch.setattr(sweep_plan, "check_ahead", lambda *_: None)
    return jobs


EXPERIMENTS = {  # runs of stage one and of stage two, with one seed
    "label_efficiency": (1, 2 * 6),
    "backbones": (4, 4 * 2),
    "objectives": (6, 6),
    "pretraining_data": (4, 4),
    "reproduce": (1, 4 + 2 * 3),
    "reproduce-full": (1, 4 + 4 * 7),
    "smoke": (1, 4 + 2),
    "avatars": (1, 5 + 3 * 3),
    "disfa": (3, 3 * 3 * 4),
    "bp4d": (1, 3 * 4),
    "tries": (1, 10 * 4),
}


def test_every_experiment_is_among_those_tested() -> None:
    assert EXPERIMENTS.keys() == {path.stem for path in conf_dir().glob("experiment/*.yaml")}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes(experiment: str, aulight: Command, launched: list[Job], tmp_path: Path) -> None:
    """No two runs share a folder, and stage two starts from those that stage one of the same experiment fills."""
    where = ["-m", f"experiment={experiment}", "hydra/launcher=basic", f"runs={tmp_path}", "seed=0"]
    folders: dict[str, set[Path]] = {}
    for command, count in zip(("pretrain", "finetune"), EXPERIMENTS[experiment], strict=True):
        outcome = aulight(command, *where)
        assert (outcome.status, outcome.err) == (0, "")
        folders[command] = {job.folder for job in launched}
        assert len(folders[command]) == len(launched) == count
        if command == "pretrain":
            launched.clear()
    begun = {Path(job.config["pretrained"]) for job in launched if job.config["pretrained"] not in (None, DEFAULT)}
    assert begun == (folders["pretrain"] if len(launched) > 1 else set())


def test_what_is_typed_replaces_what_an_experiment_sweeps(
    aulight: Command, launched: list[Job], tmp_path: Path
) -> None:
    typed = ["label_fraction=0.5", "seed=7,8", "data=disfa", "fold=1,3"]
    assert aulight("finetune", "-m", "experiment=label_efficiency", f"runs={tmp_path}", *typed).status == 0
    assert [(j.config["arm"], j.config["label_fraction"], j.config["seed"], j.config["fold"]) for j in launched] == [
        (arm, 0.5, seed, fold) for arm, seed, fold in itertools.product(("pretrained", "scratch"), (7, 8), (1, 3))
    ]


def test_what_is_typed_replaces_settings_of_every_grid_and_no_run_is_run_twice(
    aulight: Command, launched: list[Job], tmp_path: Path
) -> None:
    """Both grids of `reproduce` have pretrained and scratch with seed 0, once their label fractions are one."""
    typed = ["hydra/launcher=basic", f"runs={tmp_path}", "label_fraction=0.5"]
    assert aulight("finetune", "-m", "experiment=reproduce", *typed).status == 0
    assert [(j.config["arm"], j.config["label_fraction"], j.config["seed"]) for j in launched] == [
        (arm, 0.5, seed)
        for arm in ("scratch_equal_compute", "pretrained", "scratch", "scratch_strong")
        for seed in (0, 1, 2)
    ]
    assert [job.config["steps"] for job in launched] == [2600] * 3 + [200] * 9


def test_a_grid_can_be_left_out_or_changed_by_its_name(aulight: Command, launched: list[Job], tmp_path: Path) -> None:
    where = ["-m", "experiment=reproduce", "hydra/launcher=basic", f"runs={tmp_path}"]
    grids = ["hydra.sweeper.finetune.main=null", "hydra.sweeper.finetune.others.label_fraction='0.3,0.4'"]
    assert aulight("finetune", *where, *grids).status == 0
    assert [(j.config["arm"], j.config["label_fraction"]) for j in launched] == [
        (arm, fraction) for arm in ("pretrained", "scratch") for fraction in (0.3, 0.4)
    ]
    refused = aulight("finetune", *where, "+hydra.sweeper.finetune.seed='0,1'")
    assert refused.status == 2
    assert "hydra.sweeper.finetune: either settings with their values, or grids of them" in refused.err


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["loader.batch_size=2,0"], ["loader.batch_size=0", "at least 1"]),
        (["loder.batch_size=2,3"], ["loder.batch_size", "no such setting"]),
        (["loss=mse,smooth_l1"], ["the folder of two runs, loss=mse and loss=smooth_l1", "into name="]),
        (["start=pretrained,scratch"], ["stage_one_run", "experiment="]),
    ],
)
def test_a_mistake_that_can_be_seen_before_is_refused_before(
    settings: list[str], parts: list[str], aulight: Command, launched: list[Job], tmp_path: Path
) -> None:
    outcome = aulight("finetune", "-m", f"runs={tmp_path}", *settings)
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1, outcome.err
    assert all(part in outcome.err for part in parts), outcome.err
    assert launched == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["pretrained=null,/nowhere", "name='${seed}-${arm}'"], ["1 of 2 runs", "pretrained=/nowhere: no checkpoint"]),
        (
            ["data=folder", "data.name=mine", "data.size=", "seed=0,1"],
            ["2 of 2 runs", "no prepared dataset there"],
        ),
        (["label_fraction=null", "label_count=5,100000", "name=${label_count}"], ["1 of 2 runs", "label_count=100000"]),
        (["fold=1,2"], ["1 of 2 runs", "fold=2: protocol own has one fold"]),
    ],
)
def test_what_would_fail_is_refused_before(
    settings: list[str], parts: list[str], aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    where = [*tiny_finetune, f"runs={tmp_path}"]
    added = {setting.partition("=")[0] for setting in settings}
    given = [setting for setting in settings if not setting.endswith("=")]  # those without a value are left out
    outcome = aulight(*(old for old in where if old.partition("=")[0] not in added), "-m", *given)
    assert outcome.status == 2
    assert all(part in outcome.err for part in parts), outcome.err
    assert list(tmp_path.iterdir()) == []


def test_other_settings_than_a_run_has_are_refused_before(
    aulight: Command, tiny_finetune: list[str], finetuned: Path, tmp_path: Path
) -> None:
    shutil.copytree(finetuned, tmp_path / "0")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    outcome = aulight(*tiny_finetune, "-m", f"root={tmp_path}", "name=${seed}", "seed=0,1", "pretrained=null")
    assert outcome.status == 2
    assert "0: " in outcome.err
    assert "holds a run with other settings" in outcome.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_texts_survive_a_sweep(aulight: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The settings that a job's own process is given make what was typed for the sweep."""
    texts = ["2024_01", "1.10", "${HOME}/it's", "a\\${x}", "null", "b", "'q' z", "x=${seed}"]
    typed: list[list[str]] = []
    monkeypatch.setattr(sweep_job, "run_job", lambda command, _: typed.append(sweep_job._arguments(command, tmp_path)))
    monkeypatch.setattr(sweep_plan, "check_ahead", lambda *_: None)
    settings = ["label_seed=7", f"root={tmp_path}", "name=${label_seed}: ${arm}", f"arm={','.join(texts)}"]
    outcome = aulight("finetune", "-m", *settings, "hydra/launcher=basic")
    assert (outcome.status, outcome.err) == (0, "")
    seen = []
    for command, *arguments in typed:
        with composed(command, [Typed(command).readable(argument) for argument in arguments]) as config:
            seen.append((config.arm, config.name))
    assert seen == [(arm, f"7: {arm}") for arm in (text.replace("${seed}", "0") for text in texts)]


# Hydra looks for its plugins with this function.
WITHOUT_PLUGINS = """
import pkgutil, sys
from aulight.cli.main import main

walk = pkgutil.walk_packages
pkgutil.walk_packages = lambda *rest, **more: (m for m in walk(*rest, **more) if "launcher" not in m.name)
sys.argv = ["aulight", "finetune", "-m", "hydra/launcher=cores", "seed=0,1"]
main()
"""


def test_launchers_that_are_not_installed(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-c", WITHOUT_PLUGINS], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert refused.stderr == "aulight: hydra/launcher/joblib: is not installed; pip install 'aulight[sweep]'\n"


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (2, "aulight: no\n  such file\n", "no such file"),
        (3, "", "ended with status 3"),
        (-15, "", "killed by SIGTERM"),
        (1, 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: one\ntwo\n', "ValueError: one"),
        (
            1,
            'Traceback (most recent call last):\n  File "a.py", line 1\nKeyError: 1\n\nDuring handling of the above '
            'exception, another exception occurred:\n\nTraceback (most recent call last):\n  File "b.py"\nOSError: 2\n',
            "OSError: 2",
        ),
    ],
)
def test_reasons(status: int, said: str, reason: str) -> None:
    assert sweep_job._reason(status, said) == reason


def test_jobs_side_by_side_share_out_the_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    one = OmegaConf.create({"devices": 1, "accelerator": "auto"})

    def seen(job: ExitStack, **trainer: object) -> str | None:
        settings = OmegaConf.merge(one, trainer)
        assert isinstance(settings, DictConfig)
        return job.enter_context(gpus.own_gpu(settings)).get("CUDA_VISIBLE_DEVICES")

    with ExitStack() as others:
        assert seen(others) == "4"
        with ExitStack() as job:
            assert [seen(job), seen(job), seen(job)] == ["6", "4", "6"]
        assert seen(others) == "6"  # theirs are free again
        assert seen(others, accelerator="cpu") is None
        assert seen(others, devices=2) is None
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
        assert seen(others) is None


# ---- for real -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher", [["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], ["hydra/launcher=submitit_local"]]
)
def test_two_by_two(
    launcher: list[str], tiny_finetune: list[str], pretrained: Path, finetuned: Path, tmp_path: Path
) -> None:
    root = tmp_path / "one, two=2"
    settings = [*tiny_finetune, f"root='{root}'", f"pretrained={pretrained},null", "seed=0,1", *launcher]
    settings += ["loader.workers=1"]  # loader processes start from the launcher's, too
    status, _, err = ended(swept(*settings))
    assert status == 0, err
    names = [f"synthetic-fold1-{arm}-0.1-seed{seed}" for arm in ("pretrained", "scratch") for seed in (0, 1)]
    assert sorted(path.name for path in root.iterdir() if path.name[0] != ".") == names
    assert_same_run(root / names[0], finetuned)
    for name in names:
        assert record(root / name)["outcome"] == "done"
        assert {path.name for path in (root / name).iterdir()} == {path.name for path in finetuned.iterdir()}

    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    status, out, err = ended(swept(*settings))
    assert (status, err) == (0, "")
    assert [line.partition(" (")[0] for line in out.splitlines()] == [f"{name}: already done" for name in names]
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], psutil.Process]]]:
    """Starts a sweep and waits until the job of one run has stopped mid-training; the sweep and that job."""
    hook, here = tmp_path / "hook", tmp_path / "here"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK)
    os.mkfifo(here)
    started: list[subprocess.Popen[str]] = []

    def start(at: Path, *settings: str) -> tuple[subprocess.Popen[str], psutil.Process]:
        process = swept(*settings, PYTHONPATH=hook, AT=at, HERE=here)
        started.append(process)
        signal.alarm(WAIT_S)  # the deadline
        job = psutil.Process(int(here.read_text()))  # which waits for a writer
        signal.alarm(0)
        return process, job

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()


CUTS = [
    ("joblib", ["sweep killed", "job killed", "Ctrl-C"]),
    ("submitit_local", ["sweep killed"]),
    ("basic", ["Ctrl-C"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "cuts"), CUTS, ids=[launcher for launcher, _ in CUTS])
def test_cut_off_and_started_again_it_does_what_is_missing(
    launcher: str,
    cuts: list[str],
    stopped: Callable[..., tuple[subprocess.Popen[str], psutil.Process]],
    tiny_finetune: list[str],
    pretrained: Path,
    finetuned: Path,
    tmp_path: Path,
) -> None:
    """Two runs of the same settings, one after the other with joblib; the first one is cut off again and again."""
    root = tmp_path / "runs"
    settings = [*tiny_finetune, f"pretrained={pretrained}", f"root={root}", "name=a,b", f"hydra/launcher={launcher}"]
    settings += ["hydra.launcher.n_jobs=1"] if launcher == "joblib" else []
    for cut in cuts:
        process, job = stopped(root / "a", *settings)
        family = [job, *job.children(recursive=True)]
        if cut == "sweep killed":
            process.kill()
        elif cut == "job killed":
            job.kill()
        else:
            os.killpg(process.pid, signal.SIGINT)
        status = process.wait(WAIT_S)
        assert not psutil.wait_procs(family, timeout=30)[1], "the job outlived its sweep"
        _, _, err = ended(process)
        outcome = record(root / "a")["outcome"]
        if cut == "sweep killed":
            assert (status, outcome) == (-signal.SIGKILL, "running")
        elif cut == "job killed":
            assert status == 1
            assert err.splitlines()[-2:] == ["aulight: 1 of 2 runs failed:", f"a: {outcome.removeprefix('failed: ')}"]
            assert outcome.startswith("failed: killed by SIGKILL, as the system does when memory runs out: ")
            assert record(root / "b")["outcome"] == "done"  # the other went on
        else:
            assert status == 130
            assert err.splitlines()[-1] == "aulight: interrupted; the same command goes on where it was"
            assert outcome == "interrupted" or launcher == "joblib"  # which has no patience with its processes
    done = {path: path.stat().st_mtime_ns for path in root.glob("b/*")}
    status, out, err = ended(swept(*settings))
    assert status == 0, err
    if launcher != "submitit_local":  # its jobs print into files
        assert out.count("a: resumed at step 4\n") == 1
        assert out.count("b: already done") == (1 if "job killed" in cuts else 0)
    if "job killed" in cuts:
        assert {path: path.stat().st_mtime_ns for path in root.glob("b/*")} == done
    for name in ("a", "b"):
        assert_same_run(root / name, finetuned)
        assert len(pd.read_csv(root / name / "metrics.csv").dropna(subset="train/loss")) == 6


@pytest.mark.slow
def test_what_fails_is_recorded_and_listed_and_the_others_go_on(tiny_finetune: list[str], tmp_path: Path) -> None:
    """A bug, memory that runs out, a user's mistake; and what failed goes on once that is mended."""
    hook, root, missing = tmp_path / "hook", tmp_path / "runs", tmp_path / "missing"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK)
    settings = [*tiny_finetune, f"root={root}", "name='${if_pretrained:mistake,${model.hidden}}'"]
    settings += ["hydra/launcher=cores"]
    # a recurrent layer of 1,000,000 channels has 12 TB of weights
    status, _, err = ended(swept(*settings, "model.hidden=8,16,1000000", PYTHONPATH=hook, AT=root / "8"))
    assert status == 1
    assert err.splitlines()[-3:] == [
        "aulight: 2 of 3 runs failed:",
        f"8: ValueError: a bug, ({root / '8' / 'traceback.txt'})",
        f"1000000: {record(root / '1000000')['outcome'].removeprefix('failed: ')}",
    ]
    assert record(root / "8")["outcome"] == f"failed: ValueError: a bug, ({root / '8' / 'traceback.txt'})"
    assert 'raise ValueError("a bug' in (root / "8" / "traceback.txt").read_text()
    assert record(root / "1000000")["outcome"].startswith("failed: out of memory (")
    assert record(root / "16")["outcome"] == "done"
    assert "Traceback" not in err

    status, _, err = ended(swept(*settings, f"pretrained=null,{missing}", "model.hidden=8"))
    assert status == 2
    wrong = f"pretrained={missing}: no checkpoint at {missing}; give a stage-one run directory or .ckpt file"
    assert err.splitlines() == ["aulight: 1 of 2 runs cannot be done, so none is begun:", f"mistake: {wrong}"]
    assert not (root / "mistake").exists()

    status, out, err = ended(swept(*settings, "pretrained=null", "model.hidden=8"))
    assert status == 0, err
    assert "8: resumed at step 4\n" in out
    assert record(root / "8")["outcome"] == "done"
    assert not (root / "8" / "traceback.txt").exists()


@pytest.mark.slurm
@pytest.mark.parametrize("cut", ["killed and requeued", "told that its time is up"])
def test_slurm(
    cut: str,
    stopped: Callable[..., tuple[subprocess.Popen[str], psutil.Process]],
    tiny_finetune: list[str],
    pretrained: Path,
    finetuned: Path,
    tmp_path: Path,
) -> None:
    """Two jobs in the queue; one is cut off mid-training and put back, and goes on to what an undisturbed run gives."""
    if shutil.which("sinfo") is None or not subprocess.run(["sinfo", "-h"], capture_output=True, check=False).stdout:
        pytest.skip("no Slurm at work here")
    root = tmp_path / "runs"
    settings = [*tiny_finetune, f"pretrained={pretrained}", f"root={root}", "name=a,b", "hydra/launcher=slurm"]
    settings += [f"hydra.launcher.{key}=null" for key in ("gpus_per_node", "mem_gb")]
    settings += ["hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=10"]
    process, job = stopped(root / "a", *settings)
    queued = "_".join(job.environ()[f"SLURM_ARRAY_{name}_ID"] for name in ("JOB", "TASK"))
    (tmp_path / "hook" / "sitecustomize.py").unlink()  # the next time it does not stop
    command = ["scontrol", "requeue"] if cut == "killed and requeued" else ["scancel", "--signal=USR2"]
    subprocess.run([*command, queued], check=True)
    out, err = process.communicate(timeout=2 * WAIT_S)
    assert process.returncode == 0, f"{out}\n{err}"
    assert not job.is_running()
    (log,) = (root / ".submitit").glob(f"*/{queued}_0_log.out")
    assert "a: resumed at step 4\n" in log.read_text()
    for name in ("a", "b"):
        assert_same_run(root / name, finetuned)
