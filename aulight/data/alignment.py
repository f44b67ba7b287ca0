"""How the faces of a dataset lie in their pictures, and so whether a model of it has faces looked for."""

from enum import StrEnum


class Alignment(StrEnum):
    """What ``alignment`` says in ``dataset.yaml``, ``run.yaml`` and the file of a model.

    A dataset made elsewhere may say anything else there, or nothing.
    """

    TEMPLATE = "eyes and nose to a template, upright"
    """Found and cut out by :class:`aulight.data.faces.aligner.FaceAligner`."""

    AS_THEY_CAME = "as they came"
    """The pictures were faces already, and are taken as they are."""

    DRAWN = "drawn aligned, eyes level"
    """The synthetic faces."""


def finds_faces(alignment: str | None) -> bool:
    """Whether faces are to be found in a video for a model that learned from faces of this alignment.

    Where the alignment is not one of :class:`Alignment`, nobody knows how to make such faces of a picture, so that it
    is taken as it is.
    """
    return alignment == Alignment.TEMPLATE
