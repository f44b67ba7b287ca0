"""What a user would try instead: ridge regression from a face landmarker's blendshape scores to intensities.

The scores are in ``frames.parquet`` since the dataset was prepared, so no video is decoded and no network is trained.
"""

from collections.abc import Sequence
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

_KEY = ["video_id", "frame"]


@dataclass(frozen=True)
class Fit:
    """What came of a regression.

    Attributes:
        penalty: The one that did best on validation subjects.
        validation_icc: Mean over AUs of ICC(3,1) on them, with it.
        validation: With it, `icc`, `mae`, `mse` and `pearson` of each AU on them, each `(AUs,)`.
        predictions: Row of each test video to ``(frames, AUs)`` float32 intensities in 0..5, NaN without a face.
        validated: The same of validation videos.
    """

    penalty: float
    validation_icc: float
    validation: dict[str, Array]
    predictions: dict[int, npt.NDArray[np.float32]]
    validated: dict[int, npt.NDArray[np.float32]]


def regress(
    data: PreparedDataset, labels: pd.DataFrame, split: protocol.Split, relative: bool, penalties: Sequence[float]
) -> Fit:
    """Fits drawn labels, chooses the penalty on all labels of validation subjects, and predicts test subjects.

    Args:
        data: A labelled dataset with blendshape scores.
        labels: The drawn rows ``video_id, frame, subject, AU..``: all that the fit may know.
        split: Who validates and who is tested.
        relative: As in :func:`features`.
        penalties: Candidates, above 0, for the penalty of :func:`aulight.scoring.ridge.ridge`; of equals the largest
            is taken.

    Raises:
        AulightError: For validation subjects without labels, or a dataset without blendshape scores.
    """
    known = protocol.usable_labels(data.labels, frames_with_labels(data), data.videos, split.validation)
    if known.empty:
        raise AulightError("model.penalties: the validation subjects have no labelled frames to choose one by")
    drawn, unseen = (
        features(data, sorted(set(table["subject"])), relative).loc[pd.MultiIndex.from_frame(table[_KEY])].to_numpy()
        for table in (labels, known)
    )
    targets, truth = _intensities(labels, data.columns), _intensities(known, data.columns)

    def validated(penalty: float) -> Array:
        return ridge(drawn, targets, unseen, penalty).clip(0, MAX_INTENSITY)

    scores = {float(penalty): float(mean(icc(validated(penalty), truth))) for penalty in penalties}
    best = max(scores, key=lambda penalty: (np.nan_to_num(scores[penalty], nan=-1.0), penalty))

    def predicted(subjects: Sequence[str]) -> dict[int, npt.NDArray[np.float32]]:
        table = features(data, subjects, relative)
        intensities = ridge(drawn, targets, table.to_numpy(), best).clip(0, MAX_INTENSITY)
        frames, places = table.index.get_level_values("frame"), table.groupby(level="video_id").indices
        predictions = {}
        for row in data.rows(subjects):
            video = data.videos.iloc[row]
            predictions[int(row)] = whole = np.full((video["frames"], len(data.aus)), np.nan, np.float32)
            mine = places.get(video["video_id"], np.array([], np.int64))
            whole[frames[mine]] = intensities[mine]
        return predictions

    found = metrics(sums_of(validated(best), truth))
    validation = {name: found[name] for name in METRICS}
    return Fit(best, scores[best], validation, predicted(split.test), predicted(split.validation))


def features(data: PreparedDataset, subjects: Sequence[str], relative: bool) -> pd.DataFrame:
    """Blendshape scores of the frames of some subjects that show a face.

    Args:
        data: A dataset with blendshape scores.
        subjects: Whose frames.
        relative: Add, beside each score, its difference to the subject's median over all frames with a face: how far
            the face is from how this subject mostly looks. No label is needed for that, so a test subject's own
            frames serve it as well.

    Returns:
        float64 scores, 52 columns or 104, with the index ``(video_id, frame)``.

    Raises:
        AulightError: When there are no scores, or a frame with a face has none.
    """
    videos = data.videos.loc[data.videos["subject"].isin(list(subjects)), ["video_id", "subject"]]
    frames = frames_of(data, videos["video_id"])
    faces = frames.loc[frames["face_confidence"] > 0, _KEY].merge(videos, on="video_id")
    table = faces.merge(data.blendshapes, on=_KEY, validate="one_to_one").set_index(_KEY)
    subject = table.pop("subject")
    scores = table.astype(np.float64)
    lacking = scores.index[scores.isna().any(axis=1)]
    if len(lacking):
        video, frame = lacking[0]
        raise AulightError(
            f"{data.root / 'frames.parquet'}: frame {frame} of video {video} shows a face but has no blendshape "
            "scores; prepare the raw videos under another data.name="
        )
    if relative:
        scores = scores.join((scores - scores.groupby(subject).transform("median")).add_suffix(" - median"))
    return scores


def _intensities(labels: pd.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.float64]:
    return labels[list(columns)].astype("Float64").to_numpy(np.float64, na_value=np.nan)
