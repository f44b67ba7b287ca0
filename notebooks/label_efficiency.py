# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What are labels worth?
#
# `aulight report runs=<folder>` writes tables and figures into `<folder>/report/`. This notebook goes from those files
# to the figures of a paper: the label-efficiency curve with its intervals, models side by side, single action units
# (AUs) and a face over time. At the end one number of the table is computed again from a run's predictions.
#
# It needs a folder with finished runs and their report, for example that of `make reproduce`. Change `RUNS`, or set the
# environment variable `AULIGHT_RUNS`.

# %%
# %matplotlib inline
import os
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from aulight.drawing import against_truth, names
from aulight.report import collect, figures, questions, records
from aulight.report.timelines import timelines_of
from aulight.scoring import agreement

RUNS = Path(os.environ.get("AULIGHT_RUNS", "../runs/reproduce"))

REPORT = RUNS / "report"
if not (REPORT / "summary.json").is_file():
    raise SystemExit(f"{REPORT}: no report there; set AULIGHT_RUNS, or make it with `aulight report runs={RUNS}`")

# %% [markdown]
# ## The table
#
# `table.csv` has a row for each dataset, arm (the way a model was trained) and share of labels, pooled over folds and
# averaged over seeds. `summary.json` holds everything that the report says; from it come the comparisons below.

# %%
summary = records.read(REPORT / "summary.json")
DATASET = next(iter(summary.datasets))

table = pd.read_csv(REPORT / "table.csv").query("dataset == @DATASET")
is_baseline = table["arm"].isin([record.arm for record in summary.baselines])
arms = table[~is_baseline & ~table["arm"].str.endswith("_last")]  # a checkpoint was chosen
arms[
    ["arm", "label_fraction", "labelled_frames", "seeds", "test_subjects", "icc", "icc_low", "icc_high", "mae", "mse"]
].round(3)

# %% [markdown]
# **Read ICC(3,1) beside MAE.** The intraclass correlation asks whether predictions rise and fall with the coder's
# intensities, relative to how much these vary. The mean absolute error asks how far off they are. AUs are 0 in most
# frames, so whoever always predicts 0 has a small MAE, and an ICC of 0:

# %%
table.loc[is_baseline, ["arm", "label_fraction", "icc", "mae", "mse"]].round(3)

# %% [markdown]
# ## ICC against the share of labels
#
# Points are means over seeds, bars the 95% intervals of a jackknife over **test subjects**: frames of one person are
# not independent, so persons are left out, not frames. They do not say how much another seed changes. Below 5 subjects
# there are none. Small dots are seeds. The figure is the report's own, so both are alike. It is one of matplotlib's, to
# be changed as you like: `figure.axes[0].set_title(...)`.

# %%
figures.label_efficiency(summary)

# %% [markdown]
# ## Is the difference more than luck?
#
# Two models are compared on the people that both tested (`shared_subjects`), person by person: the difference of their
# ICCs is taken once more without each of them. The interval of the difference is narrower than the two separate
# intervals suggest. For the p-value the models are swapped person by person, in every way or in many random ones: it
# is the share of ways that set them at least as far apart. Below 6 people there is none. It is not corrected for the
# number of comparisons.

# %%
pairs = pd.json_normalize([asdict(pair) for pair in summary.comparisons if pair.dataset == DATASET])
against = ["against.arm", "against.label_fraction"]
pairs.reindex(
    columns=["arm", "label_fraction", *against, "shared_subjects", "difference", "difference_ci", "difference_p"]
)

# %% [markdown]
# ## Action units one by one
#
# A mean over AUs hides that some are easy (a smile) and some are hard (a tightened lip). The report draws them as bars;
# `per_au.csv` has every AU of every record.

# %%
figures.per_au(summary)

# %%
fraction = summary.bars_fraction[DATASET]
per_au = pd.read_csv(REPORT / "per_au.csv").query("dataset == @DATASET and label_fraction == @fraction")
of_arms = per_au[per_au["arm"].isin(arms["arm"])]
of_arms.pivot_table(index="au", columns="arm", values="icc").rename(columns=names.LABELS).round(3)

# %% [markdown]
# What the report says of them first, from how many people, and what to do next:

# %%
for question, sentences in questions.answers(summary, DATASET).items():
    print(question, *sentences, sep="\n  ")

# %% [markdown]
# ## A face over time
#
# `predictions.parquet` of every run holds each frame of the test subjects, with the coder's intensity (`AU12_true`)
# and the prediction (`AU12_pred`). Here is the most expressive test video, by every arm.

# %%
runs, unfinished = collect.collect(RUNS)
line = timelines_of(runs, DATASET, summary.bars[DATASET], count=1)[0]
against_truth.against_truth(line)

# %% [markdown]
# ## One number again
#
# The ICC of a record comes from the pooled frames of all folds of one seed. Computed again from the predictions of the
# record's runs:

# %%
record = next(record for record in summary.records if record.dataset == DATASET)
seed = record.seeds[0]
mine = [run for run in runs if run.name in record.runs and run.record.seed == seed]
predictions = pd.concat([collect.read_predictions(run) for run in mine])
preds, true = (predictions[[f"{au}_{kind}" for au in mine[0].aus]].to_numpy("float64") for kind in ("pred", "true"))
icc = agreement.icc(preds, true)
pd.Series(icc, index=mine[0].aus, name="ICC(3,1)").round(3)

# %%
print(f"{record.arm}, {names.percent(record.label_fraction)} of the labels, seed {seed}: mean over AUs")
print(f"from the predictions {agreement.mean(icc):.6f}, in the report {record.icc_per_seed[0]:.6f}")
