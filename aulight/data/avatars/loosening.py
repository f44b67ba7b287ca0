"""A rig that is looser than it was made: soft pulls by chance where each unit moves the face, and other strengths.

What one maker takes for a unit is not what another does. A network that sees each unit done in many ways has less to
learn of one maker's.
"""

from dataclasses import replace

import numpy as np

from aulight.data.avatars.actions import AVATAR_AUS, Shapes
from aulight.data.avatars.assets import Assets

PULLS = 2
"""Of each unit."""


def loosened(shapes: Shapes, assets: Assets, rng: np.random.Generator) -> Shapes:
    """A rig as somebody may have it, the same on both sides.

    Args:
        shapes: The rig.
        assets: The head.
        rng: Decides it.
    """
    skin = assets.of_part("skin")
    at = assets.points[skin].astype(np.float64)
    strengths = rng.uniform(0.6, 1.15, len(AVATAR_AUS))
    strengths[AVATAR_AUS.index(43)] = rng.uniform(0.85, 1.0)  # closed, but for a little
    names, sizes = list(shapes.names), np.diff(shapes.starts).tolist()
    index, delta = [shapes.index], [shapes.delta]
    rows: list[int] = []
    for row, au in enumerate(AVATAR_AUS):
        moved = np.zeros((len(assets.points), 3))
        for k in np.flatnonzero(shapes.left[row]):
            part = slice(shapes.starts[k], shapes.starts[k + 1])
            moved[shapes.index[part]] += shapes.left[row, k] * shapes.delta[part]
        moved = moved[skin] * (at[:, :1] > -0.02)
        far = np.linalg.norm(moved, axis=1)
        strong = np.flatnonzero(far > 0.4 * far.max())
        for number in range(PULLS):
            middle = int(rng.choice(strong))
            shift = moved[middle] * rng.uniform(0.1, 0.5) + rng.normal(0, 0.14, 3) * far.max()
            wide = rng.uniform(0.07, 0.24)
            for side, word in ((1, "Left"), (-1, "Right")):
                away = np.linalg.norm(at - at[middle] * (side, 1, 1), axis=1)
                share = np.exp(-((away / wide) ** 2))
                near = share > 0.01
                index.append(skin[near])
                delta.append((share[near, None] * (shift * (side, 1, 1))).astype(np.float32))
                names.append(f"own-{au}-{number}-{word}")
                sizes.append(int(near.sum()))
            rows.append(row)
    left, right = (np.zeros((len(AVATAR_AUS), len(names))) for _ in range(2))
    left[:, : len(shapes.names)], right[:, : len(shapes.names)] = shapes.left, shapes.right
    for place, row in enumerate(rows):
        left[row, len(shapes.names) + 2 * place] = 1
        right[row, len(shapes.names) + 2 * place + 1] = 1
    return replace(
        shapes,
        names=tuple(names),
        starts=np.cumsum([0, *sizes]),
        index=np.concatenate(index),
        delta=np.concatenate(delta),
        left=left * strengths[:, None],
        right=right * strengths[:, None],
    )
