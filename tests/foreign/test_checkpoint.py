"""Checkpoints of strangers: one line with the file's name, in no time and no memory, and no code of theirs runs."""

import io
import os
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from aulight.errors import AulightError
from aulight.foreign.checkpoint import read_checkpoint

ENCODER = {"backbone": "resnet_tiny", "temporal": "gru", "size": 32, "embedding": 8, "hidden": 8, "skip": True}
ENCODER |= {"norm": "batch", "small_input": False, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
LATER = {"margin": 0, "contrast": "fixed"}
"""What a checkpoint of an earlier aulight does not say."""


def _plain() -> dict[str, Any]:
    return {
        "hyper_parameters": {"encoder": dict(ENCODER), "aus": [1, 2], "stride": 2},
        "state_dict": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)},
        "global_step": 5,
    }


def _file(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def test_what_torch_wrote_is_read(tmp_path: Path) -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    extra = {"optimizer_states": [optimizer.state_dict()], "half": torch.ones(2, dtype=torch.bfloat16)}
    extra |= {"state_dict": _plain()["state_dict"] | {"p": torch.nn.Parameter(torch.ones(2))}}
    saved = read_checkpoint(_file(tmp_path / "a.ckpt", _plain() | extra))
    assert (saved.network.model_dump(), saved.settings["stride"], saved.step) == (ENCODER | LATER, 2, 5)
    assert torch.equal(saved.weights["a"], _plain()["state_dict"]["a"])


ODD: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no settings": (lambda c: c.pop("hyper_parameters"), "KeyError"),
    "no weights": (lambda c: c.pop("state_dict"), "KeyError"),
    "no step": (lambda c: c.pop("global_step"), "KeyError"),
    "settings that are none": (lambda c: c.update(hyper_parameters=None), "TypeError"),
    "settings in a list": (lambda c: c.update(hyper_parameters=[1]), "TypeError"),
    "no network": (lambda c: c["hyper_parameters"].update(encoder=None), "NoneType"),
    "weights in a list": (lambda c: c.update(state_dict=[1]), "list in place of dict"),
    "a weight that is none": (lambda c: c["state_dict"].update(a=None), "weight 'a' is none"),
    "a weight that is text": (lambda c: c["state_dict"].update(a="x"), "weight 'a' is none"),
    "a weight without name": (lambda c: c["state_dict"].update({5: torch.ones(1)}), "weight '5' is none"),
    "a step that is text": (lambda c: c.update(global_step="x"), "str in place of int"),
    "another network": (lambda c: c["hyper_parameters"]["encoder"].update(heads=2), r"encoder\.heads"),
    "a network of no size": (lambda c: c["hyper_parameters"]["encoder"].update(size=0), r"encoder\.size=0: at least 1"),
    "a huge one": (lambda c: c["hyper_parameters"]["encoder"].update(size=10**9), r"encoder\.size=1000000000: at most"),
    "one of huge state": (lambda c: c["hyper_parameters"]["encoder"].update(hidden=10**9), r"encoder\.hidden="),
    "a download": (lambda c: c["hyper_parameters"]["encoder"].update(backbone="timm:hf-hub:a/b"), "one of resnet_tiny"),
    "no colours": (lambda c: c["hyper_parameters"]["encoder"].update(mean=[float("nan")] * 3), r"encoder\.mean"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_fields(name: str, tmp_path: Path) -> None:
    change, why = ODD[name]
    content = _plain()
    change(content)
    path = _file(tmp_path / "odd.ckpt", content)
    with pytest.raises(AulightError, match=why) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


class _Calls:
    """Pickled, it is a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def _zip(path: Path, described: bytes, kind: int = zipfile.ZIP_STORED, storage: int = 0) -> Path:
    """A checkpoint around a pickle, as torch lays it out, and one storage of so many MB of zeros."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("a/data.pkl", described)
        archive.writestr("a/version", "3\n")
        archive.writestr("a/byteorder", "little")
        with archive.open("a/data/0", "w") as file:
            for _ in range(storage):
                file.write(bytes(2**20))
    return path


def _pickled(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))


HOSTILE: dict[str, bytes] = {
    "code": pickle.dumps(_Calls(os.system, "touch owned"), 2),
    "memory for nothing": pickle.dumps(_Calls(bytearray, 2**33), 2),
    "a tensor of any size": pickle.dumps(_Calls(torch.Tensor, 2**31), 2),
    "deep marks": b"\x80\x02" + b"(" * 100_000 + b".",
    "deep lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "many steps": b"\x80\x02" + b"]0" * 2_000_000 + b"].",
    "a long text that is not there": b"\x80\x02X\xff\xff\xff\x7fab.",
    "a long number": b"\x80\x02\x8b\xff\xff\xff\x7fab.",
    "a text": b"hello",
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_pickles_of_others(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = _zip(tmp_path / "a.ckpt", HOSTILE[name])
    with pytest.raises(AulightError, match=r"a\.ckpt: not a checkpoint of aulight"):
        read_checkpoint(path)
    assert not Path("owned").exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def test_files_that_give_more_than_they_are(tmp_path: Path) -> None:
    """Some MB of a zip hold 6 GB: 200 MB here, of which nothing is unpacked."""
    described = _pickled(_file(tmp_path / "a.ckpt", _plain()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = _zip(tmp_path / "a.ckpt", described, zipfile.ZIP_DEFLATED, storage=200)
    with pytest.raises(AulightError, match=r"a\.ckpt: not a checkpoint of aulight \(compressed"):
        read_checkpoint(path)
    # parts that lie over one another: each entry of the list points at the same bytes
    stored = _zip(tmp_path / "b.ckpt", described, storage=3).read_bytes()
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        start = archive.start_dir
        entries = len(archive.namelist())
    directory = stored[start : stored.index(b"PK\x05\x06", start)]
    last = directory[directory.rindex(b"PK\x01\x02") :]
    many = directory + last * 500
    end = b"PK\x05\x06" + bytes(4) + (entries + 500).to_bytes(2, "little") * 2
    end += len(many).to_bytes(4, "little") + start.to_bytes(4, "little") + bytes(2)
    path.write_bytes(stored[:start] + many + end)
    with pytest.raises(AulightError, match=r"a\.ckpt: not a checkpoint of aulight \(its parts are larger"):
        read_checkpoint(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04" + bytes(60), bytes(10_240)])
def test_what_is_no_zip(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(data)
    with pytest.raises(AulightError, match=r"a\.ckpt: not a checkpoint of aulight \(BadZipFile\)"):
        read_checkpoint(path)
    torch.save(_plain(), path, _use_new_zipfile_serialization=False)  # as torch wrote before 1.6
    with pytest.raises(AulightError, match=r"a\.ckpt: not a checkpoint of aulight \(BadZipFile\)"):
        read_checkpoint(path)
