"""A cheap look at what stage one has learned so far: ridge regression on frozen features."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from aulight import protocol
from aulight.data.batches import WholeVideos
from aulight.data.labelled import frames_with_labels
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.nets.encoder import Encoder
from aulight.nets.stream import FrameStream
from aulight.scoring.agreement import icc, mean
from aulight.scoring.ridge import ridge
from aulight.settings.data import OnError
from aulight.settings.training import ClipSettings
from aulight.training.pretraining import Pretraining
from aulight.training.ranks import of_all, to_first

CHUNK = 64
"""Frames at a time."""

Rows = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Features ``(n, D)`` and labels ``(n, AUs)`` of some frames."""


class Probe(Callback):
    """Logs ``probe/icc``: how well a linear map of the frozen features gives the intensities of validation subjects.

    The map is fitted in closed form on randomly drawn labelled frames of the training subjects. Test subjects are
    never looked at, and nothing of this reaches the network. Several processes share the videos out; of these, frames
    that the map is fitted on or scored by are all that is kept, and brought to the first process.

    Args:
        data: A labelled dataset.
        split: Its subjects.
        clip: Of stage one: its videos are seen at the least stride, and their first frames as in a clip of its length.
        size: Pixels, as the network wants them.
        every_epochs: How often.
        label_fraction: Share of the training subjects' labelled frames that the map is fitted on.
        label_seed: Of their draw.
        penalty: Of the ridge regression, on standardised features.
        on_error: What to do with an unreadable video.

    Attributes:
        skipped: How often which video was passed over.
    """

    def __init__(
        self,
        data: PreparedDataset,
        split: protocol.Split,
        clip: ClipSettings,
        size: int,
        every_epochs: int,
        label_fraction: float,
        label_seed: int,
        penalty: float,
        on_error: OnError = "raise",
    ) -> None:
        self.skipped: Counter[str] = Counter()
        self.every_epochs, self.penalty = every_epochs, penalty
        self._step_s, self._primed = clip.stride[0] / data.fps, clip.length - 1
        self._data, self._size, self._on_error = data, size, on_error
        frames = frames_with_labels(data)
        train, unseen = (
            protocol.usable_labels(data.labels, frames, data.videos, who) for who in (split.train, split.validation)
        )
        self._wanted = self._places(protocol.draw_labels(train, label_seed, label_fraction)), self._places(unseen)

    def _places(self, labels: pd.DataFrame) -> dict[int, npt.NDArray[np.int64]]:
        """Labelled frames by row of their video."""
        rows = pd.Index(self._data.videos["video_id"]).get_indexer(labels["video_id"])
        return {int(row): of_video.to_numpy(np.int64) for row, of_video in labels["frame"].groupby(rows)}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes this process's share of the videos."""
        place = trainer.global_rank, trainer.world_size
        self._videos = [
            WholeVideos(self._data, list(part), self._size, CHUNK, self._on_error, *place) for part in self._wanted
        ]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fits and scores, every ``every_epochs`` epochs; not where there is nothing to score by."""
        assert isinstance(pl_module, Pretraining)
        if (trainer.current_epoch + 1) % self.every_epochs or not self._wanted[1]:
            return
        with trainer.precision_plugin.forward_context():
            parts = to_first(self._read(pl_module.encoder))
        if not parts:
            return
        (features, targets), (unseen, truth) = (_joined(part) for part in zip(*parts, strict=True))
        predictions = ridge(features, targets, unseen, self.penalty).clip(0, 5)
        score = float(mean(icc(predictions, truth)))
        pl_module.log("probe/icc", score, logger=False, rank_zero_only=True)
        # Lightning would log it after the checkpoint of this epoch is written, too late for a run that is cut off there
        for logger in trainer.loggers:
            logger.log_metrics({"probe/icc": score, "epoch": trainer.current_epoch}, trainer.global_step - 1)
            logger.save()

    def _read(self, encoder: Encoder) -> list[dict[int, Rows]]:
        """What this process's videos give the map and its score; when one process cannot read them, all raise."""
        found = list[dict[int, Rows]]()
        problem: Exception | None = None
        encoder.eval()
        try:
            for videos, wanted in zip(self._videos, self._wanted, strict=True):
                found.append(self._rows(encoder, videos, wanted))
        except (AulightError, OSError) as error:
            problem = error
        encoder.train()
        told = of_all((None if problem is None else str(problem), [len(part) for part in found]))
        if problem is not None:
            raise problem
        for said, _ in told:
            if said is not None:
                raise AulightError(said)
        if not all(map(sum, zip(*(videos for _, videos in told), strict=True))):
            raise AulightError("probe: none of the videos it needs could be read")
        return found

    def _rows(
        self, encoder: Encoder, videos: WholeVideos, wanted: Mapping[int, npt.NDArray[np.int64]]
    ) -> dict[int, Rows]:
        """Features and labels of the wanted frames, by row of the video."""
        found: dict[int, list[Rows]] = {}
        device = next(encoder.parameters()).device
        for piece in videos:
            video, start = piece["video"], piece["start"]
            if piece["error"]:
                self.skipped[piece["error"]] += 1
                found.pop(video, None)
                continue
            if start == 0:
                stream = FrameStream(encoder, lambda x: x.mean((-2, -1)), self._step_s, self._primed)
            when = np.array(piece["times"]), piece["face"].numpy(), np.array(piece["anew"])
            features = stream.push(piece["clip"].to(device), *when)
            frames = wanted[video]
            kept = torch.from_numpy(frames[(frames >= start) & (frames < start + len(features))] - start)
            rows = features[kept.to(device)].numpy(force=True), piece["targets"][kept].numpy()
            found.setdefault(video, []).append(rows)
        return {video: _stacked(pieces) for video, pieces in found.items()}


def _stacked(parts: Sequence[Rows]) -> Rows:
    features, targets = zip(*parts, strict=True)
    return np.concatenate(features), np.concatenate(targets)


def _joined(parts: Sequence[Mapping[int, Rows]]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of all processes, in the order of the videos, whichever process had them."""
    of_video = {video: rows for part in parts for video, rows in part.items()}
    features, targets = _stacked([of_video[video] for video in sorted(of_video)])
    return features.astype(np.float64), targets.astype(np.float64)
