"""The card of a model: what it is and how far to trust it, in words."""

from pathlib import Path

from aulight.facs import AU_NAMES, MAX_INTENSITY, column
from aulight.prediction.default import PORTRAITS
from aulight.prediction.description import ModelDescription, Scores
from aulight.settings.model import DEFAULT


def model_card(about: ModelDescription) -> str:
    """The card of a model, in Markdown: what it is, what it was made from, how good it is, and what it is not for.

    Args:
        about: The description in the model's file.
    """
    dataset, stage_one, subjects, test = about.dataset, about.stage_one, about.subjects, about.test
    architecture, recurrence = about.architecture, about.architecture.temporal
    drawn, boxed = dataset.name == "synthetic", about.arm == DEFAULT
    learned = (
        "Without contrastive pretraining."
        if stage_one is None
        else "Started from the default model, which learned from labelled pictures of "
        f"{stage_one.subjects} rendered people."
        if stage_one.dataset == PORTRAITS
        else f"Pretrained by contrastive learning on unlabelled videos of {stage_one.subjects} subjects of the "
        f"dataset `{stage_one.dataset}`."
    )
    tested = (
        "Not tested: a checkpoint of a run that was not finished, or not the one that the run chose."
        if test is None
        else f"On {test.labelled_frames} rendered pictures of {subjects.test} people of another rig, which was looked "
        f"at while training was written: mean ICC(3,1) {_number(test.icc)}, MAE {_number(test.mae)}, "
        f"MSE {_number(test.mse)}."
        if boxed
        else f"On {test.labelled_frames} labelled frames of {subjects.test} subjects who took no part in "
        f"training or in any choice: mean ICC(3,1) {_number(test.icc)}, MAE {_number(test.mae)}, "
        f"MSE {_number(test.mse)}, pooled over frames."
    )
    by = None if about.validation is None else about.validation.labelled_frames
    chosen = "" if by is None else f", by {by} labelled frames of theirs"
    rows = [
        " | ".join(
            [
                f"| {column(au)}",
                AU_NAMES.get(au, ""),
                *map(_number, _scores(None if test is None else test.per_au.get(column(au)))),
            ]
        )
        + " |"
        for au in about.aus
    ]
    versions = ", ".join(f"{name} {version}" for name, version in about.versions.items())
    lines = [
        f"# {about.name}",
        "",
        f"Estimates the intensity, from 0 to {MAX_INTENSITY}, of {len(about.aus)} facial action units (AUs) of the "
        "Facial Action Coding System in every frame of a video of a face. Made with aulight.",
        "",
        "## Training",
        "",
        f"- Labels: {about.labelled_frames} frames{'' if boxed else ' drawn at random'}, "
        f"{100 * about.label_fraction:.3g}% of those of the training subjects ({subjects.train}), in the "
        f"dataset `{dataset.name}` (fingerprint "
        f"`{dataset.fingerprint}`, fold {about.fold}). Other subjects ({subjects.validation}) "
        + ("calibrated the intervals; the checkpoint is the last." if boxed else f"chose the checkpoint{chosen}."),
        f"- {learned}",
        *(["- The faces of this dataset are drawn by a program."] if drawn or about.caution else []),
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
            if drawn
            else [
                f"- It has {about.caution}. A face at rest need not read 0: compare a face with itself, and test it on "
                "faces that were coded before numbers are compared between people."
            ]
            if about.caution
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
        f"- Network: `{architecture.backbone}`, "
        + ("each frame alone" if recurrence == "none" else f"`{recurrence}` over frames {_apart(about)}")
        + f", on faces of {architecture.size}x{architecture.size} pixels.",
        *([] if about.reference is None else [_REFERENCE]),
        f"- Faces are cut {about.crop_size} pixels wide, aligned: {about.alignment}"
        + (f"; their movement is smoothed over {about.smooth_s:g} s." if about.finds_faces else "."),
        f"- Frames per second of the training videos: {dataset.fps:g}.",
        f"- Seed {about.seed}, of the labels {about.label_seed}.",
        f"- Trained with {versions}. Written by {about.written_by} on {about.created}.",
        "",
        "## Licence",
        "",
        about.licence or "None given: ask whoever gave you the file. The dataset's own terms may bind it as well.",
        "",
    ]
    return "\n".join(lines)


_REFERENCE = (
    "- Each person's own reference, where their face lies at rest, is taken away: of films by all their frames, in "
    "streams by those so far, so that the first seconds are less sure; a photo is read as of anybody."
)


def _apart(about: ModelDescription) -> str:
    if about.step_s is None:
        return f"{about.stride} apart"
    return f"{about.step_s:.3g} s apart, the first of a face seen {about.primed} times before it"


def _scores(of: Scores | None) -> tuple[float | None, ...]:
    return (None, None, None) if of is None else (of.icc, of.mae, of.mse)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def in_short(about: ModelDescription, file: Path) -> str:
    """A model in a few lines, as Python prints it.

    Args:
        about: Its description.
        file: Where it was read from.
    """
    dataset, people, test, shape = about.dataset, about.subjects, about.test, about.architecture
    found = "found and cut out" if about.finds_faces else "taken as they come (faces='mediapipe' finds them)"
    stage_one = "" if about.stage_one is None else f", pretrained on {about.stage_one.dataset} without labels"
    if about.stage_one is not None and about.stage_one.dataset == PORTRAITS:
        stage_one = ", started from the default model"
    known = {} if test is None else {au: scores.icc for au, scores in test.per_au.items()}
    aus = ", ".join(
        column(au) + (f" {icc:.2f}" if (icc := known.get(column(au))) is not None else "") for au in about.aus
    )
    if test is None:
        tested = "not tested"
    else:
        tested = f"ICC(3,1) {_number(test.icc)} on {test.labelled_frames:,} frames of {people.test} others"
    state = (
        "no recurrence" if shape.temporal == "none" else f"{shape.temporal} in steps of {about.seconds_a_step:.3g} s"
    )
    lines = [
        f"aulight model {about.name} ({file})",
        f"  trained on {dataset.name}: {people.train} people, {about.labelled_frames:,} labelled frames{stage_one}",
        f"  {tested}{'; of each AU below' if known else ''}",
        *([f"  {about.caution}"] if about.caution else []),
        f"  {len(about.aus)} AUs: {aus}",
        f"  input: faces {shape.size} x {shape.size}, {found}; {shape.backbone}, {state}",
        f"  intervals: {'none' if about.intervals is None else 'calibrated, coverage='}"
        + ("" if about.intervals is None else f"{min(about.intervals.levels):g} to {max(about.intervals.levels):g}"),
    ]
    return "\n".join(lines)
