"""Pseudo-labels: what finished runs say together of videos without labels (Lee, 2013; Xie et al., 2020).

Each run sees each video as it is and mirrored. The mean is the label, where they agree.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from aulight import protocol
from aulight.data.batches import Piece
from aulight.data.loaders import RegressionData
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.nets.reference import of_film
from aulight.nets.stream import FrameStream
from aulight.prediction.of_run import of_run
from aulight.training.ranks import of_all


class Ensemble(pl.LightningModule):
    """Finished runs over whole videos, each as it is and mirrored.

    Args:
        runs: Their directories.
        size: Side of the faces that they are shown, in pixels.

    Raises:
        AulightError: When one sees faces of another size.

    Attributes:
        mean: Row of the video to ``(frames, AUs)`` float32 intensities, NaN where there is no face.
        spread: Likewise the standard deviation over networks and sides.
    """

    def __init__(self, runs: list[Path], size: int) -> None:
        super().__init__()
        models = [of_run(run) for run in runs]
        for run, model in zip(runs, models, strict=True):
            if model.description.encoder.size != size:
                raise AulightError(
                    f"pseudo.runs={run}: sees faces of {model.description.encoder.size} pixels, the student of {size}; "
                    "teachers with the same model.size are needed"
                )
        self.networks = nn.ModuleList(model.network for model in models if model.network is not None)
        self._relative = [model.relative for model in models for _ in range(2)]
        self._pace = [(model.description.seconds_a_step, model.description.primed) for model in models]
        self.mean: dict[int, npt.NDArray[np.float32]] = {}
        self.spread: dict[int, npt.NDArray[np.float32]] = {}
        self._streams: dict[int, list[FrameStream]] = {}
        self._pieces: dict[int, list[list[Tensor]]] = {}

    def predict_step(self, piece: Piece, batch_idx: int) -> None:
        """Sees the next piece of a video; an unreadable one is forgotten."""
        video = piece["video"]
        if piece["error"]:
            self._streams.pop(video, None)
            self._pieces.pop(video, None)
            return
        if video not in self._streams:
            self._streams[video] = [
                FrameStream(network["encoder"], network["regressor"].predict, *pace)  # type: ignore[index]
                for network, pace in zip(self.networks, self._pace, strict=True)
                for _ in range(2)
            ]
        face = piece["face"].numpy(force=True)
        when = np.array(piece["times"]), face, np.array(piece["anew"])
        sides = piece["clip"], piece["clip"].flip(3)
        said = [stream.push(sides[place % 2], *when) for place, stream in enumerate(self._streams[video])]
        self._pieces.setdefault(video, []).append([*(values.cpu() for values in said), piece["face"].cpu()])
        if piece["last"]:
            del self._streams[video]
            *films, faces = (torch.cat(parts) for parts in zip(*self._pieces.pop(video), strict=True))
            by_one = [
                of_film(film, faces) if relative else film for film, relative in zip(films, self._relative, strict=True)
            ]
            whole = torch.stack(by_one).masked_fill(~faces[:, None], torch.nan)
            self.mean[video] = whole.mean(0).numpy()
            self.spread[video] = whole.std(0, correction=0).numpy()

    def gather(self) -> None:
        """Adds what other processes have seen, each of which has other videos."""
        for mean, spread in of_all((self.mean, self.spread)):
            self.mean |= mean
            self.spread |= spread


def pseudo_labels(
    trainer: pl.Trainer,
    module: RegressionData,
    data: PreparedDataset,
    split: protocol.Split,
    runs: list[Path],
    drawn: pd.DataFrame,
    most_apart: npt.NDArray[np.float64],
    size: int,
) -> pd.DataFrame:
    """What runs say of all frames with a face that training may see and that have no drawn label.

    Args:
        trainer: Of the run.
        module: Its data.
        data: The dataset.
        split: Its subjects: those of ``stage_one`` alone are looked at.
        runs: Directories of the teachers.
        drawn: The drawn rows ``video_id, frame``.
        most_apart: ``(AUs,)`` largest standard deviation over the teachers that makes a label.
        size: Side of the faces that the student sees, in pixels.

    Returns:
        ``video_id, frame, subject, AU..`` float32, NaN where they are not sure; no row without an AU.

    Raises:
        AulightError: When nothing comes of it, or a run sees faces of another size than the student.
    """
    ensemble, tested = Ensemble(runs, size), module.predicted
    module.predicted = data.rows(split.stage_one)
    trainer.predict(ensemble, module, return_predictions=False)
    module.predicted = tested
    ensemble.gather()
    parts = []
    for row in sorted(ensemble.mean):
        values = np.where(ensemble.spread[row] <= most_apart, ensemble.mean[row], np.nan)
        part = pd.DataFrame(values, columns=data.columns)
        part.insert(0, "video_id", str(data.videos["video_id"].iat[row]))
        part.insert(1, "frame", part.index)
        part.insert(2, "subject", str(data.videos["subject"].iat[row]))
        parts.append(part[part[data.columns].notna().any(axis=1)])
    if not parts:
        raise AulightError("pseudo.runs: none of the videos that are to be labelled could be read")
    table = pd.concat(parts, ignore_index=True)
    keys = pd.MultiIndex.from_frame(drawn[["video_id", "frame"]])
    table = table[~pd.MultiIndex.from_frame(table[["video_id", "frame"]]).isin(keys)].reset_index(drop=True)
    if table.empty:
        raise AulightError(
            "pseudo.runs: no frame is left to label: all have drawn labels, or the runs differ by more than "
            "pseudo.apart; leave it out"
        )
    return table
