"""A cheap look at what stage one has learned so far: ridge regression on frozen features."""

from collections import Counter

import numpy as np
import numpy.typing as npt
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

CHUNK = 64
"""Frames at a time."""

Features = npt.NDArray[np.float64]


class Probe(Callback):
    """Logs ``probe/icc``: how well a linear map of the frozen features gives the intensities of validation subjects.

    The map is fitted in closed form on randomly drawn labelled frames of the training subjects. Test subjects are
    never looked at, and nothing of this reaches the network.

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
        train = protocol.usable_labels(data.labels, frames_with_labels(data), data.videos, split.train)
        drawn = protocol.draw_labels(train, label_seed, label_fraction)
        self._wanted = set(zip(drawn["video_id"], drawn["frame"], strict=True))
        fitted = data.videos["video_id"].isin(drawn["video_id"]).to_numpy().nonzero()[0]
        self._videos = data.videos["video_id"]
        self._fit = WholeVideos(data, fitted, size, CHUNK, on_error)
        self._score = WholeVideos(data, data.rows(split.validation), size, CHUNK, on_error)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fits and scores, every ``every_epochs`` epochs."""
        assert isinstance(pl_module, Pretraining)
        if (trainer.current_epoch + 1) % self.every_epochs or not trainer.is_global_zero:
            return
        encoder = pl_module.encoder
        encoder.eval()
        with trainer.precision_plugin.forward_context():
            features, targets, drawn = self._features(encoder, self._fit)
            unseen, truth, _ = self._features(encoder, self._score)
        encoder.train()
        predictions = ridge(features[drawn], targets[drawn], unseen, self.penalty).clip(0, 5)
        score = float(mean(icc(predictions, truth)))
        pl_module.log("probe/icc", score, logger=False, rank_zero_only=True)
        # Lightning would log it after the checkpoint of this epoch is written, too late for a run that is cut off there
        for logger in trainer.loggers:
            logger.log_metrics({"probe/icc": score, "epoch": trainer.current_epoch}, trainer.global_step - 1)
            logger.save()

    def _features(
        self, encoder: Encoder, videos: WholeVideos
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Features and labels of all frames, and which of them were drawn."""
        features, targets, drawn = list[Features](), list[Features](), list[list[bool]]()
        device = next(encoder.parameters()).device
        whole = 0  # pieces of the videos that were read to their end
        for piece in videos:
            video, start = piece["video"], piece["start"]
            if piece["error"]:
                self.skipped[piece["error"]] += 1
                del features[whole:], targets[whole:], drawn[whole:]
                continue
            if start == 0:
                stream = FrameStream(encoder, lambda x: x.mean((-2, -1)), self._step_s, self._primed)
            when = np.array(piece["times"]), piece["face"].numpy(), np.array(piece["anew"])
            features.append(stream.push(piece["clip"].to(device), *when).cpu().double().numpy())
            targets.append(piece["targets"].masked_fill(~piece["face"][:, None], torch.nan).double().numpy())
            name = self._videos.iat[video]
            drawn.append([(name, frame) in self._wanted for frame in range(start, start + len(targets[-1]))])
            whole = len(features) if piece["last"] else whole
        if not features:
            raise AulightError("probe: none of the videos it needs could be read")
        return np.concatenate(features), np.concatenate(targets), np.concatenate(drawn)
