"""A finished model as one file that holds all there is to know of it, and a card that says it."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aulight.data.synthetic.dataset import render_video
from aulight.errors import AulightError
from aulight.files import alone, publish, remove_former, remove_leftovers, scratch, told_of
from aulight.foreign.whole_file import read_bytes
from aulight.prediction.card import model_card
from aulight.prediction.loading import load
from aulight.prediction.model import Model
from aulight.prediction.onnx import write_onnx

CHECKED_FRAMES, TOLERANCE = 32, 1e-4
"""What is written is read again and scores a clip of this many frames as the model does, to this."""


MOST_TEXT = 2**20
"""Bytes of a licence, or of a card."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        card: The card's file, beside the model's.
        other: Whether that is something else, which was there and is left as it is.
        aus: How many AUs the model knows.
        difference: The most by which the file scores otherwise than the model.
    """

    card: Path
    other: bool
    aus: int
    difference: float


def write_model(source: str, output: Path, licence: str | None = None) -> Exported:
    """Writes a model and its card, once what was written has been found to score as the model does.

    Args:
        source: Where the model is: what :func:`aulight.load` takes.
        output: The file to make, ``.onnx`` or ``.aulight``; its folder is made. Where this very model is there
            already, nothing is written but its card, if that is missing.
        licence: Under which it is passed on: a text, or a ``.txt`` or ``.md`` file with it. ``None``: as it was.

    Raises:
        AulightError: When there is no finished model, another file is there, the file scores otherwise, or another
            process is writing it.
    """
    card = output.with_name(f"{output.name}.md")
    there = _there(output)  # before the work
    model = load(source)
    if licence is not None:
        model.description = model.description.model_copy(update={"licence": _licence(licence)})
    if there is not None and not _same(model, there):
        raise AulightError(f"{output}: already there, and another model; give another output=")
    output.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(output.parent)
    remove_former(output.parent, output.name, rf"{re.escape(output.name)}(\.md)?")
    with alone(output, f"{output}: another process is writing it"), scratch(output.parent) as made:
        if there is None:
            there = _there(output)  # meanwhile
        if there is not None:
            exported, names = there, [card.name]
        else:
            exported, names = _written(model, made / output.name), [card.name, output.name]  # the model last
        difference = largest_difference(model, exported)
        if not difference <= TOLERANCE:
            raise AulightError(
                f"{output}: not written, since it would score up to {difference:.1e} off the model; "
                "export with another format= or another version of torch"
            )
        text = model_card(exported.description)
        other = card.exists() and _undated(card) != text.rpartition(" on ")[0]
        if there is None and other:
            raise AulightError(f"{card}: already there, and not the card of this model; give another output=")
        if there is None or not card.exists():
            with told_of(made / card.name):
                (made / card.name).write_text(text, encoding="utf-8")
            publish(made, output.parent, names)
    return Exported(card, other, len(model.aus), difference)


def _written(model: Model, file: Path) -> Model:
    """Writes a model, and reads it again."""
    if file.suffix == ".onnx":
        write_onnx(model, file)
    else:
        model.save(file)
    return load(file)


def _there(output: Path) -> Model | None:
    """The model that is there already: an earlier call may have been killed before it wrote the card."""
    if not output.exists():
        return None
    try:
        return load(output)
    except AulightError as error:
        raise AulightError(f"{output}: already there, and not a model; give another output=") from error


def _same(model: Model, there: Model) -> bool:
    """Whether a model was written from this one, whenever that was."""
    said = [known.description.plain() for known in (model, there)]
    for one in said:
        for key in ("created", "written_by", "format_version"):  # of the file, not of the model
            one.pop(key, None)
    return said[0] == said[1] and largest_difference(model, there) <= TOLERANCE


def _undated(card: Path) -> str:
    try:
        return read_bytes(card, MOST_TEXT).decode().rpartition(" on ")[0]
    except (AulightError, UnicodeDecodeError):
        return ""


def _licence(given: str) -> str:
    path = Path(given).expanduser()
    if path.suffix not in (".md", ".txt"):
        return given
    try:
        return read_bytes(path, MOST_TEXT).decode("utf-8-sig").strip()
    except AulightError as error:
        raise AulightError(f"licence={error}; give a text file, or the text itself") from error
    except UnicodeDecodeError as error:
        raise AulightError(f"licence={given}: not a text in UTF-8; give a text file, or the text itself") from error


def largest_difference(one: Model, other: Model) -> float:
    """Between the intensities that two models give to the frames of a drawn face."""
    clip, _ = render_video(0, one.size, CHECKED_FRAMES)
    scores = [model.scorer().push(clip) for model in (one, other)]
    return float(np.abs(scores[0] - scores[1]).max())
