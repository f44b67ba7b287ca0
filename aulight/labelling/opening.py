"""Opens a sample for a coder: made, read and planned, whatever of that is still to do."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from aulight.data.opening import open_data
from aulight.data.store import PreparedDataset
from aulight.datasets import DISFA_AUS
from aulight.errors import AulightError, shorten
from aulight.foreign.yaml import read_yaml
from aulight.labelling.sample import Sample, read_sample
from aulight.labelling.store import FILE, Store, create
from aulight.preparation.coding import RECORD, TABLE, make_coding
from aulight.settings.label import CONSENSUS, LabelSettings

_ROOT = "data_root"


@dataclass(frozen=True)
class Opened:
    """What a coder works on.

    Attributes:
        data: The dataset.
        sample: The frames.
        store: The scores.
        lines: What a user is told of it.
    """

    data: PreparedDataset
    sample: Sample
    store: Store
    lines: list[str]

    def close(self) -> None:
        """Lets go of the scores."""
        self.store.close()


def open_sample(settings: LabelSettings, typed: Collection[str]) -> Opened:
    """Opens a sample for a coder; it is made where it is not there yet.

    Args:
        settings: Of the command.
        typed: Names of the settings that were typed: those must be as the sample has them, others are its own.

    Raises:
        AulightError: When a setting that was typed is not as the sample has it, the sample is of another dataset, or
            there is nothing for this coder to code.
    """
    folder = Path(settings.sample).expanduser()
    data, lines = _data(settings, folder, typed), list[str]()
    if not folder.exists():
        if settings.coder == CONSENSUS:
            raise AulightError(f"sample={folder}: no such folder; the coders code first, and then agree")
        coding = make_coding(data, folder, settings.aus or data.aus or DISFA_AUS, settings)
        lines += [f"{folder}/: {coding.frames} frames of {coding.people} people were drawn", *coding.remarks]
    elif not (folder / TABLE).is_file():
        raise AulightError(f"sample={folder}: no folder of frames to code ({TABLE} is missing); give another sample=")
    sample = read_sample(folder, data)
    _refuse_other_sample(settings, sample, typed)
    if settings.coder == CONSENSUS and not (folder / FILE).is_file():
        raise AulightError(f"coder={CONSENSUS}: nobody has coded frames of {folder} yet")
    coders = settings.coders or [settings.coder]
    if create(sample, settings.shared, settings.seed, coders, settings.coder) and sample.given:
        frames = len({key for key, _ in sample.given})
        lines.append(f"{folder / TABLE}: what is filled in for {frames} frames counts as of {settings.coder}")
    store = Store(folder)
    try:
        if store.fact(_ROOT) is None:
            store.keep(_ROOT, str(data.root.resolve()))
        lines += _join(store, sample, settings, typed)
    except BaseException:
        store.close()
        raise
    return Opened(data, sample, store, lines)


def _data(settings: LabelSettings, folder: Path, typed: Collection[str]) -> PreparedDataset:
    """The dataset that is named, or else the one that the sample was opened with before."""
    named = any(name.partition(".")[0] in ("data", "data_dir") for name in typed)
    if not named and (folder / FILE).is_file():
        store = Store(folder)
        root = store.fact(_ROOT)
        store.close()
        if root is not None and Path(root).is_dir():
            return open_data(Path(root))
    return open_data(Path(settings.data.root), settings.data.synthetic)


def _refuse_other_sample(settings: LabelSettings, sample: Sample, typed: Collection[str]) -> None:
    """Refuses what was typed of a draw and is not what the sample is."""
    if "label_count" in typed and settings.label_count != len(sample.frames):
        raise AulightError(
            f"label_count={settings.label_count}: {sample.folder} has {len(sample.frames)} frames; leave it out, or "
            "give another sample="
        )
    if settings.aus is not None and set(settings.aus) != set(sample.aus):
        named, there = (",".join(map(str, aus)) for aus in (settings.aus, sample.aus))
        raise AulightError(f"aus=[{named}]: {sample.folder} is for [{there}]; leave it out, or give another sample=")
    record: object = read_yaml(sample.folder / RECORD) if (sample.folder / RECORD).is_file() else None
    drawn = record if isinstance(record, dict) else {}
    for name in ("spread", "min_distance_s", "unlabelled_only"):
        wanted = getattr(settings, name)
        if name in typed and (name not in drawn or drawn[name] != wanted):
            how = f"with {name}={_typed(drawn[name])}" if name in drawn else f"and no {RECORD} says how"
            raise AulightError(
                f"{name}={_typed(wanted)}: the frames of {sample.folder} are drawn, {how}; leave it out, or give "
                "another sample="
            )


def _typed(value: object) -> str:
    """A plain value as it is typed."""
    return json.dumps(value).strip('"')


def _join(store: Store, sample: Sample, settings: LabelSettings, typed: Collection[str]) -> list[str]:
    """Sees to it that plan and settings agree, and that there is something to do."""
    if store.subjects.keys() != sample.frames.keys() or store.aus != sample.aus:
        raise AulightError(
            f"{sample.folder / TABLE}: its frames or AUs are not those that were coded before ({store.path.name}); "
            "restore the table, or give another sample="
        )
    for name, value in (("shared", settings.shared), ("seed", settings.seed)):
        if name in typed and store.fact(name) != value:
            raise AulightError(f"{name}={value:g}: coding has begun with {name}={store.fact(name):g}; leave it out")
    if settings.coders is not None and settings.coders != store.fact("coders"):
        store.deal_among(settings.coders)
    if settings.coder == CONSENSUS:
        return []
    mine, coders = store.frames_for(settings.coder), store.fact("coders")
    if not mine:
        raise AulightError(
            f"coder={settings.coder}: no frame is shared, and the others are for {shorten(coders)}; "
            f"coders=[{','.join([*coders, settings.coder])}] divides those that nobody has scored yet"
        )
    both = len(mine & store.shared)
    if settings.coder in coders and len(coders) == 1:
        return [f"{settings.coder}: {len(mine)} frames; another coder gets the {both} that are shared"]
    return [f"{settings.coder}: {len(mine)} frames, {both} of them for every coder"]
