import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import aulight.settings
from aulight.errors import AulightError
from aulight.settings.commands import settings_of
from aulight.settings.export import ExportSettings
from aulight.settings.finetune import FinetuneSettings
from aulight.settings.logger import WandbSettings
from aulight.settings.model import BlendshapesSettings, FrozenSettings, NetworkSettings
from aulight.settings.predict import PredictSettings
from aulight.settings.pretrain import PretrainSettings
from aulight.settings.reading import read

Composed = Callable[..., dict[str, Any]]

NETWORK: dict[str, Any] = {
    "backbone": "resnet_tiny", "temporal": "gru", "size": 64, "embedding": 128, "hidden": 128, "skip": True,
    "norm": "batch", "small_input": False, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "margin": 0,
    "contrast": "fixed",
}  # fmt: skip


def _line(command: str, plain: dict[str, Any]) -> str:
    with pytest.raises(AulightError) as caught:
        read(settings_of(command), plain)
    return str(caught.value)


@pytest.mark.parametrize(
    ("command", "override", "line"),
    [
        ("pretrain", "threads=abc", "threads=abc: a whole number is needed, or null"),
        ("pretrain", "steps=null", "steps=None: a whole number is needed"),
        ("pretrain", "steps=-5", "steps=-5: at least 1 is needed"),
        ("pretrain", "objective.temperature=0", "objective.temperature=0: more than 0 is needed"),
        ("pretrain", "optim.warmup=2", "optim.warmup=2: less than 1 is needed"),
        ("pretrain", "objective.views=0", "objective.views=0: at least 1 is needed"),
        ("pretrain", "model.std=[0,0,0]", "model.std=[0, 0, 0]: more than 0 is needed"),
        ("pretrain", "probe.label_fraction=0", "probe.label_fraction=0: more than 0 is needed"),
        ("pretrain", "model.norm=layer", "model.norm=layer: one of batch, group is needed"),
        ("pretrain", "model.small_input=3", "model.small_input=3: true or false is needed"),
        ("pretrain", "probe=3", "probe=3: its settings are needed (every_epochs, label_fraction, label_seed, penalty), "
         "or null"),
        ("pretrain", "clip.stride=4", "clip.stride=4: a list of 2 values is needed"),
        ("pretrain", "clip.stride=[4]", "clip.stride=[4]: 2 values are needed"),
        ("pretrain", "objective.horizons=[]", "objective.horizons=[]: at least one value is needed"),
        ("pretrain", "+foo=1", "foo: no such setting; --help lists the settings"),
        ("pretrain", "+objective.other_video_weight=0.1",
         "objective.other_video_weight: is objective.other_subjects now, of all other subjects' frames together: "
         "at N clips a batch, N - 1 times as much"),
        ("pretrain", "~clip.length", "clip.length: is missing; --help lists the settings"),
        ("pretrain", "augment.frame=[{p: 1}]", "augment.frame[0].name: is missing; --help lists the settings"),
        ("pretrain", "augment.frame=[3]", "augment.frame=[3]: its settings are needed (name)"),
        ("pretrain", "trainer.accumulate_grad_batches=0",
         "trainer.accumulate_grad_batches=0: a whole number from 1 on is needed"),
        ("pretrain", "data.size=huge", "data.size=huge: one of smoke, default, large is needed"),
        ("pretrain", "+logger.mode=offline", "logger.mode: no such setting; --help lists the settings"),
        ("finetune", "label_count=abc", "label_count=abc: a whole number is needed, or null"),
        ("finetune", "+arms={fresh: new}", "arms.fresh: no such setting; --help lists the settings"),
        ("predict", "coverage=1.5", "coverage=1.5: a share from 0.5 to 0.99 is needed, or null for no intervals"),
        ("predict", "device=gpu", "device=gpu: auto, cpu, cuda, or one of several GPUs as cuda:1 is needed"),
        ("predict", "precision=16", "precision=16: one of auto, 32, bf16 is needed"),
        ("prepare", "labels=5", "labels=5: the path of a CSV file is needed, or null"),
        ("prepare", "crop_size=72", "crop_size=72: an even number from 32 on is needed, but not 48 or 72"),
        ("report", "videos=s1", "videos=s1: give a list, for example videos=[s1], or null"),
        ("report", "uncertainty.level=1", "uncertainty.level=1: less than 1 is needed"),
        ("dashboard", "aus=[0]", "aus=[0]: a list of AU numbers is needed, for example aus=[1,4,12], or null"),
    ],
)  # fmt: skip
def test_a_value_by_itself(command: str, override: str, line: str, composed: Composed) -> None:
    assert _line(command, composed(command, override)) == line


@pytest.mark.parametrize(
    ("command", "overrides", "line"),
    [
        ("pretrain", "steps=5 steps_per_epoch=2", "steps=5: a multiple of steps_per_epoch=2 is needed"),
        ("pretrain", "steps=25", "steps=25: a multiple of steps_per_epoch=50 is needed"),
        ("pretrain", "clip.length=3", "clip.length=3: too short for objective.context=1 and horizons up to 2"),
        ("pretrain", "clip.stride=[4,2]",
         "clip.stride=[4, 2]: [least, most] frames between samples are needed, in this order"),
        ("pretrain", "objective.views=1", "objective.instance=1.0: the instance term needs objective.views=2"),
        ("pretrain", "objective.instance=0 objective.predictive=0",
         "objective.instance=0: more than 0 is needed here or in objective.predictive"),
        ("pretrain", "objective=dense",
         "objective.spatial=True: model.temporal=gru keeps no map; use model.temporal=convgru"),
        ("pretrain", "objective=dense model.temporal=none",
         "objective.spatial=True: model.temporal=none keeps no map; use model.temporal=convgru"),
        ("pretrain", "model=blendshapes", "model=blendshapes: trains no network, so no stage one; for finetune alone"),
        ("pretrain", "data.name=mine", "data.name=mine: names a dataset of yours; add data=folder"),
        ("pretrain", "model.backbone=timm:x model.norm=group",
         "model.norm=group: a network of timm has its own; norm=batch is needed"),
        ("pretrain", "model.temporal=convgru model.norm=group model.embedding=50",
         "model.embedding=50: a multiple of 16 is needed with model.norm=group"),
        ("finetune", "model=blendshapes pretrained=/x",
         "pretrained=/x: model=blendshapes trains no network; drop one of the two"),
        ("finetune", "model=blendshapes amplitude=crossfit",
         "amplitude=crossfit: model=blendshapes trains no network; none is needed"),
        ("finetune", "label_count=5", "label_count=5: given beside label_fraction=0.02; set one of them to null"),
        ("finetune", "label_fraction=null", "label_fraction=None: a share is needed, or a number as label_count="),
        ("predict", "max_frames=5", "max_frames=5: only of a webcam; of videos, end=<seconds>"),
        ("predict", "explain=12 model=table", "explain=12: not with model=table; blendshapes say nothing of where"),
        ("predict", "baseline=rest model=a.aulight",
         "baseline=rest: only with model=table; baseline=person takes each person's rest from any scores"),
        ("predict", "baseline=rest",
         "baseline=rest: only with model=table; baseline=person takes each person's rest from any scores"),
        ("predict", "baseline=person explain=12",
         "explain=12: not with baseline=person; heat is made before a person's rest is known"),
        ("predict", "baseline=person input=webcam:0",
         "baseline=person: only of files, whose end is known; with model=table, baseline=rest"),
        ("predict", "pictures=film input=webcam:0",
         "pictures=film: only of pictures; what a webcam sees is a film"),
        ("predict", "present_from=2", "present_from=2: needs presence among columns"),
        ("predict", "columns=[sides]", "columns=[sides]: only model=table tells left from right; other models say one "
         "intensity of both sides"),
        ("predict", "elan=true events=null", "elan=True: needs events; leave events=null out"),
        ("predict", "events.leave=2", "events.leave=2: at most enter=1 is needed"),
        ("predict", "faces=none model=table",
         "faces=none: not with model=table, whose scores are those of the face landmarker"),
        ("pretrain", "model.margin=32", "model.margin=32: less than half of size=64 is needed"),
        ("predict", "input=webcam:back",
         "input=webcam:back: the number of a camera is needed, for example webcam:0"),
        ("prepare", "data.source=null", "data.source: no value given; add data.source=<folder of the raw data>"),
        ("prepare", "data.source=", "data.source: no value given; add data.source=<folder of the raw data>"),
        ("prepare", "data=synthetic",
         "data=synthetic: makes itself on first use; prepare reads disfa, bp4d, affwild2, folder"),
        ("export", "output=model.onnx",
         "output=model.onnx: a name that ends in .aulight is needed with format=aulight"),
    ],
)  # fmt: skip
def test_a_value_in_the_light_of_others(command: str, overrides: str, line: str, composed: Composed) -> None:
    assert _line(command, composed(command, *overrides.split())) == line


@pytest.mark.parametrize(
    ("command", "overrides"),
    [
        ("pretrain", "progress_s=0"),
        ("pretrain", "progress_s=0.5"),
        ("pretrain", "name=123 data.name=2.5 data.synthetic=null"),
        ("pretrain", "objective=dense model=resnet_tiny_convgru"),
        ("pretrain", "trainer.devices=[0,1] trainer.deterministic=warn +trainer.limit_train_batches=2"),
        ("pretrain", "trainer.precision=32 trainer.gradient_clip_val=null"),
        ("pretrain", "model.backbone=timm:mobilenetv3_small_100"),
        ("pretrain", "clip.length=4"),
        ("pretrain", "clip.stride=[3,3]"),
        ("finetune", "label_fraction=1"),
        ("finetune", "label_fraction=null label_count=5"),
        ("finetune", "optim.warmup=0"),
        ("predict", "input=webcam:0 max_frames=5"),
        ("predict", "faces=none model=run"),
        ("predict", "baseline=person overlay=true"),
        ("predict", "model=table columns=[sides,presence] present_from=2"),
        ("predict", "device=cuda:1 precision=32 coverage=null"),
        ("prepare", "data.source=x labels=[a.csv,b.csv] crop_size=64"),
        ("export", "format=onnx output=a.onnx"),
    ],
)
def test_what_is_right_is_taken(command: str, overrides: str, composed: Composed) -> None:
    read(settings_of(command), composed(command, *overrides.split()))


def test_kinds_become_what_the_field_says(composed: Composed) -> None:
    plain = composed("pretrain", "name=123", "optim.lr=1", "logger=wandb", "logger.tags=one", "trainer.precision=32")
    settings = read(PretrainSettings, plain)
    assert (settings.name, settings.trainer.precision) == ("123", "32")
    assert repr(settings.optim.lr) == "1.0"
    assert isinstance(settings.logger, WandbSettings)
    assert settings.logger.tags == ["one"]
    assert settings.epochs == 24
    with pytest.raises(ValidationError, match="frozen"):
        settings.seed = 3


def test_free_settings_are_handed_through(composed: Composed) -> None:
    settings = read(PretrainSettings, composed("pretrain", "+trainer.profiler=simple"))
    assert settings.trainer.model_dump()["profiler"] == "simple"
    noise = settings.augment.frame[-1].model_dump()
    assert noise["noise_params"] == {"mean_range": [0, 0], "std_range": [0.0, 0.02]}


def test_a_model_is_told_by_its_settings(composed: Composed) -> None:
    network = read(FinetuneSettings, composed("finetune")).model
    assert isinstance(network, NetworkSettings)
    assert (network.kind, network.keeps_map) == ("network", False)
    baseline = read(FinetuneSettings, composed("finetune", "model=blendshapes"))
    assert isinstance(baseline.model, BlendshapesSettings)
    assert baseline.model.kind == "blendshapes"
    assert "kind" not in baseline.model.model_dump()
    frozen = read(FinetuneSettings, composed("finetune", "model=frozen")).model
    assert isinstance(frozen, FrozenSettings)
    needed = "settings of a network (backbone, temporal, size, ...) or of a baseline (arm, relative, penalties, ...) "
    needed += "are needed"
    plain = composed("finetune")
    assert _line("finetune", plain | {"model": {}}) == f"model={{}}: {needed}"
    assert _line("finetune", plain | {"model": {"foo": 1}}) == f"model={{'foo': 1}}: {needed}"
    assert _line("finetune", plain | {"model": "resnet"}) == f"model=resnet: {needed}"
    assert _line("finetune", plain | {"model": {"temporal": "gru"}}).startswith("model.backbone: is missing")


def test_a_network_goes_into_a_checkpoint_and_back() -> None:
    network = NetworkSettings(**NETWORK)
    assert network.model_dump() == NETWORK
    assert NetworkSettings(**network.model_dump()) == network
    earlier = {key: value for key, value in NETWORK.items() if key not in ("margin", "contrast")}
    assert NetworkSettings(**earlier) == network
    assert NetworkSettings(**NETWORK | {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}) == network
    with pytest.raises(AulightError, match=r"^model\.std=\[0, 1, 1\]: more than 0 is needed$"):
        read(NetworkSettings, NETWORK | {"std": [0, 1, 1]}, "model")
    with pytest.raises(AulightError, match=r"^model\.foo: no such setting"):
        read(NetworkSettings, NETWORK | {"foo": 1}, "model")


def test_settings_can_be_built_of_settings(composed: Composed) -> None:
    settings = read(FinetuneSettings, composed("finetune"))
    network = NetworkSettings(**NETWORK | {"hidden": 8})
    other = FinetuneSettings(**{**dict(settings), "model": network})
    assert other.encoder is network
    assert other.clip is settings.clip


def test_file_and_camera() -> None:
    given: dict[str, Any] = {"run": "r", "format": "onnx", "licence": None}
    assert read(ExportSettings, given | {"output": None}).file == Path("model.onnx")
    assert read(ExportSettings, given | {"output": "~/a.onnx"}).file == Path.home() / "a.onnx"


@pytest.mark.parametrize(("given", "camera"), [("webcam:2", 2), ("clip.mp4", None)])
def test_a_webcam_has_a_number(given: str, camera: int | None, composed: Composed) -> None:
    assert read(PredictSettings, composed("predict", f"input={given}")).camera == camera


def test_messages_are_one_line_and_not_endless(composed: Composed) -> None:
    plain = composed("finetune")
    assert _line("finetune", plain | {"loss": "a\nb"}) == "loss=a b: one of mse, smooth_l1, ccc is needed"
    odd: dict[Any, Any] = {3: 1}
    long = _line("finetune", plain | {"clip": list(range(1000))})
    assert len(long) < 300
    assert long.endswith(" ...: its settings are needed (length, stride)")
    assert _line("finetune", {**plain, **odd}) == "3: no such setting; --help lists the settings"
    assert _line("finetune", plain | {"steps": math.nan}) == "steps=nan: a whole number is needed"


def test_nothing_heavy_is_imported() -> None:
    folder = Path(aulight.settings.__path__[0])
    modules = [f"aulight.settings.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"]
    assert len(modules) > 15
    code = (
        f"import sys, {', '.join(modules)}\n"
        "heavy = {'torch', 'hydra', 'omegaconf', 'pandas', 'numpy', 'cv2', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
