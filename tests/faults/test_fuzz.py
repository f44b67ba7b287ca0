"""Files that nobody would write: from one that is right, by changes at random; each is read, or refused by its name.

What is refused is refused in a message that names the file, within seconds and little memory; nothing else is raised.
Some changes of each kind are tried with the quick tests, and all with ``make test-faults``.
"""

import contextlib
import copy
import json
import random
import resource
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aulight.data.sources.codes import read_codes
from aulight.data.sources.reading import read
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.foreign.checkpoint import read_checkpoint
from aulight.foreign.yaml import read_yaml
from aulight.prediction.card import model_card
from aulight.prediction.graph import check_graph
from aulight.prediction.loading import load
from aulight.prediction.seal import OPEN, write_sealed
from aulight.runs.record import BegunFinetune, check_settings, complete, read_record
from tests.faults.trials import some
from tests.prediction.made import AUS, COLOURS, NETWORK, SIZE, description, sealed, weights

QUICK = 25
LONG = len(some(range(1500)))
SECONDS, MEGABYTES = 5, 1000

budgets = pytest.mark.parametrize("examples", [QUICK, pytest.param(LONG, marks=pytest.mark.faults)])
seeds = st.integers(0, 2**64 - 1)

TOKENS = [
    *[b"", b"\0", b"\n", b"\r", b",", b";", b"\t", b'"', b"'", b" ", b".", b"-", b"+", b"_", b"0", b"1", b"9" * 30],
    *[b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1b[2J", "é".encode(), "１".encode(), "\u2028".encode(), b"\x85"],
    *[
        b"nan",
        b"inf",
        b"1e999",
        b"1_0",
        b"0x1f",
        b"1.000",
        b"null",
        b"true",
        b"~",
        b"[",
        b"]",
        b"{",
        b"}",
        b": ",
        b"- ",
    ],
    *[b"&a ", b"*a", b"!!int ", b"!!python/name:os.system ", b"<<: ", b"? ", b"|", b">", b"#", b"---\n", b"%YAML 9\n"],
    *[b"AU01", b"AU00", b"AU1", b"frame", b"video", b"time_s", b"subject", b"x" * 2000, b"," * 2000, b"[" * 2000],
]
"""What readers stumble over."""

VALUES: list[Any] = [
    *[None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, 10**1000, 0.5, -0.0, 1e300, float("nan"), float("inf")],
    *["", "x", "1", "é", "\0", "\x1b[2J", "a\nb", "x" * 5000, "timm:hf-hub:a/b", "timm:resnet18", "../../etc/passwd"],
    *[[], [[]], [None], [1] * 200, {}, {"": 1}, {"a": {"a": {}}}],
]


def _edited(data: bytes, seed: int) -> bytes:
    """Some places replaced, cut, doubled or moved."""
    rng = random.Random(seed)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        start = rng.randrange(len(data) + 1)
        stop = min(len(data), start + rng.choice([0, 0, 1, 1, 2, 5, 50, 1000]))
        part = data[start:stop]
        put = rng.choice([rng.choice(TOKENS), bytes([rng.randrange(256)]), part * 2, part[::-1], part * 300])
        data = data[:start] + put + data[stop:]
        if rng.random() < 0.05:
            data = data[: rng.randrange(len(data) + 1)]
    return data


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*place, key)
        yield from _places(value[key], (*place, key))


def _changed(value: dict[str, Any], seed: int) -> dict[str, Any]:
    """Some values replaced by others, left out, or put in one another's place."""
    rng, value = random.Random(seed), copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = list(_places(value))
        *groups, last = rng.choice(places)
        part: Any = value
        for group in groups:
            part = part[group]
        what = rng.random()
        if what < 0.1:
            del part[last]
        elif what < 0.2 and isinstance(part, dict):
            part[rng.choice(["", "a", "\x1b", "encoder", "name"])] = rng.choice(VALUES)
        elif what < 0.3:
            part[last] = [part[last]]
        elif what < 0.4 and isinstance(part[last], int | float):
            part[last] = rng.choice(
                [part[last] + 1, -part[last], part[last] * 10**9, float(part[last]), str(part[last])]
            )
        else:
            part[last] = copy.deepcopy(rng.choice(VALUES))
        if not value:
            break
    return value


@contextlib.contextmanager
def _read_or_refused(path: Path) -> Iterator[None]:
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = path.name
    try:
        yield
    except AulightError as error:
        message = str(error)
    lines = message.splitlines()
    assert path.name in message
    assert len(lines) <= 21
    assert all(len(line) < 1000 for line in lines)
    assert all(line.isprintable() for line in lines)
    assert time.process_time() - start < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000 < MEGABYTES


def _fuzz(attempt: Callable[[int], None], examples: int) -> None:
    """Calls it with so many seeds; hypothesis keeps one at which it fails."""
    checks = list(HealthCheck)
    options = settings(max_examples=examples, deadline=None, suppress_health_check=checks, database=None)
    options(given(seeds)(lambda seed: attempt(seed)))()


# ---- tables -----------------------------------------------------------------------------------------------------

LABELS = [
    b"video,frame,time_s,AU01,AU04,AU12\na,3,0.12,,,\na,12,0.48,3,0,1\nday_1__b,0,0,5,,2\na,7,0.28,0,1,1\n",
    b'\xef\xbb\xbfvideo;time_s;AU1;au12\r\na.mp4;1,25;3;\r\n"day 1/b";0,5;0;2\r\n',
    "video\ttime_s\tAU06\na\t1.25\t3\na\t2.5\t0\n".encode("utf-16"),
]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    for name in ("a.mp4", "day 1/b.avi"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return folder


@budgets
def test_tables_of_labels(examples: int, raw: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"

    def attempt(seed: int) -> None:
        path.write_bytes(_edited(LABELS[seed % len(LABELS)], seed))
        with _read_or_refused(path):
            data = read("folder", raw, [path], None, fps=25.0)
            for video in data.videos:
                if video.labels is not None:
                    values = video.labels.to_numpy(np.float64, na_value=np.nan)
                    assert ((values >= 0) & (values <= 5) & (values == values.round()) | np.isnan(values)).all()
                    assert (video.labels.index.to_numpy() >= 0).all()
            assert all(1 <= au <= 99 for au in data.aus)

    _fuzz(attempt, examples)


@budgets
def test_tables_of_subjects(examples: int, raw: Path, tmp_path: Path) -> None:
    path = tmp_path / "subjects.csv"

    def attempt(seed: int) -> None:
        path.write_bytes(_edited(b"video;subject;age\nday 1/b.avi;Ann;31\na;007;32\n", seed))
        with _read_or_refused(path):
            assert all(video.subject for video in read("folder", raw, [], path, fps=25.0).videos)

    _fuzz(attempt, examples)


@budgets
def test_files_of_codes(examples: int, tmp_path: Path) -> None:
    path = tmp_path / "F001_T1_AU06.csv"

    def attempt(seed: int) -> None:
        path.write_bytes(_edited(b"2440,0\n2441,1\n2442,9\n2443,5\n", seed))
        with _read_or_refused(path):
            frames, values = read_codes(path, 9)
            assert all(frame >= 0 for frame in frames)
            assert {*values} <= {None, 0, 1, 2, 3, 4, 5}

    _fuzz(attempt, examples)


# ---- records ----------------------------------------------------------------------------------------------------

RUN: dict[str, Any] = {
    "command": "finetune",
    "config": {
        "data": {"root": "data/faces"},
        "model": {**NETWORK, **COLOURS},
        "name": "run",
        "clip": {"stride": [1, 2]},
    },
    "wall_s": 2.5,
    "outcome": "done",
    "versions": {"python": "3.11.7", "aulight": "0.1.0"},
    "git": None,
    "arm": "pretrained",
    "fold": 1,
    "label_fraction": 0.02,
    "labelled_frames": 7,
    "label_seed": 0,
    "seed": 0,
    "train_label_mean": {"AU01": 0.857143},
    "dataset": {"name": "faces", "fingerprint": "41a0b2ab831962bf", "aus": [1], "fps": 25.0, "crop_size": 64},
    "protocol": {"train": ["S1"], "validation": ["S2"], "test": ["S3"], "name": "own", "fold": 1},
    "stage_one": {"dataset": "faces", "own_frames": True, "subjects": 18, "unlabelled_subjects": 12},
    "steps": 20,
    "skipped": {"a.mp4: damaged": 2},
    "validation": {"icc": 0.06},
    "test": {"icc": 0.01, "mae": 0.7, "mse": 1.3, "per_au": {"AU01": 0.467}},
}


def _yaml(value: dict[str, Any], seed: int) -> bytes:
    """A YAML file whose values are changed, or its bytes, or both."""
    if seed % 3:
        value = _changed(value, seed)
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()
    return text if seed % 3 == 1 else _edited(text, seed)


@budgets
def test_records_of_runs(examples: int, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"

    def attempt(seed: int) -> None:
        path.write_bytes(_yaml(RUN, seed))
        with _read_or_refused(path):
            record = read_record(tmp_path)
            assert record is not None
            begun = complete(record, BegunFinetune, tmp_path)
            check_settings(begun, tmp_path)
            assert isinstance(begun.name, str)
            assert isinstance(begun.is_network, bool)
            assert isinstance(begun.settings, dict)

    _fuzz(attempt, examples)


@budgets
def test_descriptions_of_datasets(examples: int, smoke_data: Path, tmp_path: Path) -> None:
    said = yaml.safe_load((smoke_data / "dataset.yaml").read_text())
    for path in smoke_data.iterdir():
        if path.name != "dataset.yaml":
            (tmp_path / path.name).symlink_to(path)
    path = tmp_path / "dataset.yaml"

    def attempt(seed: int) -> None:
        path.write_bytes(_yaml(said, seed))
        try:
            with _read_or_refused(path):
                data = PreparedDataset(tmp_path)
                assert all(1 <= au <= 99 for au in data.aus)
                assert 0 < data.fps < float("inf")
        except AssertionError:
            # the tables beside it, which no longer agree with it, may be what a message names
            with pytest.raises(AulightError, match=r"dataset\.yaml|parquet"):
                PreparedDataset(tmp_path)

    _fuzz(attempt, examples)


@budgets
def test_yaml_is_what_the_library_reads(examples: int, tmp_path: Path) -> None:
    """Oracle: PyYAML's own safe reader, for all that is taken; libyaml's, which takes more tabs than the other."""
    path, loader = tmp_path / "a.yaml", getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def attempt(seed: int) -> None:
        text = b"a: &a [1, 2.5, x]\nb: {c: *a, d: 'e'}\n? f\n: - 2026-01-31\n  - |\n    g\n"
        path.write_bytes(_edited(text, seed))
        with _read_or_refused(path):
            assert repr(read_yaml(path)) == repr(yaml.load(path.read_text(encoding="utf-8-sig"), loader))

    _fuzz(attempt, examples)


# ---- models -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> dict[str, torch.Tensor]:
    return weights()


@budgets
def test_headers_of_models(examples: int, tmp_path: Path, made: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "a.aulight"

    def attempt(seed: int) -> None:
        said: Any = _changed(description(), seed) if seed % 3 else description()
        if seed % 3 != 1:
            said = _edited(json.dumps(said).encode(), seed).decode(errors="replace")
        sealed(path, said, made)
        with _read_or_refused(path):
            model = load(path)
            model_card(model.description)
            model.description.header()
            assert model.scorer().push(np.zeros((3, SIZE, SIZE, 3), np.uint8)).shape == (3, len(AUS))

    _fuzz(attempt, examples)


@budgets
def test_bytes_of_models(examples: int, tmp_path: Path, made: dict[str, torch.Tensor]) -> None:
    """Under a seal that holds."""
    whole = sealed(tmp_path / "whole.aulight", description(), made).read_bytes()
    start = whole.index(b"aulight-sha256:")
    whole = whole[:start] + OPEN + whole[start + len(OPEN) :]
    path = tmp_path / "a.aulight"

    def attempt(seed: int) -> None:
        # most changes to the head, which is a hundredth of the file
        cut = len(whole) if seed % 4 == 0 else 12_000
        write_sealed(path, _edited(whole[:cut], seed) + whole[cut:])
        with _read_or_refused(path):
            load(path)

    _fuzz(attempt, examples)


@pytest.mark.faults
def test_bytes_of_graphs(tmp_path: Path, made: dict[str, torch.Tensor]) -> None:
    pytest.importorskip("onnx")
    from aulight.prediction.onnx import write_onnx

    write_onnx(load(sealed(tmp_path / "a.aulight", description(), made)), tmp_path / "a.onnx")
    whole = (tmp_path / "a.onnx").read_bytes()
    check_graph(whole)

    def attempt(seed: int) -> None:
        start = time.process_time()
        with contextlib.suppress(ValueError):
            check_graph(_edited(whole[-30_000:] if seed % 2 else whole[:30_000], seed))
        assert time.process_time() - start < SECONDS

    _fuzz(attempt, LONG)


@budgets
def test_checkpoints(examples: int, tmp_path: Path, made: dict[str, torch.Tensor]) -> None:
    plain: dict[str, Any] = {"encoder": {**NETWORK, **COLOURS}, "aus": list(AUS), "stride": 2, "loss": "mse"}
    path, parts = tmp_path / "best.ckpt", dict[str, bytes]()

    def save(settings: dict[str, Any]) -> None:
        torch.save({"hyper_parameters": settings, "state_dict": {"a": torch.ones(3)}, "global_step": 5}, path)

    save(plain)
    with zipfile.ZipFile(path) as archive:
        parts.update({name: archive.read(name) for name in archive.namelist()})
    whole = path.read_bytes()

    def attempt(seed: int) -> None:
        if seed % 3 == 0:
            path.write_bytes(_edited(whole, seed))
        elif seed % 3 == 1:
            save(_changed(plain, seed))
        else:
            with zipfile.ZipFile(path, "w") as archive:
                for name, data in parts.items():
                    archive.writestr(name, _edited(data, seed) if name.endswith("data.pkl") else data)
        with _read_or_refused(path):
            read_checkpoint(path)

    _fuzz(attempt, examples)
