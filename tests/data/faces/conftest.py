"""An aligner, a finder, and the film of one face that moves, aligned."""

from collections.abc import Iterator

import pytest

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.crop import AlignedFrame
from aulight.data.faces.finding import FaceFinder
from tests.data.faces.astronaut import LENGTH, SETTINGS, film


@pytest.fixture(scope="module")
def aligner() -> Iterator[FaceAligner]:
    with FaceAligner(*SETTINGS) as aligner:
        yield aligner


@pytest.fixture(scope="module")
def moved(aligner: FaceAligner) -> list[AlignedFrame]:
    return list(aligner.align(film(LENGTH)))


@pytest.fixture(scope="module")
def finder(aligner: FaceAligner) -> FaceFinder:
    """The one that the aligner has."""
    return aligner._finder
