# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What does this face do?
#
# From a trained model and a video to intensities of action units (AUs): as a table, over time, live, and with a picture
# of where in the face the network sees them.
#
# It needs a model, which is a run directory of `aulight finetune`, a file of `aulight export`, or `default` for the one
# in the box, and a video. Change `MODEL` and `VIDEO`, or set the environment variables `AULIGHT_MODEL` and
# `AULIGHT_VIDEO`. Those below are there after `make reproduce`.

# %%
# %matplotlib inline
import itertools
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import aulight
from aulight.data.faces.aligner import MAX_FACES, FaceAligner
from aulight.data.faces.crop import squares
from aulight.data.video.raw import raw_frames, raw_info
from aulight.drawing import timeline
from aulight.drawing.annotate import Shown, annotate

MODEL = os.environ.get("AULIGHT_MODEL", "../runs/reproduce/finetune/synthetic-fold1-pretrained-1.0-seed0")
VIDEO = Path(os.environ.get("AULIGHT_VIDEO", "../clip.mp4"))

for path in (*([] if MODEL == "default" else [Path(MODEL)]), VIDEO):
    if not path.exists():
        raise SystemExit(f"{path}: not there; set AULIGHT_MODEL and AULIGHT_VIDEO, or run `make reproduce`")

# %% [markdown]
# ## The model
#
# It knows what it was trained on, and how well it did on people that it had never seen.

# %%
model = aulight.load(MODEL)
print(model)
about = model.description
scores = {} if about.test is None else {au: dict(of_au) for au, of_au in about.test.per_au.items()}
pd.DataFrame(scores, index=["icc", "mae", "mse"]).T.round(2)

# %% [markdown]
# ## A video as a table
#
# A row for every frame, in OpenFace's columns. Where no face is found, `success` is 0 and intensities are missing.

# %%
table = model.predict(VIDEO)
table.round(2)

# %% [markdown]
# ## Over time

# %%
timeline.timeline(table, model.columns, VIDEO.name, "")

# %% [markdown]
# ## Live
#
# `stream` takes frames from anywhere, a camera for example, and gives rows as they are known, about 0.3 s after their
# frames. Here is the strongest AU at the end of each second.

# %%
fps = raw_info(VIDEO).fps
values = [f"{au}_r" for au in model.columns]
live = (frame.image for frame in itertools.islice(raw_frames(VIDEO), round(10 * fps)))

for row in model.stream(live, fps):
    if row["frame"] % round(fps) == 0 and row["success"]:
        strongest = max(values, key=row.get)
        print(f"{row['timestamp']:5.1f} s  {strongest.removesuffix('_r')}  {row[strongest]:.1f}")

# %% [markdown]
# ## Where it is seen
#
# `explain` scores frames as well, and says which places of the face add to one AU: gradient times activation of the
# network's last map. The heat is as high as the intensity, so that a face without the AU has none.

# %%
AU = 12  # one of model.aus
frames = list(itertools.islice(raw_frames(VIDEO), round(10 * fps)))
size = about.crop_size
if about.finds_faces:
    with FaceAligner(size, blendshapes=False, max_faces=MAX_FACES, smooth_s=about.smooth_s) as aligner:
        faces = list(aligner.align(frames))
else:  # trained on faces that came aligned
    faces = list(squares(frames, size))

crops = np.stack([face.crop for face in faces])
intensities, heat = model.scorer().explain(crops, AU)

# %% [markdown]
# The frame in which it is strongest, with the box of the face, and all intensities beside it:

# %%
column = model.aus.index(AU)
best = int(np.argmax(np.where([face.confidence > 0 for face in faces], intensities[:, column], -1)))
shown = Shown(0, faces[best].matrix, size, intensities[best], heat=heat[best])
picture = annotate(frames[best].image, model.columns, [shown], f"heat: where {model.columns[column]} is seen")

fig, ax = plt.subplots(figsize=(10, 6), layout="constrained")
ax.imshow(picture)
ax.axis("off")
plt.show()

# %% [markdown]
# And in frames from the least intensity to the greatest:

# %%
ranked = np.argsort(intensities[:, column])
fig, axes = plt.subplots(1, 6, figsize=(12, 2.4), layout="constrained")
for ax, place in zip(axes, ranked[np.linspace(0, len(ranked) - 1, 6).astype(int)], strict=True):
    ax.imshow(crops[place])
    ax.imshow(heat[place], cmap="viridis", alpha=np.minimum(2 * heat[place], 0.7), vmin=0, vmax=1)
    ax.set_title(f"{faces[place].time_s:.1f} s: {intensities[place, column]:.1f}", fontsize=9)
    ax.axis("off")
plt.show()

# %% [markdown]
# Explaining changes no score:

# %%
known = table[values].head(len(faces)).notna().all(axis=1).to_numpy()
difference = np.abs(intensities[known] - table[values].head(len(faces)).to_numpy()[known]).max(initial=0)
print(f"largest difference to the table: {difference:.6f}")
