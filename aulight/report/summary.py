"""All that a report says of some runs: what is pooled, what is compared, and what a reader must know."""

from collections.abc import Sequence

import numpy as np

from aulight.drawing.names import arm_rank, model_name
from aulight.errors import AulightError
from aulight.processes import Bar
from aulight.report.collect import BOXED, Run
from aulight.report.labels import Labels
from aulight.report.markup import count
from aulight.report.pool import Cell, cells_of
from aulight.report.records import Comparison, DatasetFacts, Record, Side, Summary, Uncertainty, arms
from aulight.report.scored import BOUNDS, baselines_of, interval_or_why, labelled, last_of, number, record_of, sources
from aulight.runs.compared import same_setting
from aulight.scoring.agreement import Array, mean, metrics
from aulight.scoring.intervals import jackknife, mean_icc, mean_icc_without, p_value
from aulight.settings.finetune import FinetuneSettings
from aulight.settings.group import CHANGES_NO_RESULT, NAMES_THE_RUN
from aulight.settings.report import UncertaintySettings
from aulight.settings.walk import marked

FREE_SETTINGS = marked(FinetuneSettings, CHANGES_NO_RESULT, NAMES_THE_RUN)
"""Settings and groups that may differ between runs that are pooled: what changes no result, and what names the run."""


def summarise(runs: Sequence[Run], uncertainty: UncertaintySettings) -> Summary:
    """Pools runs into what a report says of them.

    Within one (dataset, arm, labels, seed) the test frames of all folds are put together; ICC(3,1),
    MAE, MSE and Pearson's correlation are taken per action unit over known labels, then averaged over the
    action units where they are defined, then over seeds. Intervals and p-values are over test subjects, see
    :mod:`aulight.scoring.intervals`; they say how much the choice of test subjects matters, not the choice of seeds.
    Two arms are compared on the subjects that every seed of both tested.

    Args:
        runs: Finished runs, as :func:`aulight.report.collect.collect` gives them.
        uncertainty: How intervals and p-values are made.

    Raises:
        AulightError: For runs that cannot be pooled.
    """
    packages = sorted({package for run in runs for package in run.record.versions})
    summary = Summary(
        records=[],
        baselines=[],
        comparisons=[],
        datasets={},
        versions={
            package: sorted({run.record.versions[package] for run in runs if package in run.record.versions})
            for package in packages
        },
        uncertainty=Uncertainty(
            over="subjects",
            intervals="jackknife",
            p_values="paired permutation",
            level=uncertainty.level,
            draws=uncertainty.swaps,
            seed=uncertainty.seed,
        ),
    )
    for dataset in sorted({run.dataset for run in runs}):
        _add(summary, [run for run in runs if run.dataset == dataset])
    return summary


def _add(summary: Summary, runs: Sequence[Run]) -> None:
    """Adds the runs of one dataset."""
    first = runs[0]
    cells = dict(sorted(cells_of(runs).items(), key=_place))
    subjects = next(iter(cells.values())).folds.shape[1]
    how = summary.uncertainty
    records = {key: record_of(cell, how.level) for key, cell in cells.items()}
    summary.records.extend(records.values())
    summary.last.extend(found for cell in cells.values() if (found := last_of(cell, how.level)) is not None)
    summary.baselines.extend(baselines_of(cells, how.level))
    summary.comparisons.extend(_comparisons(cells, records, how))
    most = np.max([_scored(cell).max(0) for cell in cells.values()], axis=0)
    summary.warnings.extend(line for cell in cells.values() for line in _warnings(cell, subjects, most))
    for arm in arms(list(records.values())):
        if learned := sources(run for run in runs if run.record.arm == arm):
            summary.notes.append(f"{first.dataset}, {model_name(arm)}: {_beginning(learned)}")
    facts = first.record.dataset
    summary.datasets[first.dataset] = DatasetFacts(
        fingerprint=facts.fingerprint, aus=list(first.aus), fps=facts.fps, test_subjects=subjects
    )


def _place(item: tuple[tuple[str, Labels], Cell]) -> tuple[float, int, tuple[int, str]]:
    """Of a cell in tables and figures: by the number of labels, then by arm."""
    (arm, labels), _ = item
    return labels.fraction or 0.0, labels.number or 0, arm_rank(arm)


def _comparisons(
    cells: dict[tuple[str, Labels], Cell], records: dict[tuple[str, Labels], Record], how: Uncertainty
) -> list[Comparison]:
    """Of each two arms with the same labels, and of each arm with all that have the most."""
    largest = max(records[key].label_fraction for key in cells)
    order, pairs = list(cells), []
    for i, key in enumerate(order):
        pairs += [(key, other) for other in order[i + 1 :] if other[1] == key[1]]
        if records[key].label_fraction < largest:
            pairs += [(key, other) for other in order if records[other].label_fraction == largest]
    found = []
    with Bar(len(pairs), "Comparing", "comparison", delay=2) as bar:
        for key, other in pairs:
            found.append(_compared((records[key], cells[key]), (records[other], cells[other]), how))
            bar.update()
    return found


def _compared(one: tuple[Record, Cell], other: tuple[Record, Cell], how: Uncertainty) -> Comparison:
    """Compares two records on the subjects that every seed of both tested."""
    sides = one, other
    shared = np.all([cell.tested.all(0) for _, cell in sides], axis=0)
    shared &= np.all([labelled(cell.sums["model"]) for _, cell in sides], axis=0)
    sums = [cell.sums["model"][:, shared] for _, cell in sides]
    whole = [mean_icc(of.sum(1)) for of in sums]
    without = [mean_icc_without(of) for of in sums]
    seeds = [[number(icc) for icc in mean(metrics(of.sum(1))["icc"], 1)] for of in sums]
    gap = (BOUNDS["icc"][0] - BOUNDS["icc"][1], BOUNDS["icc"][1] - BOUNDS["icc"][0])
    ends, no_ends = interval_or_why(jackknife(float(whole[0] - whole[1]), without[0] - without[1], how.level, gap))
    mine, its = (
        jackknife(float(icc), others, how.level, BOUNDS["icc"]) for icc, others in zip(whole, without, strict=True)
    )
    p = p_value(sums[0], sums[1], how.draws, how.seed)
    (first, _), (second, _) = sides
    defined = [[icc for icc in of_side if icc is not None] for of_side in seeds]
    return Comparison(
        dataset=first.dataset,
        arm=first.arm,
        label_fraction=first.label_fraction,
        label_count=first.label_count,
        against=Side(arm=second.arm, label_fraction=second.label_fraction, label_count=second.label_count),
        icc=number(whole[0]),
        against_icc=number(whole[1]),
        ratio=number(whole[0] / whole[1]) if whole[1] > 0 else None,
        difference=number(whole[0] - whole[1]),
        difference_ci=ends,
        difference_p=None if isinstance(p, str) else p,
        shared_subjects=int(shared.sum()),
        no_difference_ci=no_ends,
        no_difference_p=p if isinstance(p, str) else None,
        icc_per_seed=seeds[0],
        against_icc_per_seed=seeds[1],
        seeds_apart=defined == seeds and min(defined[0]) > max(defined[1]),
        intervals_apart=not isinstance(mine, str) and not isinstance(its, str) and mine.low > its.high,
    )


def _scored(cell: Cell) -> Array:
    """``(K, S)``: how many labels of a subject a seed scored, over all action units."""
    labels: Array = cell.sums["model"][..., 0, :].sum(-1)
    return labels


def _warnings(cell: Cell, subjects: int, most: Array) -> list[str]:
    """Subjects not tested, or on fewer labels than ``most``; and runs that differ in more than pooled runs may."""
    first = cell.runs[0]
    arm = first.record.arm
    name = f"{first.dataset}, {model_name(arm)}, {cell.labels} labels"
    lines = []
    for seed, tested in zip(cell.seeds, cell.tested, strict=True):
        if tested.sum() < subjects:
            folds = sorted({run.record.fold for run in cell.runs if run.record.seed == seed})
            lines.append(
                f"{name}, seed {seed}: {tested.sum()} of {subjects} test subjects "
                f"(only fold {', '.join(map(str, folds))})"
            )
    for seed, tested, scored in zip(cell.seeds, cell.tested, _scored(cell), strict=True):
        if (fewer := tested & (scored < most)).any():
            some, all_of_them = (f"{numbers[fewer].sum():.0f}" for numbers in (scored, most))
            lines.append(
                f"{name}, seed {seed}: scored {some} of the {all_of_them} labels that others scored of the same "
                f"{count(int(fewer.sum()), 'test subject')}; was a video skipped that could not be read?"
            )
    if differing := _differing(cell.runs):
        lines.append(f"{name}: pools runs with different {', '.join(differing[:5])}")
    if len({run.record.config.get("pseudo", {}).get("runs") is None for run in cell.runs}) > 1:
        lines.append(f"{name}: pools runs with and without teachers (pseudo.runs)")
    if len(learned := sources(cell.runs)) > 1:
        lines.append(f"{name}: pools runs whose {_beginning(learned)}")
    return lines


def _beginning(learned: Sequence[str]) -> str:
    """What stage two was built on, in a line."""
    others = [one for one in learned if not one.startswith(BOXED)]
    boxed = [one for one in learned if one.startswith(BOXED)]
    said = [f"stage one learned from {', or '.join(others)}"] if others else []
    return ", or ".join([*said, *(f"stage two began with {one}" for one in boxed)])


def _differing(runs: Sequence[Run]) -> list[str]:
    """Names of the settings that differ between some runs and may not."""
    settings = [run.record.settings for run in runs]
    keys = sorted({key for of_run in settings for key in of_run})
    keys = [key for key in keys if not any(f"{key}.".startswith(f"{free}.") for free in FREE_SETTINGS)]
    first = settings[0]
    return [key for key in keys if not all(same_setting(first.get(key), of_run.get(key)) for of_run in settings)]


def shown_labels(summary: Summary, wanted: float | None) -> dict[str, Labels]:
    """The labels that are shown in detail, by dataset; datasets without runs that have them are left out.

    Args:
        summary: Of the runs.
        wanted: Their fraction; None is 2% where it was run, otherwise the smallest that most arms have.

    Raises:
        AulightError: When there are no runs at it.
    """
    shown = {}
    for dataset in summary.datasets:
        there = [record.labels for record in summary.records if record.dataset == dataset]
        usual = Labels(0.02 if wanted is None else wanted)
        if usual in there:
            shown[dataset] = usual
        elif wanted is None:
            shown[dataset] = max(there, key=lambda labels: (there.count(labels), -(labels.fraction or 0)))
        elif alike := [labels for labels in there if labels.fraction == wanted]:
            shown[dataset] = alike[0]
    if not shown:
        all_there = sorted({record.label_fraction for record in summary.records})
        raise AulightError(f"bars_fraction={wanted}: no runs at it; there are {', '.join(map(str, all_there))}")
    return shown
