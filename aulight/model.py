"""A trained model, wherever it is kept: a run directory, a checkpoint, a ``.aulight`` file or an ``.onnx`` file.

A ``.aulight`` file is a safetensors file: the weights, and in its header the description of the model as JSON. An
``.onnx`` file has the same description beside the network as a graph of one frame. Reading either runs no code of
theirs. Both end up with a seal, a SHA-256 over all of the file but itself: it tells of accidents (a copy cut short, an
edited number), not of malice, since who can change the file can seal it anew.
"""

import copy
import dataclasses
import hashlib
import itertools
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors
import safetensors.torch
import torch
import yaml
from torch import Tensor, nn
from torch.nn.functional import interpolate

from aulight import __version__
from aulight.conformal import calibrate, from_plain
from aulight.data.faces import MAX_FACES, SMOOTH_S, FaceAligner, Present, uncut
from aulight.data.video import Frames, RawFrame, raw_frames
from aulight.errors import AulightError, one_line
from aulight.facs import MAX_INTENSITY, column
from aulight.inference import FrameStream
from aulight.nets.encoder import Encoder, EncoderConfig
from aulight.nets.heads import IntensityRegressor
from aulight.rows import Scored, Table

FORMAT = 1
"""Version of the description and of what goes with it; a reader refuses a newer one."""

ALIGNED = "eyes and nose to a template, upright"
"""``alignment`` of crops that :class:`FaceAligner` has cut; any other came aligned into the dataset."""

CHUNK = 16
"""Frames of a video that go through the backbone together."""

Intensities = npt.NDArray[np.float32]


def load(path: str | Path) -> "Model":
    """Reads a trained model.

    Args:
        path: A run directory of ``aulight finetune`` (its best checkpoint is taken), a checkpoint inside one, or what
            ``aulight export`` wrote: ``model.aulight`` or ``model.onnx``.

    Raises:
        AulightError: When there is no model, it is not finished, is damaged, or is of a newer aulight.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _of_run(path)
    if not path.is_file():
        raise AulightError(
            f"{path}: no such model; give a run directory of `aulight finetune` or a file of `aulight export`"
        )
    if path.suffix == ".ckpt":
        return _of_checkpoint(path, path.resolve().parent.parent)
    return _of_onnx(path) if path.suffix == ".onnx" else _of_file(path)


class _Stream(Protocol):
    """One video through a network; :class:`FrameStream` is the one of torch."""

    def push(self, clip: Tensor) -> Tensor:
        """Frames ``(1, n, size, size, 3)`` uint8 to intensities ``(n, AUs)`` float32."""

    def explain(self, clip: Tensor, output: int) -> tuple[Tensor, Tensor]:
        """The same, and the heat ``(n, h, w)`` float32 of one of them: :meth:`FrameStream.explain`."""


class Model:
    """A trained estimator of AU intensities, and all that is known about it.

    Args:
        meta: Its description.
        start: Device and precision to a stream that has seen nothing yet.
        file: Where it was read from.
        network: ``encoder`` and ``regressor`` in eval mode, where they are there as torch modules.

    Attributes:
        meta: Its description, in plain containers: ``architecture``, ``aus``, ``crop_size``, ``dataset``, ``test`` ...
        aus: Numbers of its AUs.
        columns: Their names, ``AU01`` ...
        size: Height and width of the frames that the network takes, in pixels.
        stride: Frames from one sample of the recurrence to the next.
        intervals: How far its prediction intervals reach; ``None`` if it was not calibrated.
        file: As given, as the next.
        network: As given.
    """

    def __init__(
        self,
        meta: dict[str, Any],
        start: Callable[[str, str], _Stream],
        file: Path,
        network: nn.ModuleDict | None = None,
    ) -> None:
        self.meta, self.file, self.network, self._start = meta, file, network, start
        self.aus: tuple[int, ...] = tuple(meta["aus"])
        self.columns = [column(au) for au in self.aus]
        self.size, self.stride = int(meta["architecture"]["size"]), int(meta["stride"])
        self.intervals = from_plain(meta["intervals"]) if meta.get("intervals") else None

    def scorer(self, device: str = "cpu", precision: str = "32") -> "Scorer":
        """What scores the aligned faces of one person in one video.

        Args:
            device: As torch names it: ``cpu``, ``cuda`` ...
            precision: ``32`` or ``bf16``.

        Raises:
            AulightError: For a device that is not there, or what an ``.onnx`` cannot do.
        """
        if precision not in ("32", "bf16"):
            raise AulightError(f"precision={precision}: 32 or bf16")
        return Scorer(self._start(device, precision), self.size, self.aus)

    def predict(
        self,
        video: str | Path,
        fps: float | None = None,
        *,
        faces: str = "auto",
        everybody: bool = False,
        coverage: float | None = None,
        device: str = "cpu",
        precision: str = "32",
    ) -> pd.DataFrame:
        """Intensities in every frame of a video.

        Args:
            video: A video file, or a folder of numbered pictures.
            fps: Frames per second of pictures; a video says its own.
            faces: ``mediapipe`` finds and aligns faces; ``none`` takes the square in the middle of each picture, for
                those that are aligned already; ``auto`` does as was done for the dataset that the model was trained on.
            everybody: Follow all faces, not only the one that is largest at the start.
            coverage: Adds prediction intervals, ``AU01_lo`` and ``AU01_hi`` ..., if the model is calibrated.
            device: As :meth:`scorer` takes it, as the next.
            precision: ``32`` or ``bf16``.

        Returns:
            A row for each face of each frame, in the columns of :mod:`aulight.rows`.

        Raises:
            AulightError: When the video cannot be read to its end.
        """
        path = Path(video).expanduser()
        find = self.finds_faces(faces)
        frames = raw_frames(path, fps, None if find else self.size)
        table = Table(self.columns, self.intervals, coverage)
        rows = self._rows(frames, find, everybody, table, CHUNK, device, precision)
        return pd.DataFrame(rows, columns=table.names)

    def stream(
        self,
        frames: Iterable[Frames],
        fps: float,
        *,
        faces: str = "auto",
        everybody: bool = False,
        coverage: float | None = None,
        device: str = "cpu",
        precision: str = "32",
    ) -> Iterator[dict[str, Any]]:
        """Intensities in frames as they come: rows as :meth:`predict` gives them, in order.

        A row comes about 0.3 s after its frame, since the crop follows what the head does next as well; the first ones
        after 0.5 s, once it is clear whose face is the largest.

        Args:
            frames: Whole pictures ``(H, W, 3)`` uint8 RGB.
            fps: How many of them are a second.
            faces: As of :meth:`predict`, and all that follow.
            everybody: As there.
            coverage: As there.
            device: As there.
            precision: As there.

        Raises:
            AulightError: For a frame of another kind.
        """
        numbered = (RawFrame(number, number / fps, _picture(image)) for number, image in enumerate(frames))
        table = Table(self.columns, self.intervals, coverage)
        return self._rows(numbered, self.finds_faces(faces), everybody, table, 1, device, precision)

    def finds_faces(self, faces: str) -> bool:
        """Whether faces are to be found and aligned, by the setting that :meth:`predict` describes.

        Raises:
            AulightError: For another setting.
        """
        if faces not in ("auto", "mediapipe", "none"):
            raise AulightError(f"faces={faces}: one of auto, mediapipe, none")
        return faces == "mediapipe" or (faces == "auto" and self.meta["alignment"] == ALIGNED)

    def _rows(
        self,
        frames: Iterable[RawFrame],
        find: bool,
        everybody: bool,
        table: Table,
        chunk: int,
        device: str,
        precision: str,
    ) -> Iterator[dict[str, Any]]:
        with ExitStack() as stack:
            present = uncut(frames, self.size)
            if find:
                aligner = FaceAligner(self.meta["crop_size"], blendshapes=False, max_faces=MAX_FACES, smooth_s=SMOOTH_S)
                present = stack.enter_context(aligner).people(frames, everybody)
            for scored in self.score(present, chunk, device, precision):
                yield from table.rows(scored)

    def score(
        self,
        frames: Iterable[Present],
        chunk: int = CHUNK,
        device: str = "cpu",
        precision: str = "32",
        explain: int | None = None,
    ) -> Iterator[Scored]:
        """Scores the people in the frames of one video, each with a recurrent state of their own.

        Args:
            frames: As :meth:`aulight.data.faces.FaceAligner.people` gives them; somebody who is missing from one has
                left, and begins anew if they come back.
            chunk: Frames that go through the backbone together; no frame is given back before they are there.
            device: As :meth:`scorer` takes it, as the next.
            precision: ``32`` or ``bf16``.
            explain: Number of an AU, to say as well where in the crops it was seen.
        """
        scorers: dict[int, Scorer] = {}
        frames = iter(frames)
        while some := list(itertools.islice(frames, chunk)):
            values: list[dict[int, Intensities]] = [{} for _ in some]
            heat: list[dict[int, Intensities]] = [{} for _ in some]
            before, scorers = scorers, {}
            for person in sorted(set[int]().union(*(faces for _, faces in some))):
                there = np.array([place for place, (_, faces) in enumerate(some) if person in faces])
                stays = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
                for stay in stays:
                    known = before.get(person) if stay[0] == 0 else None
                    scorer = self.scorer(device, precision) if known is None else known
                    crops = np.stack([some[place][1][person].crop for place in stay])
                    scores, where = (scorer.push(crops), None) if explain is None else scorer.explain(crops, explain)
                    for row, place in enumerate(stay):
                        values[place][person] = scores[row]
                        if where is not None:
                            heat[place][person] = where[row]
                if there[-1] == len(some) - 1:
                    scorers[person] = scorer
            for place, (frame, faces) in enumerate(some):
                yield Scored(frame, faces, values[place], heat[place])

    def save(self, path: str | Path) -> None:
        """Writes the model as one ``.aulight`` file, under a temporary name that is changed when it is whole.

        Raises:
            AulightError: For a model that was read from an ``.onnx`` file.
        """
        if self.network is None:
            raise AulightError("an .onnx file has no weights to write; export the run or the .aulight file it is from")
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        write_sealed(Path(path), safetensors.torch.save(weights, header(self.meta)))


def _picture(image: Any) -> Frames:
    """A picture as given from outside, if it is one."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise AulightError(f"stream: a frame is {kind}; uint8 (height, width, 3), RGB, is needed")
    return image


class Scorer:
    """Scores the aligned faces of one person in one video, in order; :meth:`Model.scorer` makes it."""

    def __init__(self, stream: _Stream, size: int, aus: Sequence[int]) -> None:
        self._stream, self._size, self._aus = stream, size, tuple(aus)

    def push(self, crops: Frames) -> Intensities:
        """Scores the next frames; frames without a face are given as well, cut where the face was.

        Args:
            crops: ``(n, S, S, 3)`` uint8 RGB; any number of frames, of any size.

        Returns:
            ``(n, AUs)`` float32, 0..5.
        """
        if not len(crops):
            return np.empty((0, len(self._aus)), np.float32)
        return self._stream.push(self._clip(crops)).numpy()

    def explain(self, crops: Frames, au: int) -> tuple[Intensities, npt.NDArray[np.float32]]:
        """In place of :meth:`push`: scores the next frames, and says where in each of them one AU is seen.

        Gradient times activation of the network's last map (see :meth:`FrameStream.explain`), made as large as the
        crop. A map has few places (4 x 4 with ``resnet_tiny`` at 64 x 64), so the heat tells the brows from the mouth,
        not one lip from the other. In each frame its peak is the intensity as a share of 5: a face that does not show
        the AU has no heat, where a peak of 1 in every frame would make much of nothing.

        Args:
            crops: ``(n, S, S, 3)`` uint8 RGB; any number of frames, of any size.
            au: Number of the AU.

        Returns:
            Intensities ``(n, AUs)`` float32, 0..5, and heat ``(n, S, S)`` float32, 0..1.

        Raises:
            AulightError: For an AU that the model does not have, and for a model that was read from an ``.onnx`` file.
        """
        if au not in self._aus:
            known = ", ".join(map(str, self._aus))
            raise AulightError(f"explain={au}: the model does not know this AU, only {known}")
        if not len(crops):
            return self.push(crops), np.empty(crops.shape[:3], np.float32)
        output = self._aus.index(au)
        intensities, heat = self._stream.explain(self._clip(crops), output)
        heat = heat * (intensities[:, output] / MAX_INTENSITY)[:, None, None]
        return intensities.numpy(), _over_crop(heat, self._size, crops.shape[1]).numpy()

    def _clip(self, crops: Frames) -> Tensor:
        clip = torch.from_numpy(np.ascontiguousarray(crops))
        if crops.shape[1:3] != (self._size, self._size):
            # what training and evaluation do while they decode
            small = interpolate(clip.permute(0, 3, 1, 2), (self._size, self._size), mode="bilinear", antialias=True)
            clip = small.permute(0, 2, 3, 1)
        torch.set_flush_denormal(True)  # of this thread; features near 0 make a CPU ten times slower otherwise
        return clip[None]


def _over_crop(heat: Tensor, size: int, side: int) -> Tensor:
    """Bilinear heat on a crop of ``side`` pixels from that on the map ``(n, h, h)`` of frames of ``size`` pixels.

    A place of the map looks at what is around pixel stride x index, where layers of stride 2 put it whose kernels are
    odd and padded alike on both sides. In the middle of a tile, the heat would lie too far to the right and too low.
    """
    places = heat.shape[-1]
    stride = 2 ** math.ceil(math.log2(size / places))
    pixel = (torch.arange(side) + 0.5) * size / side - 0.5
    # (side, h); beyond the outermost places the heat fades
    weights = (1 - (pixel[:, None] / stride - torch.arange(places)).abs()).clamp(min=0)
    over: Tensor = weights @ heat @ weights.T
    return over.clamp(max=1)  # above by rounding only


# ---- as torch modules -------------------------------------------------------------------------------------------


class _TorchStream:
    """A :class:`FrameStream` on a device and in a precision."""

    def __init__(self, network: nn.ModuleDict, stride: int, device: torch.device, precision: str) -> None:
        encoder: Any = network["encoder"]
        regressor: Any = network["regressor"]
        self._device, self._precision = device, precision
        self._stream = FrameStream(encoder, regressor.predict, stride, regressor)

    def push(self, clip: Tensor) -> Tensor:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            return self._stream.push(clip.to(self._device)).cpu()

    def explain(self, clip: Tensor, output: int) -> tuple[Tensor, Tensor]:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            intensities, heat = self._stream.explain(clip.to(self._device), output)
        return intensities.cpu(), heat.cpu()


def build(meta: dict[str, Any], weights: dict[str, Tensor], source: Path) -> Model:
    """The model of a description and its weights.

    Args:
        meta: As :attr:`Model.meta`.
        weights: Of ``encoder`` and ``regressor``, by their names in torch.
        source: Where they are from, for what may be wrong.

    Raises:
        AulightError: When they do not fit.
    """
    normalisation = meta["normalisation"]
    config = EncoderConfig(**meta["architecture"], mean=normalisation["image_mean"], std=normalisation["image_std"])
    encoder = Encoder(config)
    network = nn.ModuleDict({"encoder": encoder, "regressor": IntensityRegressor(encoder.channels, len(meta["aus"]))})
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise AulightError(f"{source}: its weights do not fit its network: {one_line(error)}") from error
    network.eval().requires_grad_(False)
    copies: dict[torch.device, nn.ModuleDict] = {torch.device("cpu"): network}

    def start(device: str, precision: str) -> _Stream:
        try:
            there = torch.device(device)
            if there not in copies:
                copies[there] = copy.deepcopy(network).to(there)
        except (RuntimeError, AssertionError) as error:
            raise AulightError(f"device={device}: not there ({one_line(error)}); cpu always is") from error
        return _TorchStream(copies[there], int(meta["stride"]), there, precision)

    return Model(meta, start, source, network)


def _of_run(folder: Path) -> Model:
    record = _record(folder)
    if record.get("outcome") != "done":
        raise AulightError(
            f"{folder}: not finished ({record.get('outcome')}); the same command goes on with it, "
            f"or give {folder / 'checkpoints' / 'best.ckpt'} to take it as it is"
        )
    return _of_checkpoint(folder / "checkpoints" / "best.ckpt", folder)


def _record(folder: Path) -> dict[str, Any]:
    """What ``run.yaml`` says of a run of stage two with a network."""
    from aulight.runs import read_run  # with Hydra, which a model in a file does without

    record = read_run(folder)
    if record is None:
        raise AulightError(f"{folder}: not a run directory (run.yaml is missing); give one of `aulight finetune`")
    if record.get("command") != "finetune":
        raise AulightError(f"{folder}: a run of stage one, which knows no intensities; give one of `aulight finetune`")
    if record["config"]["model"].get("arm") == "blendshapes":
        raise AulightError(f"{folder}: a run of model=blendshapes, which has no network; give one with another model=")
    return record


def _of_checkpoint(file: Path, folder: Path) -> Model:
    """The model of a checkpoint, described by the run directory that it is in."""
    record = _record(folder)
    if not file.is_file():
        raise AulightError(f"{file}: missing; run `aulight finetune` again in another folder")
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)
        settings, weights = saved["hyper_parameters"], saved["state_dict"]
        config = dataclasses.asdict(EncoderConfig(**settings["encoder"]))
        mean, std = weights["regressor.mean"].tolist(), weights["regressor.std"].tolist()
        aus, stride = [int(au) for au in settings["aus"]], int(settings["stride"])
    except Exception as error:
        raise AulightError(f"{file}: not a checkpoint of `aulight finetune` ({type(error).__name__})") from error
    normalisation = {"image_mean": list(config.pop("mean")), "image_std": list(config.pop("std"))}
    normalisation |= {"label_mean": mean, "label_std": std}
    dataset = record["dataset"]
    tested = record.get("outcome") == "done" and file.name == "best.ckpt"
    meta = {
        "name": record["config"]["name"],
        "aus": aus,
        "architecture": config,
        "stride": stride,
        "normalisation": normalisation,
        **_crop(record, folder),
        "dataset": {key: dataset[key] for key in ("name", "fingerprint", "fps")},
        "stage_one": record.get("stage_one"),
        **{key: record[key] for key in ("arm", "fold", "label_fraction", "labelled_frames", "label_seed", "seed")},
        "subjects": {part: len(record["protocol"][part]) for part in ("train", "validation", "test")},
        "validation": record["validation"] if tested else None,
        "test": _test(folder, aus) if tested else None,
        "intervals": _intervals(folder, aus) if tested else None,
        "versions": record["versions"],
    }
    return build(_plain(meta), weights, file)


def _crop(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``crop_size`` in pixels and ``alignment`` of the faces that a run was trained on."""
    keys = ("crop_size", "alignment")
    known = record["dataset"]
    root = Path(record["config"]["data"]["root"]).expanduser()
    if "crop_size" not in known:  # of an earlier aulight: the dataset says it
        try:
            known = yaml.safe_load((root / "dataset.yaml").read_text(encoding="utf-8"))
        except OSError as error:
            raise AulightError(
                f"{folder / 'run.yaml'}: does not say how faces were cut, and there is no {root / 'dataset.yaml'}; "
                "go to the folder from which the run was started, or train it again"
            ) from error
    return {key: known.get(key) for key in keys}


def _test(folder: Path, aus: list[int]) -> dict[str, Any]:
    """Scores on the test subjects, as means over the AUs and for each."""
    from aulight.finetune import scores  # with Lightning, as above

    file, columns = folder / "predictions.parquet", [column(au) for au in aus]
    try:
        table = pd.read_parquet(file)
        tested = scores(table, columns)
    except (OSError, KeyError, ValueError) as error:
        raise AulightError(f"{file}: missing or damaged; run `aulight finetune` again in another folder") from error
    return {
        "labelled_frames": int(table[[f"{au}_true" for au in columns]].notna().any(axis=1).sum()),
        **{name: float(values.nanmean()) for name, values in tested.items()},
        "per_au": {
            au: {name: float(values[place]) for name, values in tested.items()} for place, au in enumerate(columns)
        },
    }


def _intervals(folder: Path, aus: list[int]) -> dict[str, Any] | None:
    """Calibrated on what the run predicted for those who validated it; an earlier aulight did not keep that."""
    file, columns = folder / "validation.parquet", tuple(column(au) for au in aus)
    if not file.is_file():
        return None
    try:
        table = pd.read_parquet(file)
        preds, truth = (
            table[[f"{au}_{kind}" for au in columns]].to_numpy(np.float64, na_value=np.nan) for kind in ("pred", "true")
        )
        subjects = table["subject"].to_numpy()
    except (OSError, KeyError, ValueError) as error:
        raise AulightError(f"{file}: damaged; run `aulight finetune` again in another folder") from error
    return calibrate(preds, truth, columns, subjects).plain()


def _plain(value: Any) -> Any:
    """As JSON can say it: NaN becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---- as a file --------------------------------------------------------------------------------------------------

_SEAL, _OPEN = re.compile(rb"aulight-sha256:([0-9a-f]{64})"), b"aulight-sha256:" + b"0" * 64


def header(meta: dict[str, Any]) -> dict[str, str]:
    """The description of a model as the text that goes into its file, and the place of the seal."""
    about = {"format_version": FORMAT, "written_by": f"aulight {__version__}"}
    about["created"] = datetime.now(UTC).date().isoformat()
    text = json.dumps(about | meta | about, ensure_ascii=False, allow_nan=False)
    return {"aulight": text, "seal": _OPEN.decode()}


def write_sealed(path: Path, data: bytes) -> None:
    """Writes a file that holds the ``seal`` of :func:`header`, under a temporary name that is changed when whole."""
    digest = hashlib.sha256(data).hexdigest().encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data.replace(_OPEN, b"aulight-sha256:" + digest))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _check_seal(path: Path) -> None:
    data = path.read_bytes()
    seals = _SEAL.findall(data)
    if len(seals) != 1:
        raise AulightError(f"{path}: not a file of `aulight export`, or cut short; give another, or export it again")
    if hashlib.sha256(_SEAL.sub(_OPEN, data)).hexdigest().encode() != seals[0]:
        raise AulightError(f"{path}: cut short or changed since it was written; copy it or export it again")


def _described(text: str | None, path: Path) -> dict[str, Any]:
    """The description in a file, if it is one that this aulight can read."""
    meta: dict[str, Any] = json.loads(text or "{}")
    version = int(meta["format_version"])
    if version > FORMAT:
        raise AulightError(
            f"{path}: format {version}, written by {meta.get('written_by')}; "
            f"this aulight {__version__} reads up to {FORMAT}; update aulight"
        )
    return meta


def _of_file(path: Path) -> Model:
    _check_seal(path)
    try:
        with safetensors.safe_open(path, "pt") as file:
            meta = _described((file.metadata() or {}).get("aulight"), path)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
        return build(meta, weights, path)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise AulightError(f"{path}: not as `aulight export` writes it ({one_line(error)}); export it again") from error


# ---- as a graph of one frame ------------------------------------------------------------------------------------


class _OnnxStream:
    """A graph of one frame over a video: ``(1, 3, size, size)`` uint8 and the state in, intensities and state out."""

    def __init__(self, session: Any, stride: int) -> None:
        self._session = session
        shapes = [given.shape for given in session.get_inputs()[1:]]  # of the state, where there is one
        self._states = [[np.zeros(shape, np.float32) for shape in shapes] for _ in range(stride)]
        self._next = 0  # the interleaved sequence whose turn it is, as in FrameStream

    def push(self, clip: Tensor) -> Tensor:
        scores = []
        names = [given.name for given in self._session.get_inputs()]
        for frame in clip[0].permute(0, 3, 1, 2).contiguous().numpy():
            given = dict(zip(names, (frame[None], *self._states[self._next]), strict=True))
            intensities, *self._states[self._next] = self._session.run(None, given)
            scores.append(torch.from_numpy(intensities))
            self._next = (self._next + 1) % len(self._states)
        return torch.cat(scores)

    def explain(self, clip: Tensor, output: int) -> tuple[Tensor, Tensor]:
        raise AulightError("explain: an .onnx file has no gradients; give the run or the .aulight file that it is from")


def _of_onnx(path: Path) -> Model:
    try:
        import onnxruntime
    except ImportError as error:
        raise AulightError(f'{path}: needs onnxruntime: pip install "aulight[export]" ({error})') from error
    _check_seal(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        meta = _described(session.get_modelmeta().custom_metadata_map.get("aulight"), path)

        def start(device: str, precision: str) -> _Stream:
            if (device, precision) != ("cpu", "32"):
                raise AulightError(f"{path}: an .onnx runs with device=cpu precision=32; a .aulight runs anywhere")
            return _OnnxStream(session, int(meta["stride"]))

        return Model(meta, start, path)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise AulightError(f"{path}: not as `aulight export` writes it ({one_line(error)}); export it again") from error
