"""What is typed for a path or a name is what the settings have; the oracle is what was typed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from aulight.errors import AulightError
from aulight.foreign.yaml import write_yaml
from aulight.runs.composed import composed, register_resolvers, settings_from
from aulight.runs.overrides import Typed, combinations, texts
from aulight.settings.commands import CLASSES

HOSTILE = [
    "2024_01_15", "1.10", "2024_01", "12:30:45", "2024-01-05", "007", "0x10", "0b1", "1_0", "1__0", "1e5",
    "1e400", ".5", "-5", "+3", "inf", "nan", "true", "No", "Null", "~", "Ⅷ", "１２", "  a  ", "a b", "\t",
    "a\nb", "\x01", "\ufeff", "\u202e", "é", "日本語", "a\udce9b", "a=b", "=a", "a,b", "a, b", "1,2", ",",
    "a:b", "{a: b}", "{", "}", "]", "[a", "(x)", "clip(1).mp4", "range(1,3)", "choice(a,b)", "glob(*)",
    "it's", '"', "'", "a'b\"c", "'a", "a'", "'a' b", "''a''x", "\\", "a\\", "\\\\'", "$HOME", "${HOME}",
    "${oc.env:HOME}", "${now:%Y}", "${", "${}", "a${b", "a\\${b}", "\\\\${b}\\", "$${x}", "${..name}",
    "???x", "a??", "#a", "a#b", "@x", "%", "!", "!!python/object:x", "&a", "*a", "- a", "? a", "|", ">",
    "`a`", "a;b", "<a>", "~/x", "--x",
]  # fmt: skip


def _read(override: str) -> Any:
    """What Hydra and OmegaConf make of a value."""
    value: Any = OverridesParser.create().parse_override(override).value()
    return OmegaConf.to_container(OmegaConf.create({"value": value}), resolve=True)["value"]  # type: ignore[call-overload,index]


@pytest.mark.parametrize("command", CLASSES)
def test_every_text_of_every_command_stays_as_it_was_typed(command: str) -> None:
    typed, once = Typed(command), 0
    for name, text in texts(command).items():
        for value in HOSTILE:
            assert _read(typed.readable(f"{name}={value}")) == value
            once += 1
            if text.items and "," not in value and value.strip() == value and not set("[](){}\"'") & set(value):
                assert _read(typed.readable(f"{name}=[x,{value}]")) == ["x", value]
        assert _read(typed.readable(f"{name}=null")) == (None if text.nullable else "null")
    assert once >= 3 * len(HOSTILE)


NEEDED = {"export": ["run"], "predict": ["input"], "prepare": ["data.source"], "report": ["runs"], "sample": ["output"]}


def _rounds(names: list[str]) -> Iterator[dict[str, str]]:
    """Every hostile text once, as many at a time as there are settings."""
    for at in range(0, len(HOSTILE), len(names)):
        yield dict(zip(names, (HOSTILE * 2)[at : at + len(names)], strict=True))


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("predict", ["input", "output", "model"]),
        ("prepare", ["data.name", "data.root", "data.source", "data_dir", "labels", "subjects", "faces.model"]),
        ("sample", ["data.name", "data.root", "data_dir", "output"]),
        ("label", ["data.name", "data.root", "data_dir", "sample", "output"]),
        ("agreement", ["sample", "output"]),
        ("pretrain", ["name", "runs", "root", "data_dir", "data.root", "trainer.strategy"]),
        ("finetune", ["name", "runs", "root", "data_dir", "data.root", "pretrained", "arm", "trainer.strategy"]),
        ("report", ["runs", "output", "reference"]),
        ("dashboard", ["project", "entity", "name"]),
        ("export", ["run", "licence"]),
    ],
)
def test_settings_have_what_was_typed(command: str, names: list[str]) -> None:
    register_resolvers()
    typed = Typed(command)
    for given in _rounds(names):
        overrides = [typed.readable(f"{name}={value}") for name, value in given.items()]
        with composed(command, overrides) as config:
            settings = settings_from(command, config)
        for name, value in given.items():
            found: Any = settings
            for part in name.split("."):
                found = getattr(found, part)
            assert found == value


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("pretrained=null", "pretrained=null"),
        ("name=plain/Name-1.x", "name=plain/Name-1.x"),
        ("name='x,y'", "name='x,y'"),
        ("steps=1_0", "steps=1_0"),
        ("clip.stride=[4,4]", "clip.stride=[4,4]"),
        ("stage_one=[0,1]", "stage_one=[0,1]"),
        ("model=resnet18", "model=resnet18"),
        ("hydra.sweeper.finetune.main=null", "hydra.sweeper.finetune.main=null"),
        ("hydra/launcher=cores", "hydra/launcher=cores"),
        ("~seed", "~seed"),
        ("+logger.tags=[a,1_0]", "+logger.tags=[a,'1_0']"),
        ("logger={project: 1_0, tags: [a, 2_0]}", "logger={project: '1_0', tags: [a,'2_0']}"),
        ("+arms.scratch=1_0", "+arms.scratch='1_0'"),
        ("name=a-${seed}", "name='a-${seed}'"),
        ("name=${if_pretrained:a,${model.hidden}}", "name='${if_pretrained:a,${model.hidden}}'"),
        ("name=${name}", "name='\\${name}'"),
    ],
)
def test_what_hydra_is_given(typed: str, read: str) -> None:
    assert Typed("finetune").readable(typed) == read


@pytest.mark.parametrize(
    ("typed", "runs"),
    [
        ("name=a,b", ["a", "b"]),
        ("name=2024_01, 1.10 ,null", ["2024_01", "1.10", "null"]),
        ("name='a,b',c", ["a,b", "c"]),
        ("name=${if_pretrained:a,b},c", ["b", "c"]),
        ("name=it's,b", ["it's", "b"]),
        ("name=[a", ["[a"]),
        ("name='[a,b'", ["[a,b"]),
        ("name='[a',b", ["[a", "b"]),
        ("name=choice(a,b)", ["a", "b"]),
    ],
)
def test_commas_part_the_values_of_a_sweep(typed: str, runs: list[str]) -> None:
    register_resolvers()
    seen = []
    for overrides in combinations([Typed("finetune", sweep=True).readable(typed)]):
        with composed("finetune", overrides) as config:
            seen.append(config.name)
    assert seen == runs


@pytest.mark.parametrize("typed", ["name=[a,b", "name=a(1,b", "name=a,{b", "name=[a,(b]"])
def test_a_bracket_that_is_left_open_in_a_sweep_is_asked_about(typed: str) -> None:
    with pytest.raises(AulightError, match="a bracket is left open") as caught:
        Typed("finetune", sweep=True).readable(typed)
    assert str(caught.value).startswith(f"{typed}: with -m")
    assert _read(Typed("finetune").readable(typed)) == typed.partition("=")[2], "without -m it is one text"


def test_a_file_that_is_called_as_what_is_missing_is_a_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """OmegaConf takes ``???`` for a value that is still to be given."""
    monkeypatch.chdir(tmp_path)
    assert Typed("predict").readable("input=???") == "input='???'"
    (tmp_path / "???").touch()
    assert Typed("predict").readable("input=???") == "input='./???'"


def test_a_name_is_no_path_whatever_lies_on_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The oracle is what is read where nothing lies there."""
    monkeypatch.chdir(tmp_path)
    given = ["???", "a,b", "'a'", "[x,y]", "${seed}"]
    settings = [
        ("prepare", "data.name"), ("pretrain", "name"), ("finetune", "arm"), ("finetune", "+arms.scratch"),
        ("finetune", "+logger.tags"), ("report", "videos"), ("dashboard", "project"),
    ]  # fmt: skip
    nowhere, there = list[str](), list[str]()
    for read in (nowhere, there):
        for command, name in settings:
            for sweep in (False, True):
                read += [Typed(command, sweep).readable(f"{name}={value}") for value in given]
            read.append(Typed("finetune").readable("+logger.tags=[x,???]"))
        for value in given:
            (tmp_path / value).touch()
    assert there == nowhere


def test_a_path_that_is_there_is_one_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["a,b.mp4", "[x,y]", "${fps}", "'a'", '"a b"', "choice(a)"]
    for name in names:
        (tmp_path / name).touch()
    for sweep in (False, True):
        assert [_read(Typed("predict", sweep).readable(f"input={name}")) for name in names[:5]] == names[:5]
        assert _read(Typed("prepare", sweep).readable("labels=[x,y]")) == "[x,y]"


def test_a_runs_name_says_how_many_labels_were_asked_for(tmp_path: Path) -> None:
    """0.1.0 called every number None: its runs go on as they are called, those with another number do not."""
    register_resolvers()

    def name(*asked: str) -> str:
        with composed("finetune", [f"runs={tmp_path}", "seed=3", *asked]) as config:
            return str(config.name)

    count = ("label_fraction=null", "label_count=50")
    assert name() == "synthetic-fold1-scratch-0.02-seed3"
    assert name("label_fraction=1.0") == "synthetic-fold1-scratch-1.0-seed3"
    assert name(*count) == "synthetic-fold1-scratch-50frames-seed3"
    before = tmp_path / "finetune" / "synthetic-fold1-scratch-None-seed3"
    before.mkdir(parents=True)
    for kept, called in ((100, "50frames"), (50, "None"), (None, "50frames")):
        write_yaml({"command": "finetune", "config": {"name": before.name, "label_count": kept}}, before / "run.yaml")
        assert name(*count) == f"synthetic-fold1-scratch-{called}-seed3"
    (before / "run.yaml").write_text("{")
    assert name(*count) == "synthetic-fold1-scratch-50frames-seed3"
    assert name(*count, "name=mine") == "mine"
