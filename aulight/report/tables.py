"""The tables of a report."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aulight.drawing.names import arm_rank, model_name
from aulight.report.cautions import cautions, says_nothing
from aulight.report.formats import decimals, interval, level, p_value, signed
from aulight.report.labels import Labels
from aulight.report.records import Comparison, Pooled, Published, Record, Scores, Summary
from aulight.report.scored import NOMINAL
from aulight.scoring.agreement import METRICS

VARIANTS = {
    "icc": "pooled (headline)",
    "icc_rounded": "rounded predictions",
    "icc_fold_mean": "mean of folds",
    "icc_subject_mean": "mean of subjects",
}
"""Conventions by which the ICC has been published, and how tables call them."""
SUBJECTS = "Subjects"
"""Title of the column that says how many were tested."""

NOTE = "Note"
"""Title of the column that says what must be known of a row; it is there where one has such."""

VALIDATED = "On validation subjects, by whom settings are chosen"

INTERVALS = f"Prediction intervals for {100 * NOMINAL:g}% coverage"


def _rows(summary: Summary) -> list[Pooled]:
    """Records and baselines in the order of the tables: by dataset and labels, the all-zero row last.

    What the last checkpoint of an arm gives stands below what the chosen one does.
    """

    def key(row: Pooled) -> tuple[str, float, int, tuple[int, str], bool]:
        rank = (9, "") if row.arm == "mean" else arm_rank(row.arm)
        fraction = np.inf if row.label_fraction is None else row.label_fraction
        return row.dataset, fraction, row.label_count or 0, rank, row.last

    return sorted([*summary.records, *summary.last, *summary.baselines], key=key)


def _called(row: Pooled | Comparison) -> str:
    """What tables call the model of a row."""
    of_last = isinstance(row, Pooled) and row.last
    return model_name(row.arm) + (", last checkpoint, no choice" if of_last else "")


def flat(summary: Summary) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and baselines as two long tables of numbers: one row each, and one row per action unit."""

    def ends(scores: Scores) -> dict[str, float | str | None]:
        found: dict[str, float | str | None] = {"no_icc_ci": scores.no_icc_ci}
        for name, both in (("icc", scores.icc_ci), ("mae", scores.mae_ci), ("mse", scores.mse_ci)):
            found[f"{name}_low"], found[f"{name}_high"] = both or (None, None)
        return found

    def values(scores: Scores) -> dict[str, float | None]:
        return {name: getattr(scores, name) for name in METRICS}

    whole, per_au = list[dict[str, object]](), list[dict[str, object]]()
    for row in _rows(summary):
        head: dict[str, object] = {"dataset": row.dataset, "arm": f"{row.arm}_last" if row.last else row.arm}
        names = ("label_fraction", "label_count", "labelled_frames", "test_subjects")
        head |= {name: getattr(row, name) for name in names}
        varied = {name: getattr(row, name) for name in ("validation_frames", "stage_one_runs", "label_draws")}
        lists = {"seeds": " ".join(map(str, row.seeds)), "undefined_aus": " ".join(row.undefined_aus)}
        variants = {name: getattr(row, name, None) for name in VARIANTS if name != "icc"}
        spread = {"icc_seed_sd": row.icc_seed_sd}
        validated = vars(row.validation) if isinstance(row, Record) and row.validation is not None else {}
        chosen = {f"validation_{name}": validated.get(name) for name in METRICS}
        whole.append({**head, **varied, **lists, **values(row), **spread, **ends(row), **variants, **chosen})
        for au, of_au in ({} if row.last else row.per_au).items():
            per_au.append({**head, "au": au, "labelled_subjects": of_au.subjects, **values(of_au), **ends(of_au)})
    return pd.DataFrame(whole), pd.DataFrame(per_au)


def remarks(summary: Summary) -> list[str]:
    """What a reader must know: unfinished runs, undefined values, uneven pools, seeds that share; a line each."""
    lines = [f"{name} left out: {outcome}" for name, outcome in summary.unfinished.items()]
    lines += summary.warnings
    for record in summary.records:
        if record.undefined_aus:
            where = f"{record.dataset}, {model_name(record.arm)}, {record.labels} labels"
            others = (
                "the mean is over the other action units" if record.per_au.keys() - record.undefined_aus else "no mean"
            )
            lines.append(
                f"{where}: ICC undefined for {', '.join(record.undefined_aus)} (labels constant or unknown); {others}"
            )
        lines += _seeds_alike(record)
    return lines


def _seeds_alike(record: Record) -> list[str]:
    """Seeds that share what their spread is read as the spread of."""
    name = f"{record.dataset}, {model_name(record.arm)}, {record.labels} labels"
    found = {"different stage-one runs": record.stage_one_runs, "different draws of labels": record.label_draws}
    return [
        f"{name}: {len(record.seeds)} seeds, {things}: {number}; the sd over seeds is smaller than with one for each"
        for things, number in found.items()
        if number is not None and number < len(record.seeds)
    ]


def tables_of(summary: Summary) -> dict[str, pd.DataFrame]:
    """The tables of the report by title, as text.

    The headline, validation subjects, models side by side, each metric by action unit, ICC variants, the coverage of
    prediction intervals, and published numbers beside ours.
    """
    rows = _rows(summary)
    headline = [
        _head(summary, row)
        | {
            "Labelled frames": str(row.labelled_frames),
            "Validation frames": number_or_dash(row.validation_frames),
            "Seeds": str(len(row.seeds) or "–"),
            "Stage-one runs": number_or_dash(row.stage_one_runs),
            "Label draws": number_or_dash(row.label_draws),
            SUBJECTS: str(row.test_subjects),
            "ICC(3,1)": decimals(row.icc),
            level(summary.uncertainty.level): interval(row.icc_ci, row.no_icc_ci),
            "Seed sd": decimals(row.icc_seed_sd),
            "Pearson": decimals(row.pearson),
            "MAE": decimals(row.mae),
            "MSE": decimals(row.mse),
            NOTE: "; ".join(cautions(summary, row)),
        }
        for row in rows
    ]
    if not any(line[NOTE] for line in headline):
        headline = [{title: text for title, text in line.items() if title != NOTE} for line in headline]
    out = {"Mean over action units": pd.DataFrame(headline)}
    if validated := _validated(summary):
        out[VALIDATED] = pd.DataFrame(validated)
    if same := [found for found in summary.comparisons if found.same_fraction]:
        out["Models side by side"] = side_by_side(summary, same)
    for dataset in summary.datasets:
        of_dataset = f", {dataset}" if len(summary.datasets) > 1 else ""
        mine = [row for row in rows if row.dataset == dataset and not row.last]
        for metric, title in (("icc", "ICC(3,1)"), ("pearson", "Pearson"), ("mae", "MAE"), ("mse", "MSE")):
            lines = [
                {"Labels": str(row.labels), "Model": _called(row), SUBJECTS: str(row.test_subjects)}
                | {au: _of_unit(of_au, metric) for au, of_au in row.per_au.items()}
                | {"Mean": decimals(getattr(row, metric))}
                for row in mine
            ]
            out[f"{title} by action unit{of_dataset}"] = pd.DataFrame(lines)
    variants = [
        _head(summary, row)
        | {"Convention": title, SUBJECTS: str(row.test_subjects), "ICC(3,1)": decimals(getattr(row, name))}
        for row in summary.records
        for name, title in VARIANTS.items()
    ]
    out["ICC(3,1) by other published conventions"] = pd.DataFrame(variants)
    if calibrated := _covered(summary):
        out[INTERVALS] = pd.DataFrame(calibrated)
    if summary.reference:
        out["Beside published numbers"] = _beside(summary)
    return out


def side_by_side(summary: Summary, comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Some of the comparisons of a summary as a table of text."""
    lines = []
    for found in comparisons:
        other = model_name(found.against.arm)
        if not found.same_fraction:
            other += f", {found.against_labels}"
        lines.append(
            _head(summary, found)
            | {
                "Against": other,
                "Shared subjects": "–" if found.shared_subjects is None else str(found.shared_subjects),
                "ICC(3,1)": decimals(found.icc),
                "Its ICC": decimals(found.against_icc),
                "Difference": decimals(found.difference),
                level(summary.uncertainty.level): interval(found.difference_ci, found.no_difference_ci),
                "p": p_value(found.difference_p, found.no_difference_p),
            }
        )
    return pd.DataFrame(lines)


def _head(summary: Summary, row: Pooled | Comparison) -> dict[str, str]:
    """What the first cells of a row say: dataset, where there are several, labels and arm."""
    first = {"Dataset": row.dataset} if len(summary.datasets) > 1 else {}
    return first | {"Labels": str(row.labels), "Model": _called(row)}


def number_or_dash(number: int | None) -> str:
    """A whole number as tables show it; a dash for None."""
    return "–" if number is None else str(number)


def _validated(summary: Summary) -> list[dict[str, str]]:
    """A row for each record that has scores on validation subjects, beside the first with the same labels."""
    found, first = list[dict[str, str]](), dict[tuple[str, Labels], Record]()
    for record in summary.records:
        if (of := record.validation) is None:
            continue
        gains = _gains(record, first.setdefault((record.dataset, record.labels), record))
        found.append(
            _head(summary, record)
            | {SUBJECTS: str(of.subjects), "Seeds": str(len(record.seeds))}
            | {"ICC(3,1)": decimals(of.icc), "Seed sd": decimals(of.icc_seed_sd), "Pearson": decimals(of.pearson)}
            | {"MAE": decimals(of.mae), "MSE": decimals(of.mse)}
            | {"Over the first": signed(float(np.mean(gains))) if gains else "–"}
            | {"Better seeds": f"{sum(gain > 0 for gain in gains)} of {len(gains)}" if gains else "–"}
            | {"Test ICC, chose nothing": decimals(record.icc), "Test Pearson": decimals(record.pearson)}
        )
    return found


def _gains(record: Record, first: Record) -> list[float]:
    """By how much the ICC on validation subjects lies above that of the first record, for each seed of both."""
    assert record.validation is not None
    assert first.validation is not None
    if record is first:
        return []
    of_first = dict(zip(first.seeds, first.validation.icc_per_seed, strict=True))
    pairs = [(icc, of_first.get(seed)) for seed, icc in zip(record.seeds, record.validation.icc_per_seed, strict=True)]
    return [mine - other for mine, other in pairs if mine is not None and other is not None]


def _of_unit(scores: Scores, metric: str) -> str:
    """A score of one action unit."""
    value = getattr(scores, metric)
    return "undefined" if value is None and metric == "icc" else decimals(value)


def _covered(summary: Summary) -> list[dict[str, str]]:
    """A row for each record whose runs have prediction intervals."""
    found = [(record, record.coverage) for record in summary.records if record.coverage is not None]
    aus = sorted({au for _, coverage in found for au in coverage.per_au})
    return [
        _head(summary, record)
        | {SUBJECTS: str(record.test_subjects)}
        | {"Validation subjects": "–" if (of := coverage.validation_subjects) is None else str(of)}
        | {"Covered": "all of 0 to 5" if says_nothing(coverage) else decimals(coverage.share)}
        | {"Mean width": decimals(coverage.width)}
        | {au: decimals(coverage.per_au[au].share if au in coverage.per_au else None) for au in aus}
        for record, coverage in found
    ]


def _beside(summary: Summary) -> pd.DataFrame:
    """Our records and the rows of the reference, by dataset and label fraction, unknown fractions last."""
    published = summary.reference or []
    aus = sorted({au for row in published for au in row.per_au})
    rows = [(record.labels, _published(record)) for record in summary.records]
    rows += [(Labels(row.label_fraction), row) for row in published]
    rows.sort(key=lambda row: (row[1].dataset, np.inf if row[0].fraction is None else row[0].fraction))
    lines = [
        ({"Dataset": row.dataset} if len(summary.datasets) > 1 else {})
        | {"Labels": str(labels), "Source": row.source}
        | {"ICC(3,1)": decimals(row.icc), "MAE": decimals(row.mae), "MSE": decimals(row.mse)}
        | {f"ICC {au}": decimals(row.per_au.get(au)) for au in aus}
        for labels, row in rows
    ]
    return pd.DataFrame(lines)


def _published(record: Record) -> Published:
    """A record of ours as a row of published numbers."""
    return Published(
        source=f"ours: {model_name(record.arm)}, {record.test_subjects} subjects",
        dataset=record.dataset,
        label_fraction=record.label_fraction,
        icc=record.icc,
        mae=record.mae,
        mse=record.mse,
        per_au={au: of_au.icc for au, of_au in record.per_au.items() if of_au.icc is not None},
    )
