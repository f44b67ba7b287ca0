"""What a user would try instead: features of an image network that learned elsewhere, and learns nothing here.

The network is one of timm, its weights are a file of the user's. Nothing is fetched.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from aulight.data.batches import WholeVideos
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError, one_line
from aulight.foreign.checkpoint import read_weights
from aulight.nets.backbone import import_timm
from aulight.runs.ahead import weights_of
from aulight.settings.data import OnError
from aulight.settings.model import FrozenSettings
from aulight.training.baseline import KEY, with_medians


class FrozenFeatures:
    """Features of the frames of some subjects, from a network that stays as it is.

    Args:
        data: The dataset.
        settings: Which network, and what it is shown.
        chunk: Frames through the network at a time.
        device: Where it computes, in fp32.
        on_error: What to do with an unreadable video.

    Attributes:
        skipped: How often which video was passed over.

    Raises:
        AulightError: When there is no such network, or the weights are not its.
    """

    def __init__(
        self,
        data: PreparedDataset,
        settings: FrozenSettings,
        chunk: int,
        device: str,
        on_error: OnError = "raise",
    ) -> None:
        self.skipped: Counter[str] = Counter()
        self._data, self._settings, self._chunk, self._on_error = data, settings, chunk, on_error
        self._network = load(settings.timm, weights_of(settings)).to(device)
        self._device = device
        self._mean, self._std = (255 * torch.tensor(values, device=device) for values in (settings.mean, settings.std))

    def __call__(self, subjects: Sequence[str]) -> pd.DataFrame:
        """Features of the frames that show a face.

        Args:
            subjects: Whose frames.

        Returns:
            float64, a column a channel, twice as many with medians (:func:`aulight.training.baseline.with_medians`),
            with the index ``(video_id, frame)``.

        Raises:
            AulightError: When none of the videos could be read, or one of them and ``on_error`` says so.
        """
        videos = WholeVideos(self._data, self._data.rows(subjects), self._settings.size, self._chunk, self._on_error)
        found: dict[int, list[pd.DataFrame]] = {}
        for piece in videos:
            row = piece["video"]
            if piece["error"]:
                self.skipped[piece["error"]] += 1
                found.pop(row, None)
                continue
            face = piece["face"]
            places = piece["start"] + face.nonzero()[:, 0].numpy()
            table = pd.DataFrame(self._seen(piece["clip"][0, face]))
            table.index = pd.MultiIndex.from_product([[self._data.videos["video_id"].iat[row]], places], names=KEY)
            found.setdefault(row, []).append(table)
        if not found:
            raise AulightError(f"dataset {self._data.name}: none of the videos could be read")
        features = pd.concat([table for tables in found.values() for table in tables])
        if not self._settings.relative:
            return features
        of_video = self._data.videos.set_index("video_id")["subject"]
        return with_medians(features, of_video.loc[features.index.get_level_values("video_id")].to_numpy())

    @torch.inference_mode()
    def _seen(self, frames: Tensor) -> npt.NDArray[np.float64]:
        """``(n, channels)`` of pictures ``(n, H, W, 3)`` of 0 to 255."""
        pictures = (frames.to(self._device).float() - self._mean) / self._std
        features: Tensor = self._network(pictures.permute(0, 3, 1, 2))
        return features.double().numpy(force=True)


def load(name: str, file: Path) -> nn.Module:
    """A network of timm that gives its pooled features ``(N, channels)``, in eval mode.

    Args:
        name: In timm.
        file: Its weights, with or without those of its classifier.

    Raises:
        AulightError: When timm cannot be imported or has none of that name, or the weights are not its.
    """
    timm = import_timm(f"model.timm={name}")
    try:
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise AulightError(f"model.timm={name}: timm cannot build it ({one_line(error)})") from error
    said = getattr(network, "default_cfg", {}).get("classifier") or ()
    classifiers = tuple(f"{part}." for part in ([said] if isinstance(said, str) else said))
    weights = {key: value for key, value in read_weights(file).items() if not key.startswith(classifiers or "\0")}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise AulightError(f"model.weights={file}: not those of timm's {name} ({one_line(error)[:200]})") from error
    return network.eval().requires_grad_(False)
