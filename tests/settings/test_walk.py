import copy
import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_origin

import pytest

from aulight.errors import AulightError
from aulight.runs.overrides import texts
from aulight.settings.commands import CLASSES, settings_of
from aulight.settings.finetune import FinetuneSettings
from aulight.settings.group import CHANGES_NO_RESULT, NAMES_THE_RUN, Group
from aulight.settings.pretrain import PretrainSettings
from aulight.settings.reading import read
from aulight.settings.walk import Kind, Setting, groups, marked, walk

NAMES = Path(__file__).with_name("names.txt")

_DATA = [[f"data={name}"] for name in ("synthetic", "avatars", "disfa", "bp4d", "bp4d_plus", "affwild2", "folder")]
_TRAINING = [["experiment=reproduce"], *_DATA, ["model=blendshapes"], ["model=frozen"], ["logger=wandb"]]
VARIANTS = {
    "pretrain": [*_TRAINING, *([f"objective={name}"] for name in ("vicreg", "byol", "masked"))],
    "finetune": _TRAINING,
    "prepare": [*_DATA, ["cluster=slurm"]],
    "sample": _DATA,
    "label": _DATA,
    "predict": [[], ["faces=none"], ["cluster=slurm"]],
}
"""What to compose so that every class of every group comes up."""

Composed = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module", params=list(CLASSES))
def command(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def variants(command: str, composed: Composed) -> list[dict[str, Any]]:
    return [composed(command, *overrides) for overrides in VARIANTS.get(command, [[]])]


def _fields(cls: type[Group], variants: list[dict[str, Any]]) -> Iterator[tuple[Setting, dict[str, Any]]]:
    """Every field of a class and of its groups, each once, with a configuration that has it."""
    seen = set()
    for plain in variants:
        for setting in (*walk(cls, plain), *groups(cls, plain)):
            if (setting.name, setting.owner) not in seen:
                seen.add((setting.name, setting.owner))
                yield setting, plain


def _with(plain: dict[str, Any], name: str, *value: Any) -> dict[str, Any]:
    """A copy in which a setting has another value, or none."""
    changed = copy.deepcopy(plain)
    *path, last = name.split(".")
    block = changed
    for part in path:
        block = block[part]
    if value:
        block[last] = value[0]
    else:
        del block[last]
    return changed


def _at(plain: dict[str, Any], name: str) -> Any:
    value: Any = plain
    for part in name.split("."):
        value = None if value is None else value.get(part)
    return value


def _of_another_kind(kind: Kind) -> Iterator[Any]:
    plain = get_origin(kind.annotation) or kind.annotation
    yield 3 if kind.groups or plain in (dict, type(None)) else {"nope": {}}
    if not kind.nullable and plain is not type(None):
        yield None
    if plain in (int, float):
        yield from ("abc", True, [1])
    others: dict[Any, list[Any]] = {int: [1.5], float: [math.nan, math.inf], bool: ["no", 1], Literal: ["nope", True]}
    yield from others.get(plain, [])
    if kind.item is not None:
        yield [{}] if not kind.item.groups else [3]
        yield [None]


def _out_of_bounds(kind: Kind) -> Iterator[Any]:
    small = 1 if kind.annotation is int else 0.25
    for bound, value in kind.bounds.items():
        if bound == "min_length" and kind.annotation is str:
            yield "x" * (int(value) - 1)
        elif bound == "max_length" and kind.annotation is str:
            yield "x" * (int(value) + 1)
        elif bound in ("gt", "lt"):
            yield value
        elif bound in ("ge", "le", "multiple_of"):
            yield {"ge": value - small, "le": value + small, "multiple_of": 1001 * value + 1}[bound]


def _lists_out_of_bounds(kind: Kind, default: Any) -> Iterator[list[Any]]:
    least, most = (kind.bounds.get(bound) for bound in ("min_length", "max_length"))
    if least is not None:
        yield [1] * (int(least) - 1)
    if most is not None:
        yield [1] * (int(most) + 1)
    if kind.item is not None:
        for bad in _out_of_bounds(kind.item):
            rest = default[1:] if isinstance(default, list) else []
            yield [bad, *rest]


def _refused(cls: type[Group], plain: dict[str, Any]) -> str:
    with pytest.raises(AulightError) as caught:
        read(cls, plain)
    line = str(caught.value)
    assert "\n" not in line
    assert not any(word in line.lower() for word in ("pydantic", "input should", "another value"))
    return line


def test_every_field_is_described(command: str) -> None:
    cls = settings_of(command)
    for setting in (*walk(cls), *groups(cls)):
        assert setting.description, setting.name
        assert "\n" not in setting.description
        assert len(setting.description) <= 100, setting.name
        assert not setting.description.endswith("."), setting.name


def test_every_class_comes_up(command: str, variants: list[dict[str, Any]]) -> None:
    cls = settings_of(command)
    every = {(setting.name, setting.owner) for setting in (*walk(cls), *groups(cls))}
    assert every == {(setting.name, setting.owner) for setting, _ in _fields(cls, variants)}


def test_a_value_of_another_kind_is_named(command: str, variants: list[dict[str, Any]]) -> None:
    cls = settings_of(command)
    for setting, plain in _fields(cls, variants):
        for value in _of_another_kind(setting.kind):
            line = _refused(cls, _with(plain, setting.name, value))
            assert line.startswith(f"{setting.name}={value}: "), line
            assert line.endswith(", or null") <= setting.kind.nullable, line


def test_a_value_out_of_bounds_is_named(command: str, variants: list[dict[str, Any]]) -> None:
    cls = settings_of(command)
    for setting, plain in _fields(cls, variants):
        wrong = [*_out_of_bounds(setting.kind), *_lists_out_of_bounds(setting.kind, _at(plain, setting.name))]
        assert len(wrong) >= len(setting.kind.bounds)
        for value in wrong:
            line = _refused(cls, _with(plain, setting.name, value))
            assert line.startswith(f"{setting.name}={value}: "), line


def test_a_text_without_letters_is_named(command: str, variants: list[dict[str, Any]]) -> None:
    """As the shell makes one of ``labels=$TABLE``, where there is no such variable."""
    cls, asked = settings_of(command), texts(command)
    for setting, plain in _fields(cls, variants):
        text = asked.get(setting.name)
        if text is None or text.chosen or setting.name == "data.source":  # which prepare asks for itself
            continue
        for value in ([""] if text.single else []) + ([[""]] if text.items else []):
            line = _refused(cls, _with(plain, setting.name, value))
            assert re.match(rf"{re.escape(setting.name)}(={re.escape(str(value))})?: ", line), line


def test_an_unknown_setting_is_named(command: str, variants: list[dict[str, Any]]) -> None:
    cls = settings_of(command)
    assert _refused(cls, variants[0] | {"nope": 1}) == "nope: no such setting; --help lists the settings"
    for setting, plain in _fields(cls, variants):
        name = f"{setting.name}.nope"
        if not isinstance(_at(plain, setting.name), dict) or setting.kind.annotation not in setting.kind.groups:
            continue
        if setting.kind.groups[0].model_config["extra"] == "forbid":
            assert _refused(cls, _with(plain, name, 1)) == f"{name}: no such setting; --help lists the settings"


def test_a_missing_setting_is_named(command: str, variants: list[dict[str, Any]]) -> None:
    cls = settings_of(command)
    for setting, plain in _fields(cls, variants):
        if setting.required:
            line = _refused(cls, _with(plain, setting.name))
            assert line == f"{setting.name}: is missing; --help lists the settings"


def test_only_variables_of_experiments_may_be_missing() -> None:
    optional = {setting.name for name in CLASSES for setting in walk(settings_of(name)) if not setting.required}
    assert optional == {"stage_one", "stage_one_run", "arms", "network", "equal_steps", "subject_fraction"} | {
        "model.margin", "model.contrast"  # which checkpoints of an earlier aulight do not say
    }  # fmt: skip
    required = {setting.name for setting in walk(PretrainSettings) if setting.required}
    assert "subject_fraction" in required


def test_the_interface_is_as_written_down() -> None:
    lines = {f"{command} {setting.name}" for command in CLASSES for setting in walk(settings_of(command))}
    text = "".join(f"{line}\n" for line in sorted(lines))
    if "UPDATE_NAMES" in os.environ:
        NAMES.write_text(text)
    assert len(lines) > 200
    assert NAMES.read_text() == text, (
        f"settings were added, removed or renamed, which users will notice; if that is meant, write {NAMES.name} again "
        "with UPDATE_NAMES=1 pytest tests/settings/test_walk.py"
    )


def test_what_may_differ_between_runs() -> None:
    """As it was before it was said at the fields; ``equal_steps`` is computed now, and was typed before."""
    changes_nothing = (
        "data.cache", "data.cache_gb", "data.reader.pictures", "data.root", "data.source", "data_dir", "equal_steps",
        "loader.reader", "loader.workers", "logger", "name", "progress_s", "resume_on_other_hardware", "root", "runs",
        "threads", "trainer.accelerator", "trainer.channels_last", "trainer.compile", "trainer.devices",
        "trainer.log_every_n_steps", "trainer.num_nodes", "trainer.strategy", "trainer.sync_batchnorm",
    )  # fmt: skip
    for cls in (PretrainSettings, FinetuneSettings):
        assert marked(cls, CHANGES_NO_RESULT) == changes_nothing
    names = {"seed", "label_seed", "fold", "pretrained", "pseudo.runs", "stage_one_run"}
    assert set(marked(FinetuneSettings, NAMES_THE_RUN)) == names
    assert set(marked(FinetuneSettings, CHANGES_NO_RESULT, NAMES_THE_RUN)) == names | set(changes_nothing)


def test_choices_and_bounds_are_told(composed: Composed) -> None:
    told = {setting.name: setting for setting in walk(FinetuneSettings, composed("finetune"))}
    assert told["loss"].kind.choices == ("mse", "smooth_l1", "ccc")
    assert told["model.skip"].kind.choices == ("true", "false")
    assert told["model.backbone"].kind.choices[0] == "resnet_tiny"
    assert told["label_fraction"].kind.bounds == {"gt": 0, "le": 1}
    assert told["label_fraction"].kind.nullable
    assert told["threads"].kind.bounds == {"ge": 1}
    assert told["clip.stride"].kind.item is not None
    assert told["clip.stride"].kind.item.bounds == {"ge": 1}
    assert "model.penalties" not in told
    assert "data.format" not in told
