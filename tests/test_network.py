"""Nothing leaves the machine: every command watched by the kernel's own account, or else with sockets forbidden.

What may be seen is what stays here: Unix sockets, the kernel's own (netlink), and addresses of this machine. Looking up
a name is a call like any other.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aulight.data.faces.model_file import model_file
from aulight.data.video.write import write_video
from tests.data.faces.astronaut import film

HERE = re.compile(r'sa_family=AF_(UNIX|NETLINK|UNSPEC)|inet_addr\("127\.|inet_pton\(AF_INET6, "(::1|::ffff:127\.)')
ADDRESSED = re.compile(r"\b(connect|sendto|sendmsg|sendmmsg)\(.*sa_family=")
LOOK_UP = ("htons(53)", "io.systemd.Resolve")

FORBID = '''
"""Sockets forbidden: what is tried is written down and refused. A command that hangs ends, and shows where."""
import faulthandler, os, sys

faulthandler.dump_traceback_later(200, exit=True)

def forbid(event, arguments):
    if event == "socket.getaddrinfo" or event.startswith("socket.gethostby"):
        what = str(arguments[0])
        local = what in ("None", "localhost", "127.0.0.1", "::1")
    elif event in ("socket.connect", "socket.sendto"):
        what = str(arguments[1])
        local = not isinstance(arguments[1], tuple) or arguments[1][0] in ("localhost", "127.0.0.1", "::1")
    else:
        return
    if not local:
        with open(os.environ["TRIED"], "a") as tried:
            print(event, what, sys.argv, file=tried)
        raise OSError(f"forbidden: {event} {what}")

sys.addaudithook(forbid)
'''

Watch = Callable[..., tuple[list[str], str]]


def outgoing(trace: str) -> list[str]:
    """The calls in strace's account that address somebody outside this machine, or ask for a name."""
    return [
        line
        for line in trace.splitlines()
        if ADDRESSED.search(line) and (not HERE.search(line) or any(word in line for word in LOOK_UP))
    ]


@pytest.fixture(scope="module")
def strace(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command before a command that has it watched, or nothing where the system does not let us."""
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=network", "-e", "signal=none", "-o"]
    if shutil.which("strace") is None:
        return []
    trial = subprocess.run([*command, os.devnull, "true"], capture_output=True, check=False)
    return command if trial.returncode == 0 else []


@pytest.fixture
def watch(strace: list[str], tmp_path: Path) -> Watch:
    """Runs Python with arguments, as a user would who has set nothing; gives the calls, and what was printed."""
    (tmp_path / "forbid").mkdir()
    (tmp_path / "forbid" / "sitecustomize.py").write_text(FORBID)
    mine = ("WANDB_", "HYDRA_", "NO_ALBUMENTATIONS", "PYTHON")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(mine)}
    environment |= {"HOME": str(tmp_path), "AULIGHT_CACHE": str(model_file().parent), "TRIED": str(tmp_path / "tried")}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "forbid"), str(Path(__file__).parents[1])])

    def run(*arguments: object) -> tuple[list[str], str]:
        trace, tried = tmp_path / "trace", tmp_path / "tried"
        before = [*strace, str(trace)] if strace else []
        done = subprocess.run(
            [*before, sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        calls = outgoing(trace.read_text(errors="replace")) if strace else []
        return calls + (tried.read_text().splitlines() if tried.exists() else []), done.stdout + done.stderr

    return run


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "clip.mp4", (frame.image for frame in film(20)), 25)
    return tmp_path / "videos" / "clip.mp4"


def test_a_call_is_seen(watch: Watch, strace: list[str]) -> None:
    """The control. An address that is nobody's, and a datagram's socket, which sends nothing when it connects."""
    script = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    {}
"""
    connect = "one.connect(('192.0.2.1', 9))"
    calls, _ = watch("-c", script.format(f"try: {connect}\n    except OSError: pass"))
    assert any(call.startswith("socket.connect ('192.0.2.1', 9)") for call in calls)
    if strace:
        calls, _ = watch("-S", "-c", script.format(connect))  # without the site, and what it forbids
        assert any('inet_addr("192.0.2.1")' in call for call in calls)


def test_predict(watch: Watch, clip: Path) -> None:
    calls, said = watch("-m", "aulight", "predict", f"input={clip}", "output=scored")
    assert "20 frames" in said
    assert not calls


def test_the_library(watch: Watch) -> None:
    """albumentations asks for a newer version of itself when it is imported, unless it is told before."""
    calls, _ = watch("-c", "import aulight.data.augment")
    assert not calls


@pytest.mark.slow
def test_every_command(watch: Watch, clip: Path, tiny: list[str], tmp_path: Path) -> None:
    two = [*tiny, "pretrained=runs/one", "root=runs", "label_fraction=0.1"]
    runs = {
        "prepare": ["prepare", "data.name=mine", f"data.source={clip.parent}", f"data_dir={tmp_path / 'data'}"],
        "pretrain": ["pretrain", *tiny, "clip.length=6", "probe.every_epochs=1", "root=runs", "name=one"],
        "finetune": ["finetune", *two, "name=two"],
        "with W&B, which nobody has a key for": ["finetune", *two, "name=three", "seed=1", "logger=wandb"],
        "report": ["report", "runs=runs"],
        "export": ["export", "run=runs/two", "format=onnx", "output=model.onnx"],
        "predict": ["predict", "model=model.onnx", "faces=mediapipe", f"input={clip}", "output=scored"],
    }
    calls = {name: watch("-m", "aulight", *arguments)[0] for name, arguments in runs.items()}
    assert not {name: seen for name, seen in calls.items() if seen}
