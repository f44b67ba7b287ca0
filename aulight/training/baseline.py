"""What a user would try instead: ridge regression to intensities, from features that nothing is learned for.

Here from a face landmarker's blendshape scores: they are in ``frames.parquet`` since the dataset was prepared, so no
video is decoded. From what an image network gives: :mod:`aulight.training.frozen`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight import protocol
from aulight.data.labelled import frames_of, frames_with_labels
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.facs import MAX_INTENSITY
from aulight.scoring.agreement import METRICS, Array, icc, mean, metrics, sums_of
from aulight.scoring.ridge import ridge

KEY = ["video_id", "frame"]
"""Index of features."""

Features = Callable[[Sequence[str]], pd.DataFrame]
"""Subjects to the float64 features of their frames that show a face, with the index :data:`KEY`."""


@dataclass(frozen=True)
class Fit:
    """What came of a regression.

    Attributes:
        penalty: The one that did best on validation subjects.
        validation_icc: Mean over AUs of ICC(3,1) on them, with it.
        validation: With it, `icc`, `mae`, `mse` and `pearson` of each AU on them, each `(AUs,)`.
        predictions: Row of each test video with a face to ``(frames, AUs)`` float32 intensities in 0..5, NaN where
            there is none.
        validated: The same of validation videos.
    """

    penalty: float
    validation_icc: float
    validation: dict[str, Array]
    predictions: dict[int, npt.NDArray[np.float32]]
    validated: dict[int, npt.NDArray[np.float32]]


def regress(
    data: PreparedDataset, labels: pd.DataFrame, split: protocol.Split, features: Features, penalties: Sequence[float]
) -> Fit:
    """Fits drawn labels, chooses the penalty on all labels of validation subjects, and predicts test subjects.

    Args:
        data: A labelled dataset.
        labels: The drawn rows ``video_id, frame, subject, AU..``: all that the fit may know.
        split: Who validates and who is tested.
        features: What is regressed from. Labelled frames that it lacks play no part.
        penalties: Candidates, above 0, for the penalty of :func:`aulight.scoring.ridge.ridge`; of equals the largest
            is taken.

    Raises:
        AulightError: For validation subjects without labels.
    """
    known = protocol.usable_labels(data.labels, frames_with_labels(data), data.videos, split.validation)
    if known.empty:
        raise AulightError("model.penalties: the validation subjects have no labelled frames to choose one by")
    tables = {part: features(who) for part, who in (("validation", split.validation), ("test", split.test))}
    (drawn, targets), (unseen, truth) = (
        _labelled(table, rows, data.columns)
        for table, rows in ((features(sorted(set(labels["subject"]))), labels), (tables["validation"], known))
    )

    def validated(penalty: float) -> Array:
        return ridge(drawn, targets, unseen, penalty).clip(0, MAX_INTENSITY)

    scores = {float(penalty): float(mean(icc(validated(penalty), truth))) for penalty in penalties}
    best = max(scores, key=lambda penalty: (np.nan_to_num(scores[penalty], nan=-1.0), penalty))

    def predicted(subjects: Sequence[str], table: pd.DataFrame) -> dict[int, npt.NDArray[np.float32]]:
        intensities = ridge(drawn, targets, table.to_numpy(), best).clip(0, MAX_INTENSITY)
        frames, places = table.index.get_level_values("frame"), table.groupby(level="video_id").indices
        predictions = {}
        for row in data.rows(subjects):
            video = data.videos.iloc[row]
            if (mine := places.get(video["video_id"])) is not None:
                predictions[int(row)] = whole = np.full((video["frames"], len(data.aus)), np.nan, np.float32)
                whole[frames[mine]] = intensities[mine]
        return predictions

    found = metrics(sums_of(validated(best), truth))
    validation = {name: found[name] for name in METRICS}
    ours = (predicted(getattr(split, part), tables[part]) for part in ("test", "validation"))
    return Fit(best, scores[best], validation, *ours)


def blendshapes(data: PreparedDataset, subjects: Sequence[str], relative: bool) -> pd.DataFrame:
    """Blendshape scores of the frames of some subjects that show a face.

    Args:
        data: A dataset with blendshape scores.
        subjects: Whose frames.
        relative: Add medians (:func:`with_medians`).

    Returns:
        float64 scores, 52 columns or 104, with the index ``(video_id, frame)``.

    Raises:
        AulightError: When there are no scores, or a frame with a face has none.
    """
    videos = data.videos.loc[data.videos["subject"].isin(list(subjects)), ["video_id", "subject"]]
    frames = frames_of(data, videos["video_id"])
    faces = frames.loc[frames["face_confidence"] > 0, KEY].merge(videos, on="video_id")
    table = faces.merge(data.blendshapes, on=KEY, validate="one_to_one").set_index(KEY)
    subject = table.pop("subject")
    scores = table.astype(np.float64)
    lacking = scores.index[scores.isna().any(axis=1)]
    if len(lacking):
        video, frame = lacking[0]
        raise AulightError(
            f"{data.root / 'frames.parquet'}: frame {frame} of video {video} shows a face but has no blendshape "
            "scores; prepare the raw videos under another data.name="
        )
    return with_medians(scores, subject.to_numpy()) if relative else scores


def with_medians(features: pd.DataFrame, subjects: npt.NDArray[np.str_]) -> pd.DataFrame:
    """Adds, beside each feature, its difference to the subject's median: how far the face is from how it mostly looks.

    No label is needed for that, so a test subject's own frames serve it as well.

    Args:
        features: Of all frames with a face.
        subjects: Whose each is.
    """
    beyond = features - features.groupby(subjects).transform("median")
    return features.join(beyond.add_suffix(" - median"))


def _labelled(
    features: pd.DataFrame, labels: pd.DataFrame, columns: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Features and intensities of labelled frames, NaN where unknown, without those that have no features."""
    frames = pd.MultiIndex.from_frame(labels[KEY])
    there = frames.isin(features.index)
    intensities = labels.loc[there, list(columns)].astype("Float64").to_numpy(np.float64, na_value=np.nan)
    return features.loc[frames[there]].to_numpy(), intensities
