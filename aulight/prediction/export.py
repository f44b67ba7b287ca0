"""``aulight export``: a finished model as one file that holds all there is to know of it, and a card that says it."""

import tempfile
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from aulight.data.synthetic.dataset import render_video
from aulight.errors import AulightError
from aulight.prediction.card import model_card
from aulight.prediction.loading import load
from aulight.prediction.model import Model
from aulight.prediction.onnx import write_onnx

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
        model.description = model.description.model_copy(update={"licence": _licence(str(cfg.licence))})
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
        (Path(temporary) / card.name).write_text(model_card(exported.description), encoding="utf-8")
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
