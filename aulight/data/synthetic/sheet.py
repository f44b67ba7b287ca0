"""A picture of the synthetic faces: every action unit at several intensities."""

import cv2
import numpy as np

from aulight.data.synthetic.face import draw
from aulight.data.synthetic.looks import identity, still
from aulight.data.synthetic.motion import UNCODED
from aulight.data.synthetic.sketch import Image, Sketch
from aulight.datasets import DISFA_AUS
from aulight.facs import AU_NAMES, MAX_INTENSITY, short_name

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def contact_sheet(subjects: int = 3, pixels: int = 96, columns: int = 3, seed: int = 0) -> Image:
    """A picture of what the dataset shows: a labelled panel for every AU, subjects at rest, at 3 and at 5.

    Args:
        subjects: Rows of each panel; every panel shows other subjects.
        pixels: Side of a face.
        columns: Panels beside each other.
        seed: Which subjects.

    Returns:
        ``(height, width, 3)`` uint8 RGB.
    """
    margin, title = 8, 38
    levels = (0, 3, MAX_INTENSITY)
    rows = -(-len(DISFA_AUS) // columns)
    panel_width, panel_height = len(levels) * pixels + margin, subjects * pixels + title + margin
    sheet = np.full((rows * panel_height + margin, columns * panel_width + margin, 3), 255, np.uint8)
    for panel, au in enumerate(DISFA_AUS):
        left = margin + panel % columns * panel_width
        top = margin + panel // columns * panel_height
        cv2.putText(sheet, f"{short_name(au)} {AU_NAMES[au]}", (left, top + 14), _FONT, 0.46, (0, 0, 0), 1, cv2.LINE_AA)
        for place, level in enumerate(levels):
            at = (left + place * pixels + pixels // 2 - 4, top + title - 6)
            cv2.putText(sheet, str(level), at, _FONT, 0.42, (90, 90, 90), 1, cv2.LINE_AA)
        intensities = np.zeros((len(levels), len(DISFA_AUS)))
        intensities[:, panel] = levels
        if au == 26:  # a jaw that drops parts the lips
            intensities[:, DISFA_AUS.index(25)] = 0.7 * intensities[:, panel]
        for row in range(subjects):
            who = identity(np.random.default_rng([seed, panel, row]))
            sketch = Sketch(still(len(levels)), pixels)
            draw(who, intensities, np.zeros((len(levels), len(UNCODED))), sketch)
            strip = np.concatenate(list(sketch.render(who.backdrop)), 1)
            y = top + title + row * pixels
            sheet[y : y + pixels, left : left + strip.shape[1]] = strip
    return sheet
