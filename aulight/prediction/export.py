"""A finished model as one file that holds all there is to know of it, and a card that says it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aulight.data.synthetic.dataset import render_video
from aulight.errors import AulightError
from aulight.prediction.card import model_card
from aulight.prediction.loading import load
from aulight.prediction.model import Model
from aulight.prediction.onnx import write_onnx

CHECKED_FRAMES, TOLERANCE = 32, 1e-4
"""What is written is read again and scores a clip of this many frames as the model does, to this."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        card: The card's file, beside the model's.
        aus: How many AUs the model knows.
        difference: The most by which the file scores otherwise than the model.
    """

    card: Path
    aus: int
    difference: float


def write_model(source: str, output: Path, licence: str | None = None) -> Exported:
    """Writes a model and its card, once what was written has been found to score as the model does.

    Args:
        source: Where the model is: what :func:`aulight.load` takes.
        output: The file to make, ``.onnx`` or ``.aulight``; its folder is made.
        licence: Under which it is passed on: a text, or a ``.txt`` or ``.md`` file with it. ``None``: as it was.

    Raises:
        AulightError: When there is no finished model, the output is there already, or the file scores otherwise.
    """
    card = output.with_name(f"{output.name}.md")
    for path in (output, card):
        if path.exists():
            raise AulightError(f"{path}: already there; remove it or give another output=")
    model = load(source)
    if licence is not None:
        model.description = model.description.model_copy(update={"licence": _licence(licence)})
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
        written = Path(temporary) / output.name
        if output.suffix == ".onnx":
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
    return Exported(card, len(model.aus), difference)


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
