"""``aulight sample``: which frames to label, drawn at random, with their pictures for a coder."""

import shlex
import tempfile
from bisect import bisect
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from aulight.data.opening import open_data
from aulight.data.store import PreparedDataset
from aulight.datasets import DISFA_AUS
from aulight.errors import AulightError
from aulight.facs import MAX_INTENSITY, column
from aulight.preparation.sheets import pictures
from aulight.settings.data import GeneratorSettings
from aulight.settings.reading import read

TABLE = "to_label.csv"


def sample(cfg: DictConfig) -> None:
    """Draws frames of a prepared dataset and writes the table to fill in, and the pictures to look at.

    Args:
        cfg: ``conf/sample.yaml``.

    Raises:
        AulightError: When the output is there already or fewer frames can be drawn than are wanted.
        VideoError: When a video with a drawn frame cannot be read.
    """
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    output = Path(str(cfg.output)).expanduser()
    if output.exists():
        raise AulightError(f"output={output}: already there, perhaps with labels filled in; give another folder")
    made_with = config["data"]["synthetic"]
    data = open_data(Path(cfg.data.root), made_with and read(GeneratorSettings, made_with, "data.synthetic"))
    aus = _aus(config["aus"], data)
    drawn = draw(candidates(data, cfg.unlabelled_only), cfg.label_count, cfg.seed, cfg.min_distance_s)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
        whole = Path(temporary) / output.name
        (whole / "images").mkdir(parents=True)
        table = pd.DataFrame({"video": drawn["video_id"], "frame": drawn["source_frame"]})
        table["time_s"] = drawn["time_s"].round(3)
        table[[column(au) for au in aus]] = None
        table.to_csv(whole / TABLE, index=False, encoding="utf-8-sig")  # the mark tells Excel
        pictures(data, drawn, whole)
        whole.rename(output)
    print(f"{len(drawn)} frames of {drawn['video_id'].nunique()} videos: {output}/ ({TABLE}, images, contact sheets)")
    print(_next(data, output / TABLE))


def _aus(given: Any, data: PreparedDataset) -> tuple[int, ...]:
    if given is None:
        return data.aus or DISFA_AUS
    if not isinstance(given, list) or not given or not all(type(au) is int and 0 < au < 100 for au in given):
        raise AulightError(f"aus={given}: a list of AU numbers is needed, for example aus=[1,4,12]")
    return tuple(dict.fromkeys(given))


def _next(data: PreparedDataset, table: Path) -> str:
    source = data.meta.get("source")
    source = source if isinstance(source, dict) else {}
    labels = [*(source.get("labels") or []), str(table)]
    settings = {
        "data": source.get("format", "folder"),
        "data.name": data.name,
        "data.root": str(data.root),
        "data.source": source.get("folder", "<raw videos>"),
        "labels": f"[{','.join(labels)}]" if len(labels) > 1 else labels[0],
    }
    command = " ".join(shlex.quote(f"{key}={value}") for key, value in settings.items())
    return (
        f"Next: fill in its AU columns (0 to {MAX_INTENSITY}; empty where unknown), then\n  aulight prepare {command}"
    )


def candidates(data: PreparedDataset, unlabelled_only: bool) -> pd.DataFrame:
    """The frames that may be drawn: those that show a face.

    Args:
        data: A prepared dataset.
        unlabelled_only: Leave out frames with a known AU.

    Returns:
        ``video_id, frame, source_frame, time_s``, sorted by video and frame.
    """
    table = data.frames.loc[data.frames["face_confidence"] > 0, ["video_id", "frame", "source_frame", "time_s"]]
    if unlabelled_only and data.aus:
        labelled = data.labels.loc[data.labels[data.columns].notna().any(axis=1), ["video_id", "frame"]]
        table = table.merge(labelled, on=["video_id", "frame"], how="left", indicator="known")
        table = table[table.pop("known") == "left_only"]
    return table.sort_values(["video_id", "frame"], ignore_index=True)


def draw(table: pd.DataFrame, count: int, seed: int, min_distance_s: float) -> pd.DataFrame:
    """Draws frames uniformly at random; smaller draws of one seed lie inside larger ones.

    With a least distance, frames are drawn one after another, and one that is too near to an earlier one is passed
    over. Frames with few others near them (at the ends of a video, beside a stretch without a face) are then drawn a
    little more often than the rest, the more so the fuller the videos get; without, every set of frames is as likely
    as any other.

    Args:
        table: What may be drawn, as :func:`candidates` gives it.
        count: How many.
        seed: Of the draw.
        min_distance_s: Least time between two drawn frames of a video, in seconds.

    Returns:
        The drawn rows, sorted as they were.

    Raises:
        AulightError: When there are not so many frames, or no room for them at this distance.
    """
    if count > len(table):
        raise AulightError(
            f"label_count={count}: only {len(table)} frames (with a face, not labelled yet) can be drawn"
        )
    order = np.random.default_rng(seed).permutation(len(table))
    if min_distance_s > 0:
        order = _apart(order, table, count, min_distance_s)
        if len(order) < count:
            raise AulightError(
                f"min_distance_s={min_distance_s:g}: the draw found room for {len(order)} of {count} frames; "
                "a smaller distance or a smaller label_count is needed"
            )
    return table.iloc[np.sort(order[:count])].reset_index(drop=True)


def _apart(order: np.ndarray[Any, np.dtype[np.int64]], table: pd.DataFrame, count: int, distance: float) -> Any:
    """The first ``count`` places of an order that are a distance apart in their video."""
    videos, times = pd.factorize(table["video_id"])[0].tolist(), table["time_s"].tolist()
    taken: defaultdict[int, list[float]] = defaultdict(list)  # by video, in ascending order
    kept: list[int] = []
    least = distance - 1e-9  # times are sums of fractions of a second
    for place in order.tolist():
        if len(kept) == count:
            break
        time, there = times[place], taken[videos[place]]
        at = bisect(there, time)
        if all(abs(time - other) >= least for other in there[max(at - 1, 0) : at + 1]):
            there.insert(at, time)
            kept.append(place)
    return np.array(kept, dtype=np.int64)
