"""Which precision is the faster one."""

import time

import pytest
import torch

from aulight.nets import precision
from aulight.nets.precision import AUTO, Speeds, choose, known, measure, slow_bf16


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(AUTO, raising=False)
    monkeypatch.setattr(precision, "_known", [])


def _as_if(monkeypatch: pytest.MonkeyPatch, fp32_ms: float, bf16_ms: float, instructions: bool = True) -> list[Speeds]:
    """A processor of such speeds; what was measured."""
    taken: list[Speeds] = []

    def fake() -> Speeds:
        taken.append(Speeds(fp32_ms, bf16_ms))
        return taken[-1]

    monkeypatch.setattr(precision, "measure", fake)
    flags = {"avx512_bf16": instructions, "avx2": True, "cpu_name": "bf16"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    return taken


@pytest.mark.parametrize(("bf16_ms", "taken"), [(1.0, True), (2.0, True), (3.0, False), (27.0, False)])
def test_bf16_where_it_is_faster_by_a_margin(bf16_ms: float, taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = _as_if(monkeypatch, 3.0, bf16_ms)
    choice = choose("cpu")
    assert choice.bf16 == taken
    assert choice.speeds == Speeds(3.0, bf16_ms) == known()
    assert f"{bf16_ms:.2g} ms in bf16, 3 ms in fp32" in choice.why
    assert choose("cpu") == choice
    assert len(measured) == 1  # once a process


def test_without_instructions_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = _as_if(monkeypatch, 3.0, 1.0, instructions=False)
    assert choose("cpu") == (False, "the processor has no instructions for bf16", None)
    assert measured == []
    assert known() is None


@pytest.mark.parametrize(("given", "taken"), [("32", False), ("bf16-mixed", True)])
def test_what_is_given_is_not_measured(given: str, taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = _as_if(monkeypatch, 3.0, 3.0)
    monkeypatch.setenv(AUTO, given)
    assert choose("cpu") == (taken, "", None)
    assert measured == []


@pytest.mark.parametrize("has", [True, False])
def test_a_gpu_says_itself(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has and not including_emulation)
    assert choose("cuda:1").bf16 == has
    assert (slow_bf16("cuda") is None) == has


def test_a_slow_one_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    _as_if(monkeypatch, 3.0, 27.0, instructions=False)
    assert slow_bf16("cpu") == "bf16 takes 9.0 times as long as fp32 here; 32 or auto is faster"
    monkeypatch.setattr(precision, "_known", [])
    _as_if(monkeypatch, 3.0, 3.2)
    assert slow_bf16("cpu") is None


def test_it_takes_less_than_a_second_of_one_thread_and_no_random_number() -> None:
    torch.set_num_threads(2)
    with torch.inference_mode():
        before, begin = torch.get_rng_state(), time.process_time()
        speeds = measure()
        assert time.process_time() - begin < 2  # 0.1 s; 0.6 where bf16 is slow; more where all is
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(0 < ms < 1000 for ms in speeds)
