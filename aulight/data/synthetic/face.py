"""A face drawn with the intensities that it shows: every action unit moves what FACS says it moves.

Brows, lids, folds, lips, chin: their geometry is computed for all frames of a video at once.
"""

import numpy as np

from aulight.data.synthetic.looks import Identity
from aulight.data.synthetic.motion import UNCODED, Array
from aulight.data.synthetic.sketch import Sketch
from aulight.datasets import DISFA_AUS
from aulight.facs import MAX_INTENSITY

_EYE_Y = -0.12
_TURN = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_Acts = dict[int, Array]
# Larger than life: at 64 pixels a true-to-life movement is so small beside the other changes within a video that
# contrastive pre-training finds those instead.
_CARICATURE = 1.8


def draw(who: Identity, coded: Array, uncoded: Array, sketch: Sketch) -> None:
    """Record a subject's face at ``(frames, 12)`` intensities of ``DISFA_AUS``, ``(frames, 5)`` of others."""
    acts = {au: _CARICATURE * who.gain[i] * coded[:, [i]] / MAX_INTENSITY for i, au in enumerate(DISFA_AUS)}
    acts |= {au: uncoded[:, [i]] / MAX_INTENSITY for i, au in enumerate(UNCODED)}
    jaw = 0.12 * acts[26]
    _head(who, jaw, sketch)
    _nose(who, acts, sketch)
    for side in (-1, 1):
        _eye(who, acts, side, sketch)
        _brow(who, acts, side, sketch)
        _cheek(who, acts, side, sketch)
    _forehead(who, acts, sketch)
    _mouth(who, acts, jaw, sketch)
    _chin(who, acts, jaw, sketch)
    for x, y in who.freckles:
        sketch.shade(x + np.array([0, 0.012]), np.array([y, y]), 0.25, width=0.02)
    for x, y, radius, strength in who.blotches:
        sketch.shade(x + radius * np.cos(_TURN), y + radius * np.sin(_TURN), strength, layer="volume")
    x = np.linspace(-1.1, 1.1, 13)
    y = who.hairline + 0.35 * x**2 - 0.05
    sketch.paint(np.append(x, [1.3, -1.3]), np.append(y, [-1.6, -1.6]), who.hair)


def _head(who: Identity, jaw: Array, sketch: Sketch) -> None:
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    cosine, sine = np.cos(turn), np.sin(turn)
    x = who.width * np.sign(cosine) * np.abs(cosine) ** np.where(sine > 0, who.squareness, 0.8)
    y = -0.1 + np.where(sine > 0, (who.chin + 0.1 + jaw) * sine, 1.2 * sine)
    sketch.paint(1.2 * cosine, -0.3 + 1.1 * sine, 0.8 * who.hair, depth=-0.5)
    sketch.paint([-0.45, 0.45, 0.6, -0.6], [0.5, 0.5, 1.5, 1.5], 0.62 * who.skin, depth=-0.4)  # the neck
    sketch.paint(x, y, who.skin)
    if who.beard:
        lower, top = sine > 0.15, who.nose + 0.11  # along the jaw, then back over the cheeks and upper lip
        beard_x = np.append(x[lower], [-0.5, -0.38, -0.2, 0.2, 0.38, 0.5])
        beard_y = np.append(y[:, lower], np.repeat([top + np.array([0.1, 0.05, 0, 0, 0.05, 0.1])], len(y), 0), 1)
        sketch.paint(beard_x, beard_y, who.skin + who.beard * (who.hair - who.skin))
    sketch.shade(np.append(x, x[0]), np.append(y, y[:, :1], 1), 0.22, width=0.10, layer="volume")


def _forehead(who: Identity, acts: _Acts, sketch: Sketch) -> None:
    worn, depth = 0.12 * who.age, 0.42 * who.wrinkling
    middle, outer = np.linspace(-0.2, 0.2, 9), np.linspace(-1, 1, 7)
    for k in range(3):
        y = -0.56 - 0.085 * k - 0.03 * acts[1] + 0.025 * np.cos(middle * 15)
        sketch.shade(middle, y, worn + depth * acts[1][:, 0], width=0.026)
        for side in (-1, 1):
            y = -0.54 - 0.085 * k - 0.06 * acts[2] + 0.06 * (outer - 0.1) ** 2
            sketch.shade(side * (0.44 + 0.17 * outer), y, worn + depth * acts[2][:, 0], width=0.026)
    for side in (-1, 1):  # the furrows of the glabella
        x = side * (0.06 + 0.02 * np.array([1, 0.4, 0, 0.5]) - 0.012 * acts[4])
        y = _EYE_Y + np.array([-0.34, -0.26, -0.18, -0.09]) + 0.03 * acts[4]
        sketch.shade(x, y, 0.08 * who.age + 0.5 * who.wrinkling * acts[4][:, 0], width=0.028)


def _brow(who: Identity, acts: _Acts, side: int, sketch: Sketch) -> None:
    along = np.linspace(0, 1, 9)  # from the inner end to the outer
    inner, outer = (1 - along) ** 1.3, np.sin(np.pi * 0.62 * np.minimum(along, 0.8)) ** 1.5
    x = who.eye_x + who.brow_length * (2 * along - 1) + 0.01 - 0.06 * acts[4] * (1 - along)
    y = _EYE_Y - who.brow + who.brow_angle * (1 - 2 * along)
    y = y - who.brow_arch * np.sin(np.pi * (along * 0.8 + 0.2)) - 0.15 * acts[1] * inner - 0.15 * acts[2] * outer
    y = y + acts[4] * (0.10 * inner + 0.05) + 0.04 * acts[9] * inner
    half = who.brow_width * (1 - 0.6 * along**2) * np.minimum(1, 0.6 + along * 3)
    colour = 0.75 * who.hair + 0.10 * who.skin
    sketch.paint(side * _loop(x, x), _loop(y - half, y + half), colour)


def _loop(upper: Array, lower: Array) -> Array:
    """Closed outline from an upper and a lower edge, both from left to right."""
    return np.concatenate([upper, lower[..., ::-1]], -1)


def _eye(who: Identity, acts: _Acts, side: int, sketch: Sketch) -> None:
    view, radius = sketch.view, who.iris_radius
    # Apertures in iris radii from the centre of the eye. At rest the upper lid always covers the top of the
    # iris, so that white above the iris means AU 5 in every face, however wide its eyes are.
    lid = who.lid + 1.15 * acts[5] - 0.12 * acts[6] - 0.2 * acts[9] - 0.1 * acts[4] - 0.15 * acts[7]
    low = who.lower_lid - 0.6 * acts[6] - 0.25 * acts[9] - 0.4 * acts[7]
    lid, low = np.maximum(lid, 0.15), np.maximum(low, 0.1)
    blink = view.blink[:, None]
    lid = lid * (1 - blink) - 0.8 * low * blink
    along = np.linspace(-1, 1, 13)
    arch = (1 - along**2) ** 0.7
    x = side * (who.eye_x + who.eye_width * along)
    axis = _EYE_Y - who.tilt * along
    gaze_y = 0.05 * view.gaze_y[:, None]
    # The upper lid follows the gaze up and down.
    upper, lower = axis - (radius * lid - gaze_y) * arch, axis + radius * low * arch
    upper = np.minimum(upper, lower)

    sketch.shade(x, axis - 0.02, 0.10, width=0.30, layer="volume")
    sketch.paint(_loop(x, x), _loop(upper, lower), 0.2 * who.skin + (180, 180, 180))
    iris_x, iris_y = side * who.eye_x + 0.10 * view.gaze_x[:, None], _EYE_Y + gaze_y
    for scale, colour in ((1.0, who.iris), (0.48, np.full(3, 14.0))):
        sketch.paint(iris_x + scale * radius * np.cos(_TURN), iris_y + scale * radius * np.sin(_TURN), colour)
    glint_x, glint_y = iris_x - 0.3 * radius, iris_y - 0.35 * radius
    sketch.paint(glint_x + 0.2 * radius * np.cos(_TURN), glint_y + 0.2 * radius * np.sin(_TURN), [235] * 3)
    # The lids are painted over what they hide.
    fold = np.minimum(axis - 1.9 * radius * np.maximum(arch, 0.2), upper - 0.01)
    bag = axis + 1.7 * radius * np.maximum(arch, 0.2) + 0 * lower
    sketch.paint(_loop(x, x), _loop(fold, upper), 0.94 * who.skin)
    sketch.paint(_loop(x, x), _loop(lower, bag), who.skin)
    sketch.shade(x, fold + 0.01, who.lid_crease, width=0.022)
    sketch.shade(x[2:], lower[:, 2:] + 0.01, 0.2, width=0.022)
    sketch.paint(x, upper, 0.2 * who.skin + 8, width=0.03)
    if who.glasses:
        ring = np.append(_TURN, 0)
        rim_x = side * who.eye_x + 0.30 * np.sign(np.cos(ring)) * np.abs(np.cos(ring)) ** 0.6
        rim_y = _EYE_Y + 0.03 + 0.24 * np.sign(np.sin(ring)) * np.abs(np.sin(ring)) ** 0.6
        sketch.paint(rim_x, rim_y, 0.7 * who.hair, 0.03, depth=0.08)
        bridge = side * np.array([0.0, who.eye_x - 0.29])
        sketch.paint(bridge, [_EYE_Y - 0.03] * 2, 0.7 * who.hair, 0.03, depth=0.1)


def _cheek(who: Identity, acts: _Acts, side: int, sketch: Sketch) -> None:
    smile, raised, sneer = acts[12][:, 0], acts[6][:, 0], acts[9][:, 0]
    worn, depth = 0.10 * who.age, 0.5 * who.wrinkling
    # Crow's feet fan out from the outer corner; a pouch line curves under the eye; the cheek's apple swells.
    reach = np.array([0, 0.06, 0.12])
    for slope in (-0.9, 0.0, 0.9):
        x = side * (who.eye_x + who.eye_width + 0.03 + reach)
        sketch.shade(x, _EYE_Y + 0.01 + slope * reach, worn + depth * raised, 0.024)
    along = np.linspace(-1, 1, 9)
    x = side * (who.eye_x + 0.01 + 0.21 * along)
    y = _EYE_Y + 0.20 + 0.05 * (1 - along**2) - 0.03 * acts[6] - 0.03 * along
    sketch.shade(x, y, 0.04 + worn + depth * raised, width=0.028)
    x, y = 0.46 + 0.17 * np.cos(_TURN), 0.22 - 0.05 * (acts[6] + acts[12]) + 0.11 * np.sin(_TURN)
    sketch.shade(side * x, y, -(0.04 + 0.12 * raised + 0.06 * smile), layer="volume")
    # The nasolabial fold: AU 9 deepens its upper part beside the nose, AU 12 its lower part round the mouth.
    worn, steps = 0.2 * who.age + 0.04, np.linspace(0, 1, 5)
    top_x, top_y = who.nose_width + 0.045, who.nose - 0.07 - 0.05 * acts[9]
    mid_x = who.nose_width + 0.12 + 0.05 * acts[12]
    mid_y = who.nose + 0.10 - 0.03 * (acts[12] + acts[9] + acts[10])
    end_x, end_y = who.mouth_width + 0.07 + 0.09 * acts[12], who.mouth - 0.02 - 0.07 * acts[12]
    x, y = top_x + (mid_x - top_x) * steps, top_y + (mid_y - top_y) * steps
    sketch.shade(side * x, y, worn + depth * (sneer + 0.5 * acts[10][:, 0]), width=0.032)
    x, y = mid_x + (end_x - mid_x) * steps, mid_y + (end_y - mid_y) * steps**1.4
    sketch.shade(side * x, y, worn + depth * (0.8 * smile + 0.3 * acts[10][:, 0]), width=0.032)


def _nose(who: Identity, acts: _Acts, sketch: Sketch) -> None:
    tip = who.nose - 0.05 * acts[9]
    wing = who.nose_width * (1 + 0.15 * acts[9])
    for side in (-1, 1):
        ridge = side * np.array([0.09, 0.08, 0.10])
        sketch.shade(ridge, [-0.2, 0.0, 0.12], 0.13, width=0.06, layer="volume")
        turn = np.linspace(-0.6, np.pi * 0.7, 7)
        x, y = wing - 0.05 + 0.055 * np.cos(turn), tip - 0.02 + 0.055 * np.sin(turn)
        sketch.shade(side * x, y, 0.25 + 0.15 * acts[9][:, 0], 0.028, depth=0.12)
        x, y = wing * 0.45 + 0.035 * np.cos(_TURN), tip + 0.03 + 0.018 * np.sin(_TURN)
        sketch.shade(side * x, y, 0.5, depth=0.14)
    sketch.shade(np.zeros(2), [-0.05, who.nose - 0.08], -0.10, width=0.06, depth=0.1, layer="volume")
    x = np.linspace(-1, 1, 5) * 0.085
    for k in range(3):  # wrinkles across the bridge
        y = _EYE_Y + 0.065 * k + 0.3 * np.abs(x)
        strength = 0.05 * who.age + 0.5 * who.wrinkling * acts[9][:, 0]
        sketch.shade(x, y, strength, width=0.024, depth=0.06)


def _mouth(who: Identity, acts: _Acts, jaw: Array, sketch: Sketch) -> None:
    along = np.linspace(-1, 1, 17)
    away, middle = np.abs(along), 1 - along**2
    stretch = 0.22 * acts[12] + 0.34 * acts[20] - 0.08 * acts[17] - 0.12 * acts[26] - 0.3 * acts[18]
    x = who.mouth_width * (1 + stretch - 0.08 * acts[14]) * along
    rest = who.mouth_curve * (1 - 0.7 * acts[20]) * (away**2 - 0.5)
    corners = -0.15 * acts[12] * away**1.6 + 0.11 * acts[15] * away**2.2 + 0.5 * jaw * away**2
    line = who.mouth - 0.06 * acts[17] * middle + 0.15 * jaw - 0.015 * acts[9] + rest + corners
    upper = line - (0.03 * acts[25] + 0.03 * acts[9] + 0.035 * acts[10]) * middle
    lower = upper + (0.095 * acts[25] + 1.1 * jaw) * (1 - away**2.2)
    plump = 1 - 0.35 * acts[20] - 0.15 * acts[12] - 0.45 * acts[24] + 0.2 * acts[18]
    bow = middle - 0.35 * np.exp(-((along / 0.14) ** 2))
    top = upper - 1.3 * who.upper_lip * plump * bow
    bottom = lower + who.lower_lip * plump * (1 - 0.35 * acts[17]) * middle
    sketch.paint(_loop(x, x), _loop(top, bottom), who.lips)
    sketch.paint(_loop(x, x), _loop(upper, lower), (56.0, 22.0, 24.0))
    inside = slice(3, -3)
    edge = upper[:, inside]
    teeth = np.minimum(0.6 * (lower - upper), 0.05)[:, inside]
    sketch.paint(_loop(x[:, inside], x[:, inside]), _loop(edge, edge + teeth), (206.0, 200.0, 190.0))
    sketch.paint(x, upper, 0.5 * who.lips, width=0.026)
    depth, steps, bracket = 0.5 * who.wrinkling, np.array([0.0, 0.5, 1.0]), np.linspace(-1, 1, 7)
    for side, end in ((-1, 0), (1, -1)):
        corner_x, corner_y = x[:, [end]], line[:, [end]]
        # Below the corners AU 15 draws a fold, down and out; beside them AU 20 draws upright brackets, and
        # a dimple comes and goes.
        fold_x, fold_y = corner_x + side * (0.01 + 0.06 * steps), corner_y + 0.02 + 0.14 * steps
        sketch.shade(fold_x, fold_y, 0.12 * who.age + depth * acts[15][:, 0], width=0.032)
        side_x, side_y = corner_x + side * (0.07 - 0.035 * bracket**2), corner_y + 0.01 + 0.11 * bracket
        sketch.shade(side_x, side_y, 0.05 * who.age + depth * acts[20][:, 0], width=0.028)
        dimple_x, dimple_y = corner_x + side * 0.04, corner_y - 0.03 + 0.05 * steps
        sketch.shade(dimple_x + 0 * steps, dimple_y, 0.5 * acts[14][:, 0], width=0.03)


def _chin(who: Identity, acts: _Acts, jaw: Array, sketch: Sketch) -> None:
    boss, depth = acts[17][:, 0], 0.5 * who.wrinkling
    rise = jaw - 0.045 * acts[17]
    along = np.linspace(-1, 1, 9)
    y = who.mouth + who.lower_lip + 0.055 + rise + 0.035 * along**2
    sketch.shade(0.15 * along, y, 0.10 + 0.08 * who.age + depth * boss, width=0.032)
    centre = who.chin - 0.10 + rise
    x, y = 0.13 * np.cos(_TURN), centre + 0.07 * np.sin(_TURN)
    sketch.shade(x, y, -0.05 - 0.12 * boss, layer="volume")
    for dent, up in ((-0.10, 0.0), (-0.04, -0.035), (0.04, -0.035), (0.10, 0.0), (-0.05, 0.03), (0.05, 0.03)):
        sketch.shade(np.array([dent, dent + 0.015]), centre + np.array([up, up + 0.01]), depth * boss, width=0.03)
