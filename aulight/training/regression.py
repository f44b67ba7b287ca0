"""Stage two: AU intensities from a few labelled frames, on top of stage one or from scratch."""

from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer

from aulight.data.batches import ClipBatch, Piece
from aulight.facs import column
from aulight.nets.encoder import Encoder
from aulight.nets.heads import IntensityRegressor
from aulight.nets.reference import level, of_film
from aulight.nets.stream import FrameStream
from aulight.scoring.metrics import IntensityMetrics
from aulight.scoring.scores import named
from aulight.settings.finetune import FinetuneOptimSettings
from aulight.settings.model import NetworkSettings
from aulight.training.concordance import concordance_regression
from aulight.training.losses import gather_with_grad, masked_regression
from aulight.training.optim import one_cycle
from aulight.training.ranks import of_all

USUAL = 0.02
"""How far the usual reference goes towards that of each step's people: it is that of the last fifty steps or so."""


class RegressionStage(pl.LightningModule):
    """Regresses standardised intensities on every labelled frame and known AU of a clip.

    Validation and test score whole videos in order, with the state carried from piece to piece.

    Args:
        encoder: The network.
        aus: Numbers of the AUs.
        label_mean: ``(AUs,)`` mean of the drawn labels.
        label_std: ``(AUs,)`` standard deviation of the drawn labels.
        stride: Frames from one sample of the recurrence to the next, in whole videos at the dataset's rate.
        step_s: The same in seconds.
        primed: How often the first frame of a track is seen before it counts (:class:`Recurrence`).
        loss: ``mse``, ``smooth_l1`` or ``ccc``.
        freeze: ``none``; ``backbone`` keeps the per-frame part as loaded; ``encoder`` the recurrence as well.
        optim: Of :func:`one_cycle`, with ``lr`` for the regressor.
        ccc_share: Of ``ccc``: the share of :func:`concordance_regression`.
        reference: Frames in front of each clip, by whose reference (:mod:`aulight.nets.reference`) the regressor
            learns; 0: it has none. Whole videos have that of all their frames with a face.

    Attributes:
        predictions: After a validation, a test or a prediction: row of the video to ``(frames, AUs)`` float32
            intensities in 0..5.
    """

    def __init__(
        self,
        encoder: NetworkSettings,
        aus: list[int],
        label_mean: list[float],
        label_std: list[float],
        stride: int,
        step_s: float,
        primed: int,
        loss: Literal["mse", "smooth_l1", "ccc"],
        freeze: Literal["none", "backbone", "encoder"],
        optim: FinetuneOptimSettings,
        ccc_share: float = 1.0,
        reference: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(  # plain values, which a checkpoint gives back without running code
            {
                "encoder": encoder.model_dump(),
                "aus": aus,
                "label_mean": label_mean,
                "label_std": label_std,
                "stride": stride,
                "step_s": step_s,
                "primed": primed,
                "loss": loss,
                "freeze": freeze,
                "optim": optim.model_dump(),
                "ccc_share": ccc_share,
                "reference": reference,
            }
        )
        self.encoder = Encoder(encoder)
        self.regressor = IntensityRegressor(self.encoder.channels, len(aus), encoder.embedding if reference else 0)
        self.regressor.set_scale(torch.tensor(label_mean), torch.tensor(label_std))
        self.step_s, self.primed, self.loss, self.optim = step_s, primed, loss, optim
        self.ccc_share, self.reference = ccc_share, reference
        self._freeze = freeze
        for module in self.frozen:
            module.requires_grad_(False)
        self.columns = [column(au) for au in aus]
        self.metrics = IntensityMetrics(len(aus))
        self.predictions: dict[int, np.ndarray[Any, np.dtype[np.float32]]] = {}
        self._streams: dict[int, FrameStream] = {}
        self._pieces: dict[int, list[tuple[Tensor, Tensor, Tensor]]] = {}
        self._share = torch.ones(())
        self._shares: list[Tensor] = []

    @property
    def frozen(self) -> list[nn.Module]:
        """The parts that stay as they were loaded, looked up: Lightning replaces each BatchNorm to synchronise it."""
        if self._freeze == "none":
            return []
        return [part for name, part in self.encoder.named_children() if self._freeze == "encoder" or name != "temporal"]

    def train(self, mode: bool = True) -> "RegressionStage":
        """Frozen parts stay in eval mode, so that their normalisation statistics stay as loaded."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """Masked loss over a batch of clips (one view)."""
        outputs, targets = self._outputs(batch["clips"][:, 0]), batch["targets"][:, self.reference :]
        known = ~targets.isnan()
        wanted = self.regressor.standardise(targets)
        if self.loss == "ccc":  # over the batches of all processes, each of which then has the same loss
            outputs, wanted = gather_with_grad(outputs), gather_with_grad(wanted)
            known = ~wanted.isnan()
            loss = concordance_regression(outputs, wanted, known, self.ccc_share)
        else:
            loss = masked_regression(outputs, wanted, known, self.loss)
        labels = known.sum()
        self._share = labels / known.numel()
        if self.loss != "ccc" and dist.is_available() and dist.is_initialized():
            # a mean over the labels of all processes, of which each has another number
            world, total = dist.get_world_size(), labels.clone()
            dist.all_reduce(total)
            loss = loss * labels * world / total.clamp(min=1)
            self._share = total / (known.numel() * world)
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def _outputs(self, clips: Tensor) -> Tensor:
        """Standardised outputs ``(B, T, AUs)`` for clips, in front of which are the frames for the reference."""
        embedding = self.encoder.embed(self.encoder.normalise(clips))
        features, _ = self.encoder.follow(embedding[:, self.reference :])
        outputs: Tensor = self.regressor(features)
        if not self.reference:
            return outputs
        found = level(self.regressor.own(embedding[:, : self.reference]))  # (B, AUs)
        with torch.no_grad():
            usual = gather_with_grad(found.detach()).mean(0)
            self.regressor.usual.lerp_(usual, USUAL)
        return outputs - found[:, None]

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Where several batches make a step, each counts by its labels, told as a share of all its targets.

        A CCC is then one of each batch, not of the whole step, whose predictions are never there together.
        """
        if self.trainer.accumulate_grad_batches > 1:
            self._shares.append(self._share)
            loss = loss * self._share
        super().backward(loss, *args, **kwargs)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Makes of the gradients that of the mean over all labels of the step; they are clipped after it."""
        if self._shares:
            mean = torch.stack(self._shares).mean().clamp(min=1e-9)  # 0 where nothing is known, and so are they
            self._shares.clear()
            for parameter in self.parameters():
                if parameter.grad is not None:
                    parameter.grad /= mean

    def on_validation_epoch_start(self) -> None:
        """Forgets the videos of the last time."""
        self._start_scoring()

    def on_test_epoch_start(self) -> None:
        """Forgets the videos of the last time."""
        self._start_scoring()

    def on_predict_epoch_start(self) -> None:
        """Forgets the videos of the last time."""
        self._start_scoring()

    def validation_step(self, piece: Piece, batch_idx: int) -> None:
        """Scores the next piece of a video."""
        self._score(piece)

    def test_step(self, piece: Piece, batch_idx: int) -> None:
        """Scores the next piece of a video."""
        self._score(piece)

    def predict_step(self, piece: Piece, batch_idx: int) -> None:
        """Scores the next piece of a video, of which nothing is logged."""
        self._score(piece)

    def on_validation_epoch_end(self) -> None:
        """Logs scores over the pooled frames, of each AU and as means; after training they are known."""
        if self.trainer.state.fn == TrainerFn.FITTING:
            self._log_summary("val")

    def on_test_epoch_end(self) -> None:
        """Logs ICC, MAE, MSE and Pearson over the pooled frames, of each AU and as means."""
        self._log_summary("test")

    def _log_summary(self, part: str) -> None:
        found = self.metrics.compute()  # torchmetrics makes scalars of the scores of a single AU
        scores = {name: values.reshape(-1).numpy(force=True) for name, values in found.items()}
        # the same on every process already; Lightning wants to be told that it may average
        self.log_dict(named(part, scores, self.columns), sync_dist=True)

    def gather_predictions(self) -> None:
        """Adds the predictions of the other processes, each of which has scored other videos."""
        self.predictions = {video: values for part in of_all(self.predictions) for video, values in part.items()}

    def _start_scoring(self) -> None:
        self.metrics.reset()
        self._streams, self._pieces, self.predictions = {}, {}, {}

    def _score(self, piece: Piece) -> None:
        video = piece["video"]
        if piece["error"]:  # unreadable and to be skipped: what was scored of it is forgotten
            self._streams.pop(video, None)
            self._pieces.pop(video, None)
            return
        if video not in self._streams:
            self._streams[video] = FrameStream(self.encoder, self.regressor.predict, self.step_s, self.primed)
        when = np.array(piece["times"]), piece["face"].numpy(force=True), np.array(piece["anew"])
        scores = self._streams[video].push(piece["clip"], *when)
        targets = piece["targets"].masked_fill(~piece["face"][:, None], torch.nan)
        self._pieces.setdefault(video, []).append((scores, targets, piece["face"]))
        if piece["last"]:
            del self._streams[video]
            intensities, truth, faces = (torch.cat(parts) for parts in zip(*self._pieces.pop(video), strict=True))
            if self.reference:
                intensities = of_film(intensities, faces)
            self.metrics.update(intensities, truth)
            self.predictions[video] = intensities.cpu().numpy()

    def configure_optimizers(self) -> Any:
        """AdamW with a one-cycle schedule; the encoder at a share of the regressor's rate."""
        lr = self.optim.lr
        groups = [
            {"params": list(self.encoder.parameters()), "lr": lr * self.optim.encoder_lr_factor},
            {"params": list(self.regressor.parameters()), "lr": lr},
        ]
        return one_cycle(groups, int(self.trainer.estimated_stepping_batches), self.optim)
