"""What is on clothes and walls beside somebody is seldom taken for a face. Oracle: what was drawn where."""

from collections import Counter

import numpy as np
import pytest

from aulight.data.avatars.sheet import Sitter
from aulight.data.faces.finding import FaceFinder
from aulight.data.faces.landmarker import Landmarker
from aulight.data.video.types import RawFrame
from tests.data.faces.badges import KINDS, WIDTHS, scene


def counted(seed: int, scenes: int) -> tuple[Counter[str], Counter[str]]:
    """Of each kind of badge, and of faces of each width, how many there are and how many are taken for faces."""
    draw, there, found = np.random.default_rng(seed), Counter[str](), Counter[str]()
    sitters = [Sitter(seed, number, 300) for number in range(4)]
    landmarker = Landmarker(blendshapes=False, max_faces=20)
    for _ in range(scenes):
        image, places = scene(sitters, draw)
        ((_, faces),) = FaceFinder(landmarker).faces([RawFrame(0, 0.0, image)], thorough=True)
        middles = [face.landmarks.mean(0) for face in faces.values()]
        for x, y, reach, what in places:
            there[what] += 1
            found[what] += any(np.hypot(*(middle - (x, y))) < reach for middle in middles)
    landmarker.close()
    return there, found


def test_fewer_badges_and_no_fewer_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many small people as without the rule, but for one in fifty, and far fewer badges; more in docs/predict.md."""
    there, found = counted(6, 12)
    monkeypatch.setattr(Landmarker, "is_clear", lambda *_: True)
    _, before = counted(6, 12)
    badges, people = (sum(found[kind] for kind in kinds) for kinds in (KINDS, map(str, WIDTHS)))
    assert sum(before[kind] for kind in KINDS) >= 6, "else it says nothing"
    assert badges <= 0.5 * sum(before[kind] for kind in KINDS)
    all_people = sum(there[str(wide)] for wide in WIDTHS)
    assert people >= sum(before[str(wide)] for wide in WIDTHS) - 0.02 * all_people
    assert people > 0.85 * all_people
