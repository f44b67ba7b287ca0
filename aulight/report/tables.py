"""The tables of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from aulight.drawing.names import LABELS, arm_rank, percent
from aulight.report.formats import decimals, interval, level, p_value
from aulight.report.summary import NOMINAL
from aulight.scoring.agreement import METRICS

VARIANTS = {
    "icc": "pooled (headline)",
    "icc_rounded": "rounded predictions",
    "icc_fold_mean": "mean of folds",
    "icc_subject_mean": "mean of subjects",
}
"""Conventions by which the ICC has been published, and how tables call them."""
INTERVALS = f"Prediction intervals for {100 * NOMINAL:g}% coverage"


def _rows(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Records and baselines in the order of the tables: by dataset and fraction, the all-zero row last."""
    rows = [*summary["records"], *summary["baselines"]]

    def key(row: Mapping[str, Any]) -> tuple[str, float, tuple[int, str]]:
        rank = (9, "") if row["arm"] == "mean" else arm_rank(row["arm"])
        return row["dataset"], np.inf if row["label_fraction"] is None else row["label_fraction"], rank

    return sorted(rows, key=key)


def flat(summary: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and baselines as two long tables of numbers: one row each, and one row per action unit."""

    def ends(row: Mapping[str, Any], name: str) -> dict[str, float | None]:
        low, high = row[f"{name}_ci"] or (None, None)
        return {f"{name}_low": low, f"{name}_high": high}

    whole, per_au = [], []
    for row in _rows(summary):
        head = {name: row[name] for name in ("dataset", "arm", "label_fraction", "labelled_frames")}
        lists = {"seeds": " ".join(map(str, row["seeds"])), "undefined_aus": " ".join(row["undefined_aus"])}
        scores = {name: row[name] for name in METRICS} | {"icc_seed_sd": row["icc_seed_sd"]}
        intervals = ends(row, "icc") | ends(row, "mae") | ends(row, "mse")
        variants = {name: row.get(name) for name in VARIANTS if name != "icc"}
        whole.append(head | lists | scores | intervals | variants)
        for au, of_au in row["per_au"].items():
            scores = {name: of_au[name] for name in METRICS}
            per_au.append(head | {"au": au} | scores | ends(of_au, "icc") | ends(of_au, "mae") | ends(of_au, "mse"))
    return pd.DataFrame(whole), pd.DataFrame(per_au)


def remarks(summary: Mapping[str, Any]) -> list[str]:
    """What a reader must know: unfinished runs, undefined values, uneven pools; a line each."""
    lines = [f"{name} left out: {outcome}" for name, outcome in summary["unfinished"].items()]
    lines += summary["warnings"]
    for record in summary["records"]:
        if aus := record["undefined_aus"]:
            where = f"{record['dataset']}, {record['arm']}, {percent(record['label_fraction'])} labels"
            lines.append(
                f"{where}: ICC undefined for {', '.join(aus)} (labels and predictions constant); "
                f"the mean is over the other action units"
            )
    return lines


def _head(summary: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, str]:
    """What the first cells of a row say: dataset, where there are several, labels and arm."""
    first = {"Dataset": row["dataset"]} if len(summary["datasets"]) > 1 else {}
    return first | {"Labels": percent(row["label_fraction"]), "Arm": LABELS.get(row["arm"], row["arm"])}


def tables_of(summary: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables of the report by title, as text.

    The headline, arms side by side, each metric by action unit, ICC variants, the coverage of prediction intervals,
    and published numbers beside ours.
    """
    rows = _rows(summary)
    headline = [
        _head(summary, row)
        | {
            "Labelled frames": str(row["labelled_frames"]),
            "Seeds": str(len(row["seeds"]) or "–"),
            "ICC(3,1)": decimals(row["icc"]),
            level(summary): interval(row["icc_ci"]),
            "Seed sd": decimals(row["icc_seed_sd"]),
            "MAE": decimals(row["mae"]),
            "MSE": decimals(row["mse"]),
            "Pearson": decimals(row["pearson"]),
        }
        for row in rows
    ]
    out = {"Mean over action units": pd.DataFrame(headline)}
    same = [found for found in summary["comparisons"] if found["label_fraction"] == found["against"]["label_fraction"]]
    if same:
        out["Arms side by side"] = side_by_side(summary, same)
    for dataset in summary["datasets"]:
        of_dataset = f", {dataset}" if len(summary["datasets"]) > 1 else ""
        mine = [row for row in rows if row["dataset"] == dataset]
        for metric in ("icc", "mae", "mse"):
            lines = [
                {"Labels": percent(row["label_fraction"]), "Arm": LABELS.get(row["arm"], row["arm"])}
                | {au: decimals(of_au[metric]) for au, of_au in row["per_au"].items()}
                | {"Mean": decimals(row[metric])}
                for row in mine
            ]
            title = {"icc": "ICC(3,1)", "mae": "MAE", "mse": "MSE"}[metric]
            out[f"{title} by action unit{of_dataset}"] = pd.DataFrame(lines)
    variants = [
        _head(summary, row) | {"Convention": title, "ICC(3,1)": decimals(row[name])}
        for row in summary["records"]
        for name, title in VARIANTS.items()
    ]
    out["ICC(3,1) by other published conventions"] = pd.DataFrame(variants)
    if calibrated := [record for record in summary["records"] if record.get("coverage")]:
        aus = sorted({au for record in calibrated for au in record["coverage"]["per_au"]})
        out[INTERVALS] = pd.DataFrame(
            _head(summary, record)
            | {"Covered": decimals(record["coverage"]["share"]), "Mean width": decimals(record["coverage"]["width"])}
            | {au: decimals(record["coverage"]["per_au"].get(au, {}).get("share")) for au in aus}
            for record in calibrated
        )
    if summary.get("reference"):
        out["Beside published numbers"] = _beside(summary)
    return out


def side_by_side(summary: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Some of the comparisons of a summary as a table of text."""
    lines = []
    for found in comparisons:
        against = found["against"]
        other = LABELS.get(against["arm"], against["arm"])
        if against["label_fraction"] != found["label_fraction"]:
            other += f", {percent(against['label_fraction'])}"
        lines.append(
            _head(summary, found)
            | {
                "Against": other,
                "ICC(3,1)": decimals(found["icc"]),
                "Its ICC": decimals(found["against_icc"]),
                "Difference": decimals(found["difference"]),
                level(summary): interval(found["difference_ci"]),
                "p": p_value(found["difference_p"]),
            }
        )
    return pd.DataFrame(lines)


def _beside(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Our records and the rows of the reference, by dataset and label fraction, unknown fractions last."""
    published = summary["reference"]
    aus = sorted({au for row in published for au in row["per_au"]})
    ours = [
        row
        | {"source": f"ours: {LABELS.get(row['arm'], row['arm'])}"}
        | {"per_au": {au: of_au["icc"] for au, of_au in row["per_au"].items()}}
        for row in summary["records"]
    ]
    rows = [*ours, *published]
    rows.sort(key=lambda row: (row["dataset"], np.inf if row["label_fraction"] is None else row["label_fraction"]))
    lines = [
        ({"Dataset": row["dataset"]} if len(summary["datasets"]) > 1 else {})
        | {"Labels": percent(row["label_fraction"]), "Source": row["source"]}
        | {"ICC(3,1)": decimals(row["icc"]), "MAE": decimals(row["mae"]), "MSE": decimals(row["mse"])}
        | {f"ICC {au}": decimals(row["per_au"].get(au)) for au in aus}
        for row in rows
    ]
    return pd.DataFrame(lines)
