"""All that a report says of some runs: what is pooled, what is compared, and what a reader must know."""

from collections.abc import Sequence

from aulight.drawing.names import LABELS, arm_rank
from aulight.errors import AulightError
from aulight.report.collect import Run
from aulight.report.labels import Labels
from aulight.report.pool import Cell, cells_of
from aulight.report.records import Comparison, DatasetFacts, Record, Resampling, Side, Summary, arms
from aulight.report.scored import baselines_of, last_of, record_of, sources
from aulight.runs.record import same_setting
from aulight.scoring.agreement import Array
from aulight.scoring.intervals import Bootstrap
from aulight.settings.finetune import FinetuneSettings
from aulight.settings.group import CHANGES_NO_RESULT, NAMES_THE_RUN
from aulight.settings.report import BootstrapSettings
from aulight.settings.walk import marked

FREE_SETTINGS = marked(FinetuneSettings, CHANGES_NO_RESULT, NAMES_THE_RUN)
"""Settings and groups that may differ between runs that are pooled: what changes no result, and what names the run."""


def summarise(runs: Sequence[Run], bootstrap: BootstrapSettings) -> Summary:
    """Pools runs into what a report says of them.

    Within one (dataset, arm, labels, seed) the test frames of all folds are put together; ICC(3,1),
    MAE, MSE and Pearson's correlation are taken per action unit over known labels, then averaged over the
    action units where they are defined, then over seeds. Intervals are percentiles over bootstrap samples
    of subjects; they say how much the choice of test subjects matters, not the choice of seeds. Differences of two
    arms are taken on the same samples; their p-value is twice the smaller share of samples on one side of 0.

    Args:
        runs: Finished runs, as :func:`aulight.report.collect.collect` gives them.
        bootstrap: How intervals are made.

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
        bootstrap=Resampling(over="subjects", **bootstrap.model_dump()),
    )
    for dataset in sorted({run.dataset for run in runs}):
        _add(summary, [run for run in runs if run.dataset == dataset])
    return summary


def _add(summary: Summary, runs: Sequence[Run]) -> None:
    """Adds the runs of one dataset."""
    first = runs[0]
    cells = dict(sorted(cells_of(runs).items(), key=_place))
    subjects = next(iter(cells.values())).folds.shape[1]
    how = summary.bootstrap
    bootstrap = Bootstrap(subjects, how.replicates, how.seed, how.level)
    records = {key: record_of(cell, bootstrap) for key, cell in cells.items()}
    summary.records.extend(records.values())
    summary.last.extend(found for cell in cells.values() if (found := last_of(cell, bootstrap)) is not None)
    summary.baselines.extend(baselines_of(cells, bootstrap))
    summary.comparisons.extend(_comparisons(cells, records, bootstrap))
    summary.warnings.extend(line for cell in cells.values() for line in _warnings(cell, subjects))
    for arm in arms(list(records.values())):
        if learned := sources(run for run in runs if run.record.arm == arm):
            line = f"{first.dataset}, {LABELS.get(arm, arm)}: stage one learned from {', or '.join(learned)}"
            summary.notes.append(line)
    facts = first.record.dataset
    summary.datasets[first.dataset] = DatasetFacts(
        fingerprint=facts.fingerprint, aus=list(first.aus), fps=facts.fps, test_subjects=subjects
    )


def _place(item: tuple[tuple[str, Labels], Cell]) -> tuple[float, int, tuple[int, str]]:
    """Of a cell in tables and figures: by the number of labels, then by arm."""
    (arm, labels), _ = item
    return labels.fraction or 0.0, labels.number or 0, arm_rank(arm)


def _comparisons(
    cells: dict[tuple[str, Labels], Cell], records: dict[tuple[str, Labels], Record], bootstrap: Bootstrap
) -> list[Comparison]:
    """Of each two arms with the same labels, and of each arm with all that have the most."""
    drawn = {key: bootstrap.mean_icc(cell.sums["model"]) for key, cell in cells.items()}
    largest = max(records[key].label_fraction for key in cells)
    order, found = list(cells), []
    for i, key in enumerate(order):
        pairs = [other for other in order[i + 1 :] if other[1] == key[1]]
        if records[key].label_fraction < largest:
            pairs += [other for other in order if records[other].label_fraction == largest]
        found += [_compared(records[key], records[other], bootstrap, drawn[key] - drawn[other]) for other in pairs]
    return found


def _compared(one: Record, other: Record, bootstrap: Bootstrap, drawn: Array) -> Comparison:
    """Compares two records; ``drawn`` are the replicates (R,) of the difference of their ICCs."""
    ratio = difference = None
    if one.icc is not None and other.icc is not None:
        ratio = one.icc / other.icc if other.icc > 0 else None
        difference = one.icc - other.icc
    seeds, other_seeds = ([icc for icc in of.icc_per_seed if icc is not None] for of in (one, other))
    defined = (len(seeds), len(other_seeds)) == (len(one.icc_per_seed), len(other.icc_per_seed))
    return Comparison(
        dataset=one.dataset,
        arm=one.arm,
        label_fraction=one.label_fraction,
        label_count=one.label_count,
        against=Side(arm=other.arm, label_fraction=other.label_fraction, label_count=other.label_count),
        icc=one.icc,
        against_icc=other.icc,
        ratio=ratio,
        difference=difference,
        difference_ci=bootstrap.interval(drawn),
        difference_p=bootstrap.p_value(drawn),
        icc_per_seed=one.icc_per_seed,
        against_icc_per_seed=other.icc_per_seed,
        seeds_apart=defined and min(seeds) > max(other_seeds),
        intervals_apart=one.icc_ci is not None and other.icc_ci is not None and one.icc_ci.low > other.icc_ci.high,
    )


def _warnings(cell: Cell, subjects: int) -> list[str]:
    """Subjects that were not tested, and runs that differ in more than pooled runs may."""
    first = cell.runs[0]
    arm = first.record.arm
    name = f"{first.dataset}, {LABELS.get(arm, arm)}, {cell.labels} labels"
    lines = []
    for seed, tested in zip(cell.seeds, cell.tested, strict=True):
        if tested.sum() < subjects:
            folds = sorted({run.record.fold for run in cell.runs if run.record.seed == seed})
            lines.append(
                f"{name}, seed {seed}: {tested.sum()} of {subjects} test subjects "
                f"(only fold {', '.join(map(str, folds))})"
            )
    if differing := _differing(cell.runs):
        lines.append(f"{name}: pools runs with different {', '.join(differing[:5])}")
    if len(learned := sources(cell.runs)) > 1:
        lines.append(f"{name}: pools runs whose stage one learned from {', or '.join(learned)}")
    return lines


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
