"""Pooling, intervals, comparisons and tables, against slow loops over concatenated frames."""

import itertools
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pingouin
import pytest
import scipy.stats
import torch
import yaml

from aulight.drawing import against_truth
from aulight.errors import AulightError
from aulight.report import collect, formats
from aulight.report.cautions import cautions
from aulight.report.labels import Labels
from aulight.report.published import read_published
from aulight.report.records import Command, Comparison, Side, Summary
from aulight.report.records import read as read_summary
from aulight.report.summary import shown_labels, summarise
from aulight.report.tables import INTERVALS, VALIDATED, VARIANTS, flat, remarks, tables_of
from aulight.report.timelines import timelines_of
from aulight.scoring import agreement
from aulight.settings.reading import read
from aulight.settings.report import ReportSettings, UncertaintySettings

AUS = ["AU01", "AU12", "AU25"]
SUBJECTS = {1: ["S1", "S2", "S3"], 2: ["S4", "S5"]}
MORE = {3: ["S6", "S7", "S8", "S9", "S10", "S11", "S12"], 4: ["S12"]}
Frames = pd.DataFrame
WriteRun = Callable[..., Path]


def frames(fold: int, seed: int, noise: float, unknown: float = 0.1, per_subject: int = 25) -> Frames:
    """Test frames of one fold: labels depend on the fold alone, predictions on everything."""
    truth, guess = np.random.default_rng(fold), np.random.default_rng([fold, seed, int(100 * noise)])
    parts = []
    for subject in (SUBJECTS | MORE)[fold]:
        n = per_subject + int(truth.integers(10))
        table = pd.DataFrame({"video_id": f"{subject}_v", "subject": subject, "frame": np.arange(n), "fold": fold})
        for au in AUS:
            true = truth.integers(0, 6, n)
            masked = truth.random(n) < unknown
            table[f"{au}_true"] = pd.array(np.where(masked, 0, true), dtype="Int8")
            table.loc[masked, f"{au}_true"] = pd.NA
            table[f"{au}_pred"] = np.clip(true + noise * guess.normal(size=n), 0, 5).astype(np.float32)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Writes a stage-two run as its command leaves it; keywords replace entries of run.yaml."""

    def write(name: str, table: Frames | None = None, noise: float = 1.0, **changes: Any) -> Path:
        meta: dict[str, Any] = {
            "command": "finetune",
            "outcome": "done",
            "arm": "scratch",
            "label_fraction": 0.02,
            "labelled_frames": 20,
            "fold": 1,
            "seed": 0,
            "label_seed": 0,
            "steps": 300,
            "dataset": {"name": "made", "fingerprint": "f1", "aus": [1, 12, 25], "fps": 25},
            "train_label_mean": dict.fromkeys(AUS, 1.5),
            "versions": {"torch": "2.13.0"},
            "config": {"seed": 0, "model": {"width": 32}},
        } | changes
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.yaml").write_text(yaml.safe_dump(meta), encoding="utf-8")
        if table is None:
            table = frames(meta["fold"], meta["seed"], noise)
        if meta["outcome"] == "done":
            table.to_parquet(folder / "predictions.parquet")
        return folder

    return write


def numbers(table: Frames, kind: str) -> torch.Tensor:
    columns = [table[f"{au}_{kind}"].to_numpy(dtype=np.float64, na_value=np.nan) for au in AUS]
    return torch.from_numpy(np.stack(columns, 1))


def pooled_icc(table: Frames) -> float:
    """Mean over action units of the ICC of these frames, by the training code's own metric."""
    return float(agreement.icc(numbers(table, "pred"), numbers(table, "true")).nanmean())


def summarised(tmp_path: Path, **settings: Any) -> Summary:
    uncertainty = UncertaintySettings(**({"swaps": 50, "seed": 0, "level": 0.95} | settings))
    return summarise(collect.collect(tmp_path / "runs")[0], uncertainty)


def comparison(
    summary: Summary, arm: str, fraction: float, against: str, against_fraction: float | None = None
) -> Comparison:
    """The only one of an arm with another; without a second fraction, at the same one."""
    other = Side(arm=against, label_fraction=fraction if against_fraction is None else against_fraction)
    wanted = (arm, fraction, other)
    (found,) = [found for found in summary.comparisons if (found.arm, found.label_fraction, found.against) == wanted]
    return found


def test_pools_folds_then_averages_over_seeds(tmp_path: Path, write_run: WriteRun) -> None:
    tables: dict[int, list[Frames]] = {0: [], 3: []}
    for seed, parts in tables.items():
        for fold in SUBJECTS:
            parts.append(frames(fold, seed, 1.0))
            write_run(f"s{seed}/f{fold}", parts[-1], seed=seed, fold=fold)
    (record,) = summarised(tmp_path).records

    whole = [pd.concat(parts) for parts in tables.values()]
    preds, true = ([numbers(table, kind) for table in whole] for kind in ("pred", "true"))
    for name in agreement.METRICS:
        function = getattr(agreement, name)
        by_seed = torch.stack([function(p, t) for p, t in zip(preds, true, strict=True)])
        assert getattr(record, name) == pytest.approx(float(by_seed.mean()), abs=1e-12)
        for i, au in enumerate(AUS):
            assert getattr(record.per_au[au], name) == pytest.approx(float(by_seed[:, i].mean()), abs=1e-12)
    per_seed = [pooled_icc(table) for table in whole]
    assert record.icc_per_seed == pytest.approx(per_seed, abs=1e-12)
    assert record.icc_seed_sd == pytest.approx(np.std(per_seed, ddof=1), abs=1e-12)
    assert (record.seeds, record.test_subjects, record.labelled_frames) == ([0, 3], 5, 20)
    assert record.runs == ["s0/f1", "s0/f2", "s3/f1", "s3/f2"]

    rounded = [float(agreement.icc(p.round(), t).mean()) for p, t in zip(preds, true, strict=True)]
    assert record.icc_rounded == pytest.approx(np.mean(rounded), abs=1e-12)
    by_fold = [pooled_icc(part) for parts in tables.values() for part in parts]
    assert record.icc_fold_mean == pytest.approx(np.mean(by_fold), abs=1e-12)
    by_subject = [pooled_icc(rows) for table in whole for _, rows in table.groupby("subject")]
    assert record.icc_subject_mean == pytest.approx(np.mean(by_subject), abs=1e-12)


def test_icc_is_pingouins_consistency_of_two_raters(tmp_path: Path, write_run: WriteRun) -> None:
    table = frames(1, 0, 1.0)
    write_run("run", table)
    (record,) = summarised(tmp_path).records
    for au in AUS:
        known = table[table[f"{au}_true"].notna()].reset_index(drop=True)
        rated = {"true": known[f"{au}_true"].astype(float), "pred": known[f"{au}_pred"].astype(float)}
        long = pd.DataFrame(rated).reset_index().melt("index")
        icc = pingouin.intraclass_corr(long, targets="index", raters="variable", ratings="value")
        expected = icc.set_index("Type")["ICC"]["ICC(C,1)"]
        assert record.per_au[au].icc == pytest.approx(expected, abs=1e-6)


def jackknifed(whole: float, without: list[float], level: float = 0.95) -> list[float]:
    """Ends of an interval by pseudo-values, with the t distribution of scipy."""
    n = len(without)
    pseudo = [n * whole - (n - 1) * of for of in without]
    ends = scipy.stats.t.interval(level, n - 1, np.mean(pseudo), scipy.stats.sem(pseudo))
    return [float(end) for end in ends]


def test_intervals_are_the_slow_loop_without_each_subject(tmp_path: Path, write_run: WriteRun) -> None:
    """Oracle: pseudo-values of the metrics of all frames but one subject's."""
    tables = {seed: pd.concat([frames(fold, seed, 1.5) for fold in SUBJECTS]) for seed in (0, 1)}
    for seed, table in tables.items():
        for fold in SUBJECTS:
            write_run(f"s{seed}f{fold}", table[table["fold"] == fold], seed=seed, fold=fold)
    summary = summarised(tmp_path, level=0.9)
    (record,) = summary.records

    def scored(without: str) -> dict[str, list[float]]:
        samples = [table[table["subject"] != without] for table in tables.values()]
        found: dict[str, list[float]] = {}
        for name in ("icc", "mae", "mse"):
            function = getattr(agreement, name)
            of_aus = torch.stack([function(numbers(s, "pred"), numbers(s, "true")) for s in samples]).mean(0)
            found[name] = [*of_aus.tolist(), float(of_aus.mean())]
        return found

    whole = scored("")
    without = [scored(subject) for fold in SUBJECTS for subject in SUBJECTS[fold]]
    for i, of in enumerate([*record.per_au.values(), record]):
        for name in whole:
            expected = jackknifed(whole[name][i], [of_one[name][i] for of_one in without], 0.9)
            assert getattr(of, f"{name}_ci") == pytest.approx(expected, abs=1e-10)
        assert (of.no_icc_ci, of.subjects) == (None, 5)


def test_no_interval_below_five_subjects(tmp_path: Path, write_run: WriteRun) -> None:
    """It is said where it would stand, in every table that has intervals."""
    four = pd.concat([frames(1, 0, 1.0), frames(2, 0, 1.0)]).query("subject != 'S5'")
    write_run("run", four)
    summary = summarised(tmp_path)
    (record,) = summary.records
    assert (record.icc_ci, record.mae_ci, record.per_au["AU12"].icc_ci) == (None, None, None)
    assert record.no_icc_ci == record.per_au["AU12"].no_icc_ci == "needs 5 subjects"
    headline = tables_of(summary)["Mean over action units"]
    assert headline["Subjects"].tolist() == ["4", "4", "4"]
    assert headline["95% interval"].tolist() == ["needs 5 subjects"] * 3
    whole, per_au = flat(summary)
    assert whole["test_subjects"].tolist() == [4, 4, 4]
    assert set(whole["no_icc_ci"]) == set(per_au["no_icc_ci"]) == {"needs 5 subjects"}
    assert set(per_au["labelled_subjects"]) == {4}


def test_subjects_without_labels_of_a_unit_do_not_count_in_its_interval(tmp_path: Path, write_run: WriteRun) -> None:
    table = pd.concat([frames(1, 0, 1.0), frames(2, 0, 1.0)])
    table.loc[table["subject"] == "S4", "AU12_true"] = pd.NA
    write_run("run", table)
    (record,) = summarised(tmp_path).records
    assert record.icc_ci is not None
    assert (record.subjects, record.per_au["AU01"].subjects) == (5, 5)
    assert record.per_au["AU12"].icc is not None
    assert (record.per_au["AU12"].icc_ci, record.per_au["AU12"].subjects) == (None, 4)


def test_a_unit_that_one_subject_shows_has_no_interval(tmp_path: Path, write_run: WriteRun) -> None:
    table = pd.concat([frames(1, 0, 1.0), frames(2, 0, 1.0)])
    table.loc[table["subject"] != "S4", "AU12_true"] = 0
    write_run("run", table)
    (record,) = summarised(tmp_path).records
    assert record.per_au["AU12"].icc is not None
    assert record.per_au["AU12"].no_icc_ci == "rests on one subject"
    assert record.icc is not None
    assert record.icc_ci is not None
    assert record.icc_ci[0] < record.icc < record.icc_ci[1]
    assert "one subject alone shows AU12: held fixed in the interval" in cautions(summarised(tmp_path), record)
    assert summarised(tmp_path).baselines[0].no_icc_ci == "does not vary"  # 0.000 [0.000, 0.000] would look exact


def test_baselines_of_known_value(tmp_path: Path, write_run: WriteRun) -> None:
    table = frames(1, 0, 1.0)
    table["AU01_true"] = pd.array(np.tile([0, 4], len(table))[: len(table)], dtype="Int8")
    if len(table) % 2:
        table = table.iloc[:-1]
    write_run("run", table, train_label_mean={"AU01": 1.0, "AU12": 2.0, "AU25": 2.0})
    mean, zero = summarised(tmp_path).baselines
    assert (mean.arm, mean.label_fraction, zero.arm, zero.label_fraction) == (
        "mean",
        0.02,
        "all_zero",
        None,
    )
    assert zero.icc == mean.icc == 0
    assert zero.pearson is None
    of_zero, of_mean = zero.per_au["AU01"], mean.per_au["AU01"]
    assert (of_zero.mae, of_zero.mse) == pytest.approx((2, 8))
    assert (of_mean.mae, of_mean.mse) == pytest.approx((2, 5))
    assert zero.undefined_aus == mean.undefined_aus == []


def test_runs_with_and_without_teachers_are_not_pooled_in_silence(tmp_path: Path, write_run: WriteRun) -> None:
    for seed, runs in ((0, None), (1, ["teachers/*"])):
        write_run(f"run{seed}", seed=seed, config={"pseudo": {"runs": runs}})
    (warning,) = [line for line in summarised(tmp_path).warnings if "teachers" in line]
    assert warning.endswith("pools runs with and without teachers (pseudo.runs)")


def test_seeds_whose_icc_is_undefined_have_no_deviation(tmp_path: Path, write_run: WriteRun) -> None:
    for seed in (0, 1):
        table = frames(1, seed, 1.0)
        for au in ("AU01", "AU12", "AU25"):
            table[f"{au}_true"] = pd.array([0] * len(table), dtype="Int8")
        write_run(f"run{seed}", table, seed=seed)
    summary = summarised(tmp_path)
    (record,) = summary.records
    assert (record.icc, record.icc_seed_sd, record.icc_per_seed) == (None, None, [None, None])
    assert json.loads(summary.text())["records"][0]["icc_seed_sd"] is None


def test_undefined_icc_is_none_named_and_left_out_of_the_mean(tmp_path: Path, write_run: WriteRun) -> None:
    table = frames(1, 0, 1.0)
    table["AU12_true"] = pd.array([0] * len(table), dtype="Int8")
    table["AU12_pred"] = np.float32(0)
    table["AU25_true"] = pd.array([pd.NA] * len(table), dtype="Int8")
    write_run("run", table)
    summary = summarised(tmp_path)
    (record,) = summary.records
    assert record.undefined_aus == ["AU12", "AU25"]
    assert record.per_au["AU12"].icc is None
    assert record.per_au["AU12"].mae == 0
    assert record.per_au["AU25"].mae is None
    assert record.icc == record.per_au["AU01"].icc
    assert tables_of(summary)["ICC(3,1) by action unit"]["AU12"].iloc[0] == "undefined"


@pytest.mark.parametrize(
    ("known", "end", "said"),
    [(True, "the mean is over the other action units", ", not in the mean"), (False, "no mean", "")],
)
def test_what_is_undefined_is_out_of_a_mean_only_where_there_is_one(
    known: bool, end: str, said: str, tmp_path: Path, write_run: WriteRun
) -> None:
    table = frames(1, 0, 1.0)
    for au in AUS[known:]:
        table[f"{au}_true"] = pd.array([0] * len(table), dtype="Int8")
        table[f"{au}_pred"] = np.float32(0)
    write_run("run", table)
    summary = summarised(tmp_path)
    (record,) = summary.records
    assert (record.icc is not None) == known
    undefined = ", ".join(AUS[known:])
    assert any(
        line.endswith(f"ICC undefined for {undefined} (labels constant or unknown); {end}") for line in remarks(summary)
    )
    assert f"ICC undefined for {undefined}{said}" in cautions(summary, record)


def test_comparison_of_arms_is_paired_over_subjects(tmp_path: Path, write_run: WriteRun) -> None:
    for seed in (0, 1):
        write_run(f"good{seed}", arm="pretrained", noise=0.5, seed=seed, fold=3)
        write_run(f"bad{seed}", arm="scratch", noise=3.0, seed=seed, fold=3)
    write_run("all", arm="scratch", noise=0.3, label_fraction=1.0, fold=3)
    summary = summarised(tmp_path, swaps=64)
    found = comparison(summary, "pretrained", 0.02, "scratch")
    good, bad = (r for r in summary.records if r.label_fraction == 0.02)
    assert (good.arm, bad.arm) == ("pretrained", "scratch")
    assert good.icc
    assert bad.icc
    assert found.ratio == pytest.approx(good.icc / bad.icc)
    assert found.against_icc_per_seed == pytest.approx(bad.icc_per_seed)
    assert found.seeds_apart
    assert found.intervals_apart
    assert found.shared_subjects == 7

    tables = {(n, s): frames(3, s, n) for n in (0.5, 3.0) for s in (0, 1)}

    def difference(without: str) -> float:
        icc = {key: pooled_icc(table[table["subject"] != without]) for key, table in tables.items()}
        return float(np.mean([icc[0.5, s] - icc[3.0, s] for s in (0, 1)]))

    assert found.difference == pytest.approx(difference(""), abs=1e-10)
    expected = jackknifed(difference(""), [difference(subject) for subject in MORE[3]])
    assert found.difference_ci == pytest.approx(expected, abs=1e-10)
    assert found.difference_p == pytest.approx(2 / 2**7)  # as they are, and all of them swapped

    to_all = comparison(summary, "pretrained", 0.02, "scratch", 1.0)
    assert to_all.against_icc
    assert to_all.ratio == pytest.approx(good.icc / to_all.against_icc)
    assert not to_all.seeds_apart
    assert {(found.arm, found.against.arm) for found in summary.comparisons} == {
        ("pretrained", "scratch"),
        ("scratch", "scratch"),
    }


def test_p_value_is_the_share_of_all_swaps_that_set_the_arms_as_far_apart(tmp_path: Path, write_run: WriteRun) -> None:
    """Oracle: a loop over all 128 ways of swapping the predictions of seven subjects, the ICCs less their bias."""
    tables = {"pretrained": frames(3, 0, 1.2), "scratch": frames(3, 1, 1.3)}
    for arm, table in tables.items():
        write_run(arm, table, arm=arm, fold=3)
    write_run("same", tables["scratch"], arm="twin", fold=3)
    one, other = tables.values()
    preds = [f"{au}_pred" for au in AUS]

    def unbiased(table: pd.DataFrame) -> float:
        without = [pooled_icc(table[table["subject"] != subject]) for subject in MORE[3]]
        return 7 * pooled_icc(table) - 6 * float(np.mean(without))

    apart = []
    for swapped in itertools.product((False, True), repeat=7):
        mine = one["subject"].map(dict(zip(MORE[3], swapped, strict=True)))
        first, second = one.copy(), other.copy()
        first.loc[mine, preds], second.loc[mine, preds] = other.loc[mine, preds], one.loc[mine, preds]
        apart.append(abs(unbiased(first) - unbiased(second)))
    expected = np.mean([of >= apart[0] - 1e-9 for of in apart])
    assert 0.05 < expected < 0.95
    summary = summarised(tmp_path, swaps=64)
    assert comparison(summary, "pretrained", 0.02, "scratch").difference_p == pytest.approx(expected)
    assert comparison(summary, "scratch", 0.02, "twin").difference_p == 1
    # fewer ways than there are: random ones, each run the same, near the share of all
    drawn = comparison(summarised(tmp_path, swaps=63, seed=3), "pretrained", 0.02, "scratch").difference_p
    assert drawn == comparison(summarised(tmp_path, swaps=63, seed=3), "pretrained", 0.02, "scratch").difference_p
    assert drawn == pytest.approx(expected, abs=0.2)
    assert drawn is not None
    assert drawn * 64 == pytest.approx(round(drawn * 64))


def test_arms_are_compared_on_the_subjects_that_both_tested(tmp_path: Path, write_run: WriteRun) -> None:
    """Fold 4 and fold 3 share S12: the numbers of the row are S12's, without an interval or a p-value."""
    parts = {
        "pretrained": [frames(3, 0, 1.0).query("subject != 'S12'"), frames(4, 0, 0.5)],
        "scratch": [frames(3, 0, 2.0)],
    }
    write_run("one", parts["pretrained"][1], arm="pretrained", fold=4)
    write_run("all", parts["scratch"][0], arm="scratch", fold=3)
    summary = summarised(tmp_path)
    (found,) = summary.comparisons
    assert found.shared_subjects == 1
    shared = parts["scratch"][0].query("subject == 'S12'")
    expected = pooled_icc(parts["pretrained"][1]), pooled_icc(shared)
    assert (found.icc, found.against_icc) == pytest.approx(expected, abs=1e-12)
    assert found.difference == pytest.approx(expected[0] - expected[1], abs=1e-12)
    assert (found.difference_ci, found.difference_p, found.intervals_apart) == (None, None, False)
    assert (found.no_difference_ci, found.no_difference_p) == ("needs 5 subjects", "needs 6 subjects")
    row = tables_of(summary)["Models side by side"].iloc[0]
    assert (row["Shared subjects"], row["95% interval"], row["p"]) == ("1", "needs 5 subjects", "needs 6 subjects")
    headline = tables_of(summary)["Mean over action units"].set_index("Model")
    assert headline.loc["with stage one", "Note"] == "tested on 1 of 7 subjects"

    # the same arm over all subjects, but one of its seeds has tested S12 alone
    write_run("rest", parts["pretrained"][0], arm="pretrained", fold=3)
    (found,) = summarised(tmp_path).comparisons
    assert found.shared_subjects == 7
    assert found.difference_p is not None
    write_run("seed", frames(4, 1, 0.5), arm="pretrained", fold=4, seed=1)
    (found,) = summarised(tmp_path).comparisons
    assert found.shared_subjects == 1


def test_arms_without_a_shared_subject_are_not_compared(tmp_path: Path, write_run: WriteRun) -> None:
    write_run("one", arm="pretrained", fold=1)
    write_run("two", arm="scratch", fold=2)
    (found,) = summarised(tmp_path).comparisons
    assert found.shared_subjects == 0
    assert (found.icc, found.against_icc, found.difference, found.difference_p) == (None, None, None, None)
    assert not found.seeds_apart


def test_unequal_numbers_of_seeds_are_compared(tmp_path: Path, write_run: WriteRun) -> None:
    """Oracle: the same comparison with the single seed's run three times over."""
    for seed in (0, 1, 2):
        write_run(f"many{seed}", arm="pretrained", noise=1.0, seed=seed, fold=3)
        write_run(f"again{seed}", frames(3, 0, 1.2), arm="thrice", seed=seed, fold=3)
    write_run("once", frames(3, 0, 1.2), arm="scratch", fold=3)
    summary = summarised(tmp_path, swaps=64)
    once, thrice = (comparison(summary, "pretrained", 0.02, arm) for arm in ("scratch", "thrice"))
    assert once.difference_p == thrice.difference_p
    assert once.difference_ci == pytest.approx(thrice.difference_ci)


def test_what_a_row_must_say_stands_in_it(tmp_path: Path, write_run: WriteRun) -> None:
    table = frames(1, 0, 1.0)
    table["AU12_true"] = pd.array([0] * len(table), dtype="Int8")
    folder = write_run("run", table, labelled_frames=2, validation={"icc": float("nan")})
    frames(2, 0, 1.0).to_parquet(folder / "validation.parquet")
    summary = summarised(tmp_path)
    (record,) = summary.records
    assert record.per_au["AU12"].icc is None  # the formula's 0 is of the people, not of the predictions
    assert record.icc == pytest.approx(np.mean([of.icc for of in record.per_au.values() if of.icc is not None]))
    tables = tables_of(summary)
    assert tables["Mean over action units"]["Note"].iloc[0] == (
        "trained on only 2 labelled frames; ICC undefined for AU12, not in the mean; "
        "validation ICC undefined in 1 of 1 runs; prediction intervals are all of 0 to 5 (2 validation subjects)"
    )
    assert tables["ICC(3,1) by action unit"]["AU12"].tolist() == ["undefined"] * 3
    covered = tables[INTERVALS].iloc[0]
    assert (covered["Covered"], covered["Validation subjects"], covered["Subjects"]) == ("all of 0 to 5", "2", "3")


def test_commands_can_be_typed_again(tmp_path: Path, write_run: WriteRun) -> None:
    typed = {"b/two": ["seed=1", "name='a b'"], "a/dead": ["seed=2"], "c/one": ["objective.horizons=[1,2]"]}
    write_run("b/two", seed=1, git="abc")
    write_run("b/unknown")
    write_run("a/dead", outcome="running")
    write_run("c/one", command="pretrain")
    for name, overrides in typed.items():
        (tmp_path / "runs" / name / ".hydra").mkdir()
        (tmp_path / "runs" / name / ".hydra/overrides.yaml").write_text(yaml.safe_dump(overrides))
    one, two, unknown = collect.commands(tmp_path / "runs")
    assert shlex.split(str(one.command)) == ["aulight", "pretrain", *typed["c/one"]]
    assert shlex.split(str(two.command)) == ["aulight", "finetune", *typed["b/two"]]
    assert (two.run, two.git) == ("b/two", "abc")
    assert unknown == Command(run="b/unknown", command=None, git=None)


def test_conventions_are_named_rows(tmp_path: Path, write_run: WriteRun) -> None:
    write_run("run")
    summary = summarised(tmp_path)
    table = tables_of(summary)["ICC(3,1) by other published conventions"]
    (record,) = summary.records
    assert table["Convention"].tolist() == list(VARIANTS.values())
    assert table["ICC(3,1)"].tolist() == [f"{getattr(record, name):.3f}" for name in VARIANTS]


def test_coverage_is_that_of_each_runs_own_calibration(tmp_path: Path, write_run: WriteRun) -> None:
    """Oracle: for each run a loop over known intensities, and the rank of the definition for few frames of a group."""
    shares, widths = [], []
    for fold in (1, 2):
        tested, known = frames(fold, 0, 1.0), frames(3 - fold, 0, 0.5)
        known["subject"] = [f"V{row}" for row in range(len(known))]  # one frame each: people are counted
        folder = write_run(f"f{fold}", tested, fold=fold)
        known.to_parquet(folder / "validation.parquet")
        (preds, truth), (others, theirs) = (
            (numbers(table, "pred").numpy(), numbers(table, "true").numpy()) for table in (tested, known)
        )
        for au in range(3):
            errors = sorted(abs(others[:, au] - theirs[:, au])[~np.isnan(theirs[:, au])])
            assert len(errors) < 200  # so that all predictions are of one group
            reach = errors[int(np.ceil(0.9 * (len(errors) + 1))) - 1]
            ends = [(max(p - reach, 0), min(p + reach, 5)) for p in preds[:, au]]
            inside = [low <= t <= high for (low, high), t in zip(ends, truth[:, au], strict=True) if not np.isnan(t)]
            wide = [high - low for (low, high), t in zip(ends, truth[:, au], strict=True) if not np.isnan(t)]
            shares.append(np.mean(inside))
            widths.append(np.mean(wide))
    summary = summarised(tmp_path)
    coverage = summary.records[0].coverage
    assert coverage is not None
    assert coverage.nominal == 0.9
    for place, name in enumerate(AUS):
        assert coverage.per_au[name].share == pytest.approx(np.mean(shares[place::3]), abs=1e-9)
        assert coverage.per_au[name].width == pytest.approx(np.mean(widths[place::3]), abs=1e-5)
    assert coverage.share == pytest.approx(np.mean(shares), abs=1e-9)
    table = tables_of(summary)["Prediction intervals for 90% coverage"]
    assert table["Covered"].tolist() == [formats.decimals(float(np.mean(shares)))]


def test_runs_without_validation_predictions_have_no_coverage(tmp_path: Path, write_run: WriteRun) -> None:
    write_run("f1")
    summary = summarised(tmp_path)
    assert summary.records[0].coverage is None
    assert summary.records[0].validation is None
    assert INTERVALS not in tables_of(summary)
    assert VALIDATED not in tables_of(summary)


def test_validation_subjects_without_a_defined_icc_are_said_to_have_none(tmp_path: Path, write_run: WriteRun) -> None:
    constant = frames(1, 0, 1.0)
    constant[[f"{au}_true" for au in AUS]] = 1
    for seed in (0, 1):
        constant.to_parquet(write_run(f"s{seed}", seed=seed) / "validation.parquet")
    summary = summarised(tmp_path)
    assert (of := summary.records[0].validation) is not None
    assert (of.icc, of.icc_seed_sd, of.icc_per_seed, of.pearson) == (None, None, [None, None], None)
    assert json.loads(summary.text())["records"][0]["validation"]["icc"] is None
    assert tables_of(summary)[VALIDATED]["ICC(3,1)"].tolist() == ["–"]


def test_scores_on_validation_subjects_stand_beside_those_of_the_first(tmp_path: Path, write_run: WriteRun) -> None:
    """Oracle: the training code's metric over the frames of both folds put together, seed by seed."""
    noises = {("pretrained", 0): 0.8, ("pretrained", 1): 0.9, ("mine", 1): 0.5, ("mine", 0): 1.1, ("mine", 2): 0.1}
    icc: dict[str, dict[int, float]] = {"pretrained": {}, "mine": {}}
    whole: dict[str, list[Frames]] = {"pretrained": [], "mine": []}
    for (arm, seed), noise in noises.items():
        parts = []
        for fold in SUBJECTS:
            parts.append(frames(3 - fold, seed, noise))
            folder = write_run(f"{arm}{seed}/f{fold}", arm=arm, seed=seed, fold=fold)
            parts[-1].to_parquet(folder / "validation.parquet")
        whole[arm].append(pd.concat(parts))
        icc[arm][seed] = pooled_icc(whole[arm][-1])
    summary = summarised(tmp_path)
    for record in summary.records:
        assert (of := record.validation) is not None
        expected = [icc[record.arm][seed] for seed in record.seeds]
        assert of.icc_per_seed == pytest.approx(expected, abs=1e-12)
        assert of.icc_seed_sd == pytest.approx(np.std(expected, ddof=1), abs=1e-12)
        assert of.subjects == 5
        for name in agreement.METRICS:
            each = [
                float(getattr(agreement, name)(numbers(table, "pred"), numbers(table, "true")).mean())
                for table in whole[record.arm]
            ]
            assert getattr(of, name) == pytest.approx(np.mean(each), abs=1e-12)
    first, second = tables_of(summary)[VALIDATED].to_dict("records")
    assert (first["Model"], first["Over the first"], first["Better seeds"]) == ("with stage one", "–", "–")
    gain = np.mean([icc["mine"][seed] - icc["pretrained"][seed] for seed in (0, 1)])  # the seeds of both
    assert (second["Model"], second["Over the first"], second["Better seeds"]) == ("mine", f"{gain:+.3f}", "1 of 2")
    assert second["ICC(3,1)"] == formats.decimals(float(np.mean(list(icc["mine"].values()))))
    assert second["Test ICC, chose nothing"] == formats.decimals(summary.records[1].icc)
    whole_table, _ = flat(summary)
    assert whole_table["validation_icc"].dropna().tolist() == pytest.approx(
        [record.validation.icc for record in summary.records if record.validation], abs=1e-12
    )


def test_collect_lists_unfinished_runs_and_ignores_stage_one(tmp_path: Path, write_run: WriteRun) -> None:
    write_run("a/done")
    write_run("b/half", outcome="running", seed=1)
    write_run("c/dead", outcome="failed: out of memory", seed=2)
    write_run("d/one", command="pretrain", outcome="failed: nan")
    runs, unfinished = collect.collect(tmp_path / "runs")
    assert [run.name for run in runs] == ["a/done"]
    assert runs[0].aus == tuple(AUS)
    assert unfinished == {"b/half": "running", "c/dead": "failed: out of memory"}
    assert collect.collect(tmp_path / "runs" / "a" / "done")[0][0].name == "done"


def test_collect_needs_a_finished_run(tmp_path: Path, write_run: WriteRun) -> None:
    with pytest.raises(AulightError, match="no such folder"):
        collect.collect(tmp_path / "runs")
    write_run("half", outcome="running")
    with pytest.raises(AulightError, match=r"no finished stage-two run .*1 unfinished"):
        collect.collect(tmp_path / "runs")


def test_refuses_two_versions_of_a_dataset_and_other_action_units(tmp_path: Path, write_run: WriteRun) -> None:
    write_run("a")
    dataset = {"name": "made", "fingerprint": "f2", "aus": [1, 12, 25], "fps": 25}
    other = write_run("b", seed=1, dataset=dataset)
    with pytest.raises(AulightError, match=r"a and b used different versions of dataset made \(f1 and f2\)"):
        collect.collect(tmp_path / "runs")
    meta = yaml.safe_load((other / "run.yaml").read_text())
    meta["dataset"] = dataset | {"fingerprint": "f1", "aus": [1, 12]}
    (other / "run.yaml").write_text(yaml.safe_dump(meta))
    with pytest.raises(AulightError, match="a and b predict different action units of made"):
        collect.collect(tmp_path / "runs")


def test_refuses_a_frame_predicted_twice(tmp_path: Path, write_run: WriteRun) -> None:
    write_run("first")
    again = write_run("second", frames(1, 0, 0.5))
    with pytest.raises(AulightError, match=r"first and second both test subject S1 with scratch, 2% labels, seed 0"):
        summarised(tmp_path)
    table = frames(2, 0, 0.5)
    pd.concat([table, table.iloc[3:4]]).to_parquet(again / "predictions.parquet")
    with pytest.raises(AulightError, match=r"second.*video S4_v has frame 3 twice"):
        summarised(tmp_path)


def damage_missing(run: Path) -> None:
    (run / "predictions.parquet").unlink()


def damage_text(run: Path) -> None:
    (run / "predictions.parquet").write_text("not parquet")


def damage_column(run: Path) -> None:
    frames(1, 0, 1.0).drop(columns="AU12_pred").to_parquet(run / "predictions.parquet")


def damage_nan(run: Path) -> None:
    table = frames(1, 0, 1.0)
    table.loc[2, "AU12_pred"] = np.nan
    table.to_parquet(run / "predictions.parquet")


def damage_key(run: Path) -> None:
    meta = yaml.safe_load((run / "run.yaml").read_text())
    del meta["arm"]
    (run / "run.yaml").write_text(yaml.safe_dump(meta))


def damage_yaml(run: Path) -> None:
    (run / "run.yaml").write_text("outcome: [")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_missing, "has no predictions.parquet"),
        (damage_text, "predictions.parquet: "),
        (damage_column, "AU12_pred"),
        (damage_nan, "AU12_pred is not finite"),
        (damage_key, "lacks the key 'arm'"),
        (damage_yaml, "not readable as YAML"),
    ],
)
def test_a_damaged_run_is_named(
    tmp_path: Path, write_run: WriteRun, damage: Callable[[Path], None], message: str
) -> None:
    damage(write_run("broken"))
    with pytest.raises(AulightError, match=message) as caught:
        summarised(tmp_path)
    assert "broken" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_warns_of_missing_folds_and_of_mixed_settings(tmp_path: Path, write_run: WriteRun) -> None:
    write_run("s0f1")
    write_run("s0f2", fold=2)
    config = {"seed": 1, "model": {"width": 64}, "data": {"root": "elsewhere"}}
    write_run("s1f1", seed=1, config=config | {"name": "other", "pretrained": "seed1"})
    assert summarised(tmp_path).warnings == [
        "made, from scratch, 2% labels, seed 1: 3 of 5 test subjects (only fold 1)",
        "made, from scratch, 2% labels: pools runs with different model.width",
    ]


def test_warns_where_a_video_was_skipped(tmp_path: Path, write_run: WriteRun) -> None:
    """By pooled runs as by compared ones; oracle: the labels of the two subjects, counted in the table."""
    whole = frames(1, 0, 1.0)
    gone = (whole["subject"] == "S1") & (whole["frame"] < 10) | (whole["subject"] == "S3") & (whole["frame"] >= 20)
    labels = whole[[f"{au}_true" for au in AUS]].notna().sum(axis=1)
    there, left = (int(labels[whole["subject"].isin(["S1", "S3"]) & which].sum()) for which in (True, ~gone))
    write_run("whole", whole)
    write_run("seed", whole[~gone], seed=1)
    write_run("arm", whole[(whole["subject"] != "S2") & ~gone], arm="pretrained", label_fraction=1.0)
    said = (
        f"scored {left} of the {there} labels that others scored of the same 2 test subjects; was a video skipped that "
        "could not be read?"
    )
    assert sorted(summarised(tmp_path).warnings) == [
        f"made, from scratch, 2% labels, seed 1: {said}",
        "made, with stage one, 100% labels, seed 0: 2 of 3 test subjects (only fold 1)",
        f"made, with stage one, 100% labels, seed 0: {said}",
    ]


def test_says_where_stage_one_was(tmp_path: Path, write_run: WriteRun) -> None:
    own = {"dataset": "made", "own_frames": True, "subjects": 9, "unlabelled_subjects": 4}
    other = {"dataset": "videos of a lab", "own_frames": False, "subjects": 70, "unlabelled_subjects": 70}
    write_run("own", arm="pretrained", stage_one=own)
    write_run("other", arm="pretrained", label_fraction=0.1, stage_one=other)
    write_run("mixed", arm="pretrained", fold=2, stage_one=other)
    write_run("scratch", stage_one=None)
    write_run("older", label_fraction=0.1)
    summary = summarised(tmp_path)
    first = "the training folds' own frames without labels and 4 unlabelled subjects"
    second = "videos of a lab (70 subjects)"
    assert [record.stage_one for record in summary.records] == [[first, second], [], [second], []]
    assert summary.notes == [f"made, with stage one: stage one learned from {first}, or {second}"]
    assert (
        f"made, with stage one, 2% labels: pools runs whose stage one learned from {first}, or {second}"
        in summary.warnings
    )


def test_says_where_the_default_model_is_from(tmp_path: Path, write_run: WriteRun) -> None:
    """Not from a stage one, which has no labels. Oracle: docs/default-model.md."""
    boxed = {"dataset": "portraits", "own_frames": False, "subjects": 4000, "unlabelled_subjects": 4000}
    other = {"dataset": "videos of a lab", "own_frames": False, "subjects": 70, "unlabelled_subjects": 70}
    write_run("boxed", arm="default_model", stage_one=boxed)
    write_run("other", arm="default_model", fold=2, stage_one=other)
    write_run("alone", arm="mine", stage_one=boxed)
    summary, began = summarised(tmp_path), "the default model, trained on labelled rendered faces of 4,000 people"
    both = f"stage one learned from videos of a lab (70 subjects), or stage two began with {began}"
    assert sorted(summary.notes) == [
        f"made, from the default model: {both}",
        f"made, mine: stage two began with {began}",
    ]
    assert f"made, from the default model, 2% labels: pools runs whose {both}" in summary.warnings


@pytest.mark.parametrize("settings", [{"swaps": 0}, {"level": 1.0}])
def test_refuses_settings_of_uncertainty(settings: dict[str, Any]) -> None:
    uncertainty = {"swaps": 50, "seed": 0, "level": 0.95} | settings
    plain = dict.fromkeys(ReportSettings.model_fields) | {"runs": "runs", "timelines": 3, "uncertainty": uncertainty}
    with pytest.raises(AulightError, match=f"uncertainty.{next(iter(settings))}"):
        read(ReportSettings, plain)


def test_timelines_show_the_most_expressive_video_of_each_arm(tmp_path: Path, write_run: WriteRun) -> None:
    long = frames(1, 0, 1.0, unknown=0, per_subject=600)
    long["AU01_true"] = (long["AU01_true"] // 2).astype("Int8")
    loud = long["subject"] == "S2"
    for au in AUS:
        late = loud & (long["frame"] >= 60)
        long.loc[late, f"{au}_true"] = 5
    write_run("p", long, arm="pretrained")
    other = long.copy()
    other["AU01_pred"] = np.float32(2.5)
    write_run("s", other, arm="scratch")
    runs = collect.collect(tmp_path / "runs")[0]
    (line,) = timelines_of(runs, "made", Labels(0.02), 1)
    assert (line.subject, line.video_id, list(line.preds)) == ("S2", "S2_v", ["pretrained", "scratch"])
    assert line.seconds[0] == pytest.approx(60 / 25)
    assert len(line.seconds) == 25 * against_truth.TIMELINE_SECONDS
    assert line.true.shape == line.preds["scratch"].shape == (len(line.seconds), len(AUS))
    assert (line.true == 5).all()
    assert (line.preds["scratch"][:, 0] == 2.5).all()
    assert timelines_of(runs, "made", Labels(0.5), 1) == []

    chosen = timelines_of(runs, "made", Labels(0.02), 0, ["S3_v", "S1_v", "another"])
    assert [line.video_id for line in chosen] == ["S3_v", "S1_v"]


def test_markdown_and_latex_escape_names() -> None:
    table = pd.DataFrame({"Dataset": ["a_b|c"], "Labels": ["2%"], "ICC": ["–"]})
    assert formats.markdown(table).splitlines()[2] == "| a_b\\|c  | 2%     |   – |"
    assert r"a\_b|c & 2\% & -- \\" in formats.latex(table, "R&D")
    assert r"\caption{R\&D}" in formats.latex(table, "R&D")


def test_does_without_torch() -> None:
    code = "import sys, aulight.cli.commands.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pooling_different_networks_is_said(tmp_path: Path, write_run: WriteRun) -> None:
    """On top of stage one, too, ``run.yaml`` names the network that was trained."""
    network = {"backbone": "resnet18", "temporal": "gru", "hidden": 256, "mean": [0.5, 0.5, 0.5]}
    for fold, other in ((1, {}), (2, {"backbone": "resnet_tiny", "hidden": 128, "mean": [0.4, 0.5, 0.5]})):
        config = {"seed": 0, "pretrained": f"runs/pretrain/fold{fold}", "fold": fold, "model": network | other}
        write_run(f"f{fold}", arm="pretrained", fold=fold, config=config)
    assert summarised(tmp_path).warnings == [
        "made, with stage one, 2% labels: pools runs with different model.backbone, model.hidden, model.mean"
    ]


def test_labels_asked_for_by_their_number_are_one_record(tmp_path: Path, write_run: WriteRun) -> None:
    """Oracle: the frames of all folds put together, though the number is another share of each fold's labels."""
    shares = {1: 0.02, 2: 0.05}
    tables: dict[str, list[Frames]] = {"pretrained": [], "scratch": []}
    asked = {"label_fraction": None, "label_count": 50, "model": {"width": 32}}
    for arm, noise in (("pretrained", 0.5), ("scratch", 2.0)):
        for fold, share in shares.items():
            tables[arm].append(frames(fold, 0, noise))
            about = {"fold": fold, "label_fraction": share, "labelled_frames": 50, "config": asked}
            write_run(f"{arm}{fold}", tables[arm][-1], arm=arm, **about)
    write_run("share", arm="scratch", label_fraction=0.02)
    write_run("mean", arm="scratch", label_fraction=0.035)
    summary = summarised(tmp_path)

    records = {(record.arm, record.label_count): record for record in summary.records if record.label_fraction != 0.02}
    assert records.keys() == {("pretrained", 50), ("scratch", 50), ("scratch", None)}
    for arm, parts in tables.items():
        found = records[arm, 50]
        assert found.label_fraction == pytest.approx(0.035)
        assert found.labelled_frames == 50
        assert found.runs == [f"{arm}1", f"{arm}2"]
        assert found.icc == pytest.approx(pooled_icc(pd.concat(parts)), abs=1e-12)
    assert not [line for line in summary.warnings if " 50 labels" in line]
    (same,) = [of for of in summary.comparisons if of.same_fraction]
    assert (same.arm, same.against.arm, same.label_count, same.against.label_count) == ("pretrained", "scratch", 50, 50)
    assert same.shared_subjects == 5
    difference = [pooled_icc(pd.concat(tables[arm])) for arm in ("pretrained", "scratch")]
    assert same.difference == pytest.approx(difference[0] - difference[1], abs=1e-12)
    assert [(row.arm, str(row.labels)) for row in summary.baselines] == [
        ("mean", "2%"), ("mean", "3.5%"), ("mean", "50"), ("all_zero", "–")
    ]  # fmt: skip

    shown = shown_labels(replace(summary, records=[r for r in summary.records if r.label_fraction != 0.02]), None)
    assert {dataset: str(labels) for dataset, labels in shown.items()} == {"made": "50"}
    assert str(shown_labels(summary, None)["made"]) == "2%"
    summary = replace(summary, bars_fraction={"made": shown["made"].fraction or 0}, bars_count={"made": 50})
    assert [record.arm for record in summary.shown("made")] == ["pretrained", "scratch"]
    headline = tables_of(summary)["Mean over action units"]
    assert headline["Labels"].tolist() == ["2%", "2%", "3.5%", "3.5%", "50", "50", "50", "–"]
    runs, _ = collect.collect(tmp_path / "runs")
    (line,) = timelines_of(runs, "made", shown["made"], 1)
    assert (list(line.preds), line.labels) == (["pretrained", "scratch"], "50")
    (tmp_path / "summary.json").write_text(summary.text(), encoding="utf-8")
    assert read_summary(tmp_path / "summary.json").bars == shown


def test_the_last_checkpoint_has_a_row_of_its_own(tmp_path: Path, write_run: WriteRun) -> None:
    """Oracle: the pooled frames of what it predicted; an arm of which a run is of 0.1.0 has no such row."""
    parts = []
    for fold in SUBJECTS:
        folder = write_run(f"new{fold}", fold=fold, arm="pretrained", noise=0.5, validation_frames=100 * fold)
        parts.append(frames(fold, 0, 1.5))
        parts[-1].to_parquet(folder / "predictions_last.parquet")
    frames(1, 0, 1.0).to_parquet(write_run("scratch1", validation_frames=7) / "predictions_last.parquet")
    folder = write_run("scratch2", fold=2)
    unlabelled = frames(2, 1, 0.5)
    unlabelled.loc[:3, [f"{au}_true" for au in AUS]] = pd.NA
    unlabelled.to_parquet(folder / "validation.parquet")
    summary = summarised(tmp_path)

    (last,) = summary.last
    assert (last.arm, last.last, last.validation_frames) == ("pretrained", True, 0)
    whole = pd.concat(parts)
    assert last.icc == pytest.approx(pooled_icc(whole), abs=1e-12)
    without = [pooled_icc(whole[whole["subject"] != subject]) for subject in whole["subject"].unique()]
    assert last.icc_ci == pytest.approx(jackknifed(pooled_icc(whole), without), abs=1e-10)
    assert last.test_subjects == 5
    assert [record.arm for record in summary.records] == ["pretrained", "scratch"]
    labelled = int(unlabelled[[f"{au}_true" for au in AUS]].notna().any(axis=1).sum())
    assert labelled <= len(unlabelled) - 4
    assert [record.validation_frames for record in summary.records] == [150, round((7 + labelled) / 2)]
    table = tables_of(summary)["Mean over action units"]
    called = ["with stage one", "with stage one, last checkpoint, no choice", "from scratch"]
    assert table["Model"].tolist() == [*called, "always the mean label", "always 0"]
    assert table["Validation frames"].tolist() == ["150", "0", str(round((7 + labelled) / 2)), "0", "0"]
    assert table["ICC(3,1)"].tolist()[1] == formats.decimals(last.icc)
    assert "last checkpoint" not in "".join(tables_of(summary)["ICC(3,1) by action unit"]["Model"])
    rows, per_au = flat(summary)
    assert rows["arm"].tolist() == ["pretrained", "pretrained_last", "scratch", "mean", "all_zero"]
    assert set(per_au["arm"]) == {"pretrained", "scratch", "mean", "all_zero"}


def test_what_differs_between_seeds(tmp_path: Path, write_run: WriteRun) -> None:
    """Stage-one runs are told by their checkpoints, those of 0.1.0 by their places; those of all folds count once."""
    for fold in SUBJECTS:
        for seed, (one, label_seed) in enumerate([("a", 0), ("b", 0), ("a", 1)]):
            about = {"fold": fold, "seed": seed, "label_seed": label_seed}
            write_run(f"new{fold}{seed}", arm="pretrained", stage_one_sha256=f"{one}{fold}", **about)
            config = {"pretrained": f"runs/{fold}/{seed}", "model": {"width": 32}}
            write_run(f"old{fold}{seed}", arm="older", config=config, **about | {"label_seed": seed})
            write_run(f"scratch{fold}{seed}", **about | {"label_seed": seed})
    summary = summarised(tmp_path)
    found = {record.arm: (record.stage_one_runs, record.label_draws) for record in summary.records}
    assert found == {"pretrained": (2, 2), "older": (3, 3), "scratch": (None, 3)}
    assert [line for line in remarks(summary) if "sd over seeds" in line] == [
        f"made, with stage one, 2% labels: 3 seeds, different {what}: 2; the sd over seeds is smaller "
        "than with one for each"
        for what in ("stage-one runs", "draws of labels")
    ]
    table = tables_of(summary)["Mean over action units"]
    told = table[["Model", "Seeds", "Stage-one runs", "Label draws"]].to_numpy().tolist()
    assert ["with stage one", "3", "2", "2"] in told
    assert ["from scratch", "3", "–", "3"] in told
    assert ["always 0", "–", "–", "–"] in told


def test_a_summary_is_read_as_it_was_written(tmp_path: Path, write_run: WriteRun) -> None:
    for arm in ("pretrained", "scratch"):
        write_run(arm, arm=arm, stage_one=None)
        frames(2, 0, 0.5).to_parquet(tmp_path / "runs" / arm / "validation.parquet")
    (tmp_path / "published.csv").write_text("source,dataset,icc,AU12\nOthers,made,0.4,0.5\n")
    published, _ = read_published(tmp_path / "published.csv", ["made"])
    for reference in (None, published):
        summary = replace(summarised(tmp_path), reference=reference, bars_fraction={"made": 0.02}, files=["a"])
        (tmp_path / "summary.json").write_text(summary.text(), encoding="utf-8")
        assert read_summary(tmp_path / "summary.json") == summary
        assert ("reference" in json.loads(summary.text())) == (reference is not None)


def test_an_older_summary_is_read(tmp_path: Path, write_run: WriteRun) -> None:
    """Without what came to it since: intervals' coverage, p-values, where stage one was, how the runs were made.

    Nor how many subjects numbers are of; and with intervals by the bootstrap.
    """
    for arm in ("pretrained", "scratch"):
        write_run(arm, arm=arm)
    content = json.loads(summarised(tmp_path).text())
    for record in content["records"]:
        del record["coverage"], record["stage_one"]
        del record["no_icc_ci"], record["subjects"], record["no_validation_icc"]
    del content["comparisons"][0]["difference_p"], content["notes"], content["commands"], content["files"]
    for name in ("shared_subjects", "no_difference_ci", "no_difference_p"):
        del content["comparisons"][0][name]
    del content["uncertainty"]
    content["bootstrap"] = {"over": "subjects", "replicates": 2000, "seed": 0, "level": 0.9}
    (tmp_path / "summary.json").write_text(json.dumps(content))
    older = read_summary(tmp_path / "summary.json")
    assert [record.icc for record in older.records] == [record["icc"] for record in content["records"]]
    assert [record.coverage for record in older.records] == [None, None]
    assert older.comparisons[0].difference_p is None
    assert tables_of(older)["Models side by side"]["p"].tolist() == ["–"]
    assert tables_of(older)["Models side by side"]["90% interval"].tolist() == ["–"]
    assert (older.uncertainty.intervals, older.uncertainty.draws) == ("bootstrap", 2000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file; make it with `aulight report`"),
        ("{", "all of it: Invalid JSON"),
        ('{"records": [{}]}', r"records\.0\.\w+: Field required"),
    ],
)
def test_what_is_no_summary_is_said(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "summary.json").write_text(text)
    with pytest.raises(AulightError, match=rf"summary\.json: {message}") as caught:
        read_summary(tmp_path / "summary.json")
    assert "\n" not in str(caught.value)
