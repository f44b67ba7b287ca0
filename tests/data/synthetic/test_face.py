"""Drawn faces: every AU changes its own part of them, more so the stronger it is."""

import numpy as np
import pytest

from aulight.data.synthetic import face, looks, motion
from aulight.data.synthetic.sketch import Sketch
from aulight.datasets import DISFA_AUS

# Rows of the face, top to bottom, in which the AU's own change lies: brows and lids above, lips and chin
# below, the nose wrinkler between them.
_REGIONS = {au: (0.0, 0.6) if au <= 6 else (0.5, 1.0) for au in DISFA_AUS} | {9: (0.25, 0.85)}


@pytest.mark.parametrize("au", DISFA_AUS)
def test_each_action_unit_changes_its_own_part_of_the_face(au: int) -> None:
    levels = np.arange(6.0)
    intensities = np.zeros((6, len(DISFA_AUS)))
    intensities[:, DISFA_AUS.index(au)] = levels
    if au == 26:
        intensities[:, DISFA_AUS.index(25)] = 0.7 * levels
    for subject in range(8):
        who = looks.identity(np.random.default_rng(subject))
        sketch = Sketch(looks.still(6), 64)
        face.draw(who, intensities, np.zeros((6, len(motion.UNCODED))), sketch)
        faces = sketch.render(who.backdrop).astype(float)
        change = np.abs(faces - faces[0]).sum(-1)  # (6, 64, 64)
        total = change.sum((1, 2))
        assert (np.diff(total[:4]) > 0).all(), f"subject {subject}: a higher intensity changes more"
        steps = np.abs(np.diff(faces, axis=0)).sum(-1)
        assert (steps.max((1, 2)) > 15).all(), f"subject {subject}: two levels look the same"
        top, bottom = (int(64 * edge) for edge in _REGIONS[au])
        assert change[5, top:bottom].sum() > 0.75 * total[5], f"subject {subject}: change outside its region"
        assert change[5].max() > 40, f"subject {subject}: hardly visible"
