"""The amplitude of a trained network set by cross-fitting, and folded into its regressor.

See :mod:`aulight.scoring.amplitude` for what is estimated. What it changes are weights of the last linear map in the
checkpoints, so that everything that reads them afterwards has one and the same network.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor

from aulight import protocol
from aulight.data.batches import Piece
from aulight.data.loaders import RegressionData
from aulight.foreign.checkpoint import read_all
from aulight.nets.reference import level
from aulight.nets.stream import FrameStream
from aulight.runs.record import AmplitudeRecord
from aulight.scoring.amplitude import Amplitude, crossfit
from aulight.training.ranks import of_all
from aulight.training.regression import RegressionStage
from aulight.training.resuming import AtomicCheckpoints

MARK = "amplitude"
"""Key of a checkpoint whose regressor has been changed: by what."""

MOST_FRAMES = 20_000
"""Frames that are taken of those with a drawn label, and likewise of those without."""


class Labelled(NamedTuple):
    """Frames of labelled people, a row each.

    Attributes:
        videos: ``(N,)`` their names.
        frames: ``(N,)``.
        subjects: ``(N,)``.
        labels: ``(N, A)`` intensities, NaN where unknown or not drawn.
        coded: ``(N, A)`` whether there is a label, drawn or not.
    """

    videos: npt.NDArray[np.str_]
    frames: npt.NDArray[np.int64]
    subjects: npt.NDArray[np.str_]
    labels: npt.NDArray[np.float64]
    coded: npt.NDArray[np.bool_]


def labelled_frames(
    drawn: pd.DataFrame, candidates: pd.DataFrame, columns: Sequence[str], train: Sequence[str], seed: int
) -> Labelled:
    """The drawn labels, and what other frames of the same videos could have been drawn.

    Args:
        drawn: Rows ``video_id, frame, subject, AU..``: all that training may know.
        candidates: What they were drawn from; of these nothing is taken but that they are there.
        columns: The AU columns.
        train: Subjects whose labels may be drawn.
        seed: By which some are taken where there are more than :data:`MOST_FRAMES`.
    """
    key = ["video_id", "frame"]
    there = candidates.assign(**{au: candidates[au].notna() for au in columns})
    there = there[there["video_id"].isin(drawn["video_id"])]
    known = drawn[key].merge(there, on=key, validate="one_to_one")
    others = there.merge(drawn[key], on=key, how="left", indicator=True)
    others = others[others.pop("_merge") == "left_only"]
    some = [part.sample(min(len(part), MOST_FRAMES), random_state=seed).sort_index() for part in (known, others)]
    table = pd.concat(some, ignore_index=True)
    protocol.assert_subjects(table, train, "amplitude")
    values = table[key].merge(drawn, on=key, how="left")[list(columns)]
    return Labelled(
        table["video_id"].to_numpy(str),
        table["frame"].to_numpy(np.int64),
        table["subject"].to_numpy(str),
        values.astype("Float64").to_numpy(float, na_value=np.nan),
        table[list(columns)].to_numpy(bool),
    )


class Embedder(pl.LightningModule):
    """What the regressor is given of some frames of whole videos, as they are scored, and what it says of them.

    Args:
        stage: The network.
        wanted: Places of frames by row of the dataset's videos.

    Attributes:
        features: By row of the video and place of the frame, ``(channels,)`` float32. With a reference, what that is of
            stands behind them, ``(AUs,)``, less the reference.
        outputs: The same way, ``(AUs,)`` intensities, not clipped.
    """

    def __init__(self, stage: RegressionStage, wanted: dict[int, npt.NDArray[np.int64]]) -> None:
        super().__init__()
        self.encoder, self.regressor = stage.encoder, stage.regressor
        self._pace, self._wanted = (stage.step_s, stage.primed), wanted
        self.features: dict[tuple[int, int], npt.NDArray[np.float32]] = {}
        self.outputs: dict[tuple[int, int], npt.NDArray[np.float32]] = {}
        self._streams: dict[int, FrameStream] = {}
        self._own: dict[int, list[Tensor]] = {}

    def predict_step(self, piece: Piece, batch_idx: int) -> None:
        """Sees the next piece of a video; an unreadable one is forgotten."""
        video = piece["video"]
        if piece["error"]:
            self._wanted.pop(video, None)
            for found in (self.features, self.outputs):
                for key in [key for key in found if key[0] == video]:
                    del found[key]
            return
        if video not in self._streams:
            self._streams[video] = FrameStream(self.encoder, _pooled, *self._pace)
        when = np.array(piece["times"]), piece["face"].numpy(force=True), np.array(piece["anew"])
        features = self._streams[video].push(piece["clip"], *when)
        outputs = self.regressor.intensities(features)
        if self.regressor.relative is not None:
            own = self.regressor.own(features[None, ..., None, None])[0]
            self._own.setdefault(video, []).append(own[piece["face"]])
            features = torch.cat([features, own], -1)
        for frame in self._wanted.get(video, ()):
            if 0 <= (place := int(frame) - piece["start"]) < len(features):
                self.features[video, int(frame)] = features[place].numpy(force=True).copy()
                self.outputs[video, int(frame)] = outputs[place].numpy(force=True).copy()
        if piece["last"]:
            del self._streams[video]
            if self.regressor.relative is not None:
                self._take_away(video, level(torch.cat(self._own.pop(video))))

    def _take_away(self, video: int, reference: Tensor) -> None:
        away, std = reference.numpy(force=True), self.regressor.std.numpy(force=True)
        for frame in self._wanted.get(video, ()):
            self.features[video, int(frame)][-len(away) :] -= away
            self.outputs[video, int(frame)] -= std * away

    def gather(self) -> None:
        """Adds what other processes have seen, each of which has other videos."""
        for part in of_all((self.features, self.outputs)):
            self.features |= part[0]
            self.outputs |= part[1]


def _pooled(features: Tensor) -> Tensor:
    return features.float().mean((-2, -1))


def set_amplitude(
    trainer: pl.Trainer, stage: RegressionStage, data: RegressionData, file: Path, frames: Labelled, seed: int
) -> Amplitude:
    """Changes the regressor in a checkpoint, unless that was done before, as in a run that was cut off then.

    Args:
        trainer: That it was trained with.
        stage: Whose weights become those of the checkpoint.
        data: Of the run.
        file: The checkpoint.
        frames: Of labelled people.
        seed: Of the folds.
    """
    saved = read_all(file)
    stage.load_state_dict(saved["state_dict"])
    if MARK in saved:
        return Amplitude(*(np.array(saved[MARK][name]) for name in Amplitude._fields))
    rows = data.rows_of(frames.videos)
    embedder = Embedder(stage, {int(row): frames.frames[rows == row] for row in np.unique(rows)})
    trainer.predict(embedder, data.whole_videos(np.unique(rows)), return_predictions=False)
    embedder.gather()
    stage.cpu()
    places = list(zip(rows.tolist(), frames.frames.tolist(), strict=True))
    read = np.array([place in embedder.features for place in places])
    features, outputs = (
        np.stack([of_places[place] for place in places if place in of_places])
        for of_places in (embedder.features, embedder.outputs)
    )
    found = crossfit(
        features.astype(np.float64),
        outputs.astype(np.float64),
        frames.labels[read],
        frames.coded[read],
        frames.subjects[read],
        seed,
    )
    stage.regressor.rescale(*(torch.from_numpy(part).float() for part in (found.slope, found.offset)))
    saved["state_dict"] |= {f"regressor.{name}": value for name, value in stage.regressor.state_dict().items()}
    saved[MARK] = {name: values.tolist() for name, values in found._asdict().items()}
    if trainer.is_global_zero:
        AtomicCheckpoints().save_checkpoint(saved, file)
    trainer.strategy.barrier()
    return found


def recorded(found: Amplitude, columns: Sequence[str]) -> dict[str, AmplitudeRecord]:
    """For ``run.yaml``, by the AU's column."""
    of_units = zip(*(values.round(6).tolist() for values in found), strict=True)
    return {
        au: AmplitudeRecord.model_validate(dict(zip(Amplitude._fields, of_unit, strict=True)))
        for au, of_unit in zip(columns, of_units, strict=True)
    }
