"""``aulight export``: a finished model as one file that holds all there is to know of it, and a card that says it."""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from aulight.data.synthetic import render_video
from aulight.errors import AulightError
from aulight.facs import AU_NAMES, MAX_INTENSITY, column
from aulight.model import Model, header, load, write_sealed

FORMATS = ("aulight", "onnx")

CHECKED_FRAMES, TOLERANCE = 32, 1e-4
"""What is written is read again and scores a clip of this many frames as the model does, to this."""


def export(cfg: DictConfig) -> None:
    """Writes a model and its card, once what was written has been found to score as the model does.

    Args:
        cfg: ``conf/export.yaml``.

    Raises:
        AulightError: When there is no finished model, the output is there already, or the file scores otherwise.
    """
    if cfg.format not in FORMATS:
        raise AulightError(f"format={cfg.format}: one of {', '.join(FORMATS)}")
    output = Path(str(cfg.output or f"model.{cfg.format}")).expanduser()
    if output.suffix != f".{cfg.format}":
        raise AulightError(f"output={output}: a name that ends in .{cfg.format} is needed with format={cfg.format}")
    card = output.with_name(f"{output.name}.md")
    for path in (output, card):
        if path.exists():
            raise AulightError(f"{path}: already there; remove it or give another output=")
    model = load(str(cfg.run))
    if cfg.licence is not None:
        model.meta["licence"] = _licence(str(cfg.licence))
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
        written = Path(temporary) / output.name
        if cfg.format == "onnx":
            write_onnx(model, written)
        else:
            model.save(written)
        exported = load(written)
        difference = largest_difference(model, exported)
        if not difference <= TOLERANCE:
            raise AulightError(
                f"{output}: not written, since it would score up to {difference:.1e} off the model; "
                "export with another format= or another version of torch"
            )
        (Path(temporary) / card.name).write_text(model_card(exported.meta), encoding="utf-8")
        written.rename(output)
        (Path(temporary) / card.name).rename(card)
    print(
        f"{output}: {len(model.aus)} AUs, {output.stat().st_size / 1e6:.1f} MB; scores {CHECKED_FRAMES} frames as "
        f"{cfg.run} does, to {difference:.1e}\n{card}: its card"
    )


def _licence(given: str) -> str:
    path = Path(given).expanduser()
    if path.suffix not in (".md", ".txt"):
        return given
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AulightError(f"licence={given}: not a readable text file; give one, or the text itself") from error


def largest_difference(one: Model, other: Model) -> float:
    """Between the intensities that two models give to the frames of a drawn face."""
    clip, _ = render_video(0, one.size, CHECKED_FRAMES)
    scores = [model.scorer().push(clip) for model in (one, other)]
    return float(np.abs(scores[0] - scores[1]).max())


# ---- a graph of one frame ---------------------------------------------------------------------------------------


class _Step(nn.Module):
    """One frame ``(1, 3, size, size)`` uint8 RGB and the state to intensities ``(1, AUs)`` and the new state."""

    def __init__(self, network: nn.ModuleDict) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: Tensor, state: Tensor | None = None) -> tuple[Tensor, ...]:
        encoder: Any = self.network["encoder"]
        regressor: Any = self.network["regressor"]
        features, state = encoder(encoder.normalise(frame.permute(0, 2, 3, 1)[:, None]), state)
        intensities = regressor.predict(features)[:, 0]
        return (intensities,) if state is None else (intensities, state)


def write_onnx(model: Model, path: Path) -> None:
    """Writes a model as an ONNX graph of one frame: ``frame`` and ``state`` in, ``intensities`` and ``state_out`` out.

    The state is zero before the first frame. Frame t continues that of frame t - stride, so there are ``stride`` of
    them to keep. Without a recurrence there is no state.

    Raises:
        AulightError: When a package is missing, torch cannot make the graph, or the model has no torch modules.
    """
    if model.network is None:
        raise AulightError("an .onnx file cannot be made from another; give the run or the .aulight file it is from")
    try:
        import onnx
        import onnxscript  # noqa: F401  # torch wants it
    except ImportError as error:
        raise AulightError(f'format=onnx needs more packages: pip install "aulight[export]" ({error})') from error
    frame = torch.zeros(1, 3, model.size, model.size, dtype=torch.uint8)
    step = _Step(model.network).eval()
    with torch.no_grad():
        state = step(frame)[1:]
    given = (frame, *(torch.zeros_like(part) for part in state))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # what it warns of are its own workings
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                step,
                given,
                input_names=["frame", "state"][: len(given)],
                output_names=["intensities", "state_out"][: len(given)],
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise AulightError(f"format=onnx: torch cannot write this network ({str(error).splitlines()[0]})") from error
    graph = program.model_proto
    for node in graph.graph.node:
        del node.metadata_props[:]  # where each came from in this machine's files
    onnx.helper.set_model_props(graph, header(model.meta))
    write_sealed(path, graph.SerializeToString())


# ---- the card ---------------------------------------------------------------------------------------------------


def model_card(meta: dict[str, Any]) -> str:
    """The card of a model, in Markdown: what it is, what it was made from, how good it is, and what it is not for.

    Args:
        meta: The description in the model's file.
    """
    dataset, stage_one, subjects, test = (meta[key] for key in ("dataset", "stage_one", "subjects", "test"))
    architecture = meta["architecture"]
    synthetic = dataset["name"] == "synthetic"
    recurrence = architecture["temporal"]
    learned = (
        "Without contrastive pretraining."
        if stage_one is None
        else f"Pretrained by contrastive learning on unlabelled videos of {stage_one['subjects']} subjects of the "
        f"dataset `{stage_one['dataset']}`."
    )
    tested = (
        "Not tested: a checkpoint of a run that was not finished, or not the one that the run chose."
        if test is None
        else f"On {test['labelled_frames']} labelled frames of {subjects['test']} subjects who took no part in "
        f"training or in any choice: mean ICC(3,1) {_number(test['icc'])}, MAE {_number(test['mae'])}, "
        f"MSE {_number(test['mse'])}, pooled over frames."
    )
    per_au = {} if test is None else test["per_au"]
    rows = [
        " | ".join(
            [
                f"| {column(au)}",
                AU_NAMES.get(au, ""),
                *(_number(per_au.get(column(au), {}).get(name)) for name in SCORES),
            ]
        )
        + " |"
        for au in meta["aus"]
    ]
    versions = ", ".join(f"{name} {version}" for name, version in meta["versions"].items())
    lines = [
        f"# {meta['name']}",
        "",
        f"Estimates the intensity, from 0 to {MAX_INTENSITY}, of {len(meta['aus'])} facial action units (AUs) of the "
        "Facial Action Coding System in every frame of a video of a face. Made with aulight.",
        "",
        "## Training",
        "",
        f"- Labels: {meta['labelled_frames']} frames drawn at random, {100 * meta['label_fraction']:.3g}% of those of "
        f"the training subjects ({subjects['train']}), in the dataset `{dataset['name']}` (fingerprint "
        f"`{dataset['fingerprint']}`, fold {meta['fold']}). Other subjects ({subjects['validation']}) chose the "
        "checkpoint.",
        f"- {learned}",
        *(["- The faces of this dataset are drawn by a program."] if synthetic else []),
        "",
        "## Test",
        "",
        tested,
        "",
        "| AU | name | ICC(3,1) | MAE | MSE |",
        "|----|------|---------:|----:|----:|",
        *rows,
        "",
        "## Use and limits",
        "",
        "- For research on facial movement. An AU is a movement, not an emotion, an intention or a state of mind, and "
        "no decision about a person should rest on it.",
        *(
            ["- It has learned from drawn faces alone, so it cannot be expected to read real ones."]
            if synthetic
            else [
                "- The scores hold for faces, cameras, light and head poses like those of the test subjects; elsewhere "
                "it has to be tested first.",
                "- Whether it is equally good for all groups of people has not been tested.",
            ]
        ),
        "- An AU with a low ICC in the table is not read reliably. MAE flatters predicting 0, so read it beside ICC.",
        "",
        "## Model",
        "",
        f"- Network: `{architecture['backbone']}`, "
        + ("each frame alone" if recurrence == "none" else f"`{recurrence}` over frames {meta['stride']} apart")
        + f", on faces of {architecture['size']}x{architecture['size']} pixels.",
        f"- Faces are cut {meta['crop_size']} pixels wide, aligned: {meta['alignment']}.",
        f"- Frames per second of the training videos: {dataset['fps']:g}.",
        f"- Seed {meta['seed']}, of the labels {meta['label_seed']}.",
        f"- Trained with {versions}. Written by {meta['written_by']} on {meta['created']}.",
        "",
        "## Licence",
        "",
        meta.get("licence")
        or "None given: ask whoever gave you the file. The dataset's own terms may bind it as well.",
        "",
    ]
    return "\n".join(lines)


SCORES = ("icc", "mae", "mse")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
