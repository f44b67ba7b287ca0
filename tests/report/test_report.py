"""The report command on a small tree of runs, made here."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.image import imread

from aulight.cli.commands.report import report
from aulight.errors import AulightError
from aulight.files import alone, sha256
from aulight.report.records import read
from aulight.report.writing import _publish, refuse_foreign_files
from aulight.runs.composed import composed, settings_from
from aulight.settings.report import ReportSettings

AUS = ["AU06", "AU12"]


def write_runs(folder: Path, dataset: str = "small_set") -> None:
    """Two arms at 2% (two seeds) and 100%, one with equal compute at 2%, six subjects, one dead run."""
    for arm, fraction, seed, noise in [
        ("pretrained", 0.02, 0, 0.7),
        ("pretrained", 0.02, 1, 0.8),
        ("pretrained", 1.0, 0, 0.4),
        ("scratch", 0.02, 0, 2.0),
        ("scratch", 0.02, 1, 2.2),
        ("scratch", 1.0, 0, 0.5),
        ("scratch_equal_compute", 0.02, 0, 1.2),
    ]:
        run = folder / f"{dataset}/{arm}-{fraction}-{seed}"
        run.mkdir(parents=True)
        guess = np.random.default_rng([seed, int(noise * 10)])
        parts = []
        for s in range(6):
            true = np.random.default_rng(s).integers(0, 6 if s else 2, (40, 2))
            pred = np.clip(true + guess.normal(scale=noise, size=true.shape), 0, 5)
            table = pd.DataFrame({"video_id": f"s{s}/v 1", "subject": f"s{s}", "frame": np.arange(40), "fold": 1})
            for i, au in enumerate(AUS):
                table[f"{au}_true"] = pd.array(true[:, i], dtype="Int8")
                table[f"{au}_pred"] = pred[:, i].astype(np.float32)
            parts.append(table)
        pd.concat(parts).to_parquet(run / "predictions.parquet")
        own = {"dataset": dataset, "own_frames": True, "subjects": 5, "unlabelled_subjects": 0}
        origin = own if arm == "pretrained" else None
        about = {"arm": arm, "label_fraction": fraction, "seed": seed, "label_seed": seed, "stage_one": origin}
        write_meta(run, dataset, **about)
    write_meta(folder / f"{dataset}/dead", dataset, outcome="failed: out of memory")


def write_meta(run: Path, dataset: str, **changes: Any) -> None:
    run.mkdir(parents=True, exist_ok=True)
    meta = {
        "command": "finetune",
        "outcome": "done",
        "arm": "scratch",
        "label_fraction": 0.02,
        "labelled_frames": 120,
        "fold": 1,
        "seed": 0,
        "label_seed": 0,
        "steps": 300,
        "dataset": {"name": dataset, "fingerprint": "f1", "aus": [6, 12], "fps": 25.0},
        "train_label_mean": dict.fromkeys(AUS, 1.0),
        "versions": {"torch": "2.13.0"},
        "config": {"model": {"name": "tiny"}},
    }
    (run / "run.yaml").write_text(yaml.safe_dump(meta | changes), encoding="utf-8")


def settings(runs: Path, *overrides: str) -> ReportSettings:
    with composed("report", [f"runs={runs}", "uncertainty.swaps=50", *overrides]) as config:
        found = settings_from("report", config)
    assert isinstance(found, ReportSettings)
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report at its default place, beside its runs."""
    runs = tmp_path_factory.mktemp("sweep")
    write_runs(runs)
    report(settings(runs, "timelines=2"))
    return runs / "report"


def test_writes_all_files(written: Path) -> None:
    names = {file.name for file in written.iterdir()}
    assert names == {
        "report.html",
        "summary.json",
        "table.csv",
        "per_au.csv",
        "table.md",
        "table.tex",
        "label_efficiency.png",
        "label_efficiency.pdf",
        "per_au.png",
        "per_au.pdf",
        *(name for name in names if re.fullmatch(r"timeline_s[1-5]_v_1\.png", name)),
    }
    assert len(names) == 12
    assert [file.name for file in written.parent.iterdir() if file.name.startswith(".")] == []
    for name, size in {"label_efficiency": (690, 960), "per_au": (630, 960)}.items():
        picture = imread(written / f"{name}.png")
        assert picture.shape[:2] == size
        assert picture[..., :3].std() > 0.05
        assert (written / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_summary_has_what_others_build_on(written: Path) -> None:
    summary = json.loads((written / "summary.json").read_text(encoding="utf-8"))
    assert [(r["arm"], r["label_fraction"]) for r in summary["records"]] == [
        ("pretrained", 0.02),
        ("scratch_equal_compute", 0.02),
        ("scratch", 0.02),
        ("pretrained", 1.0),
        ("scratch", 1.0),
    ]
    keys = (
        "dataset arm label_fraction labelled_frames seeds icc icc_ci icc_seed_sd icc_per_seed mae mse pearson "
        "per_au runs undefined_aus icc_rounded icc_fold_mean icc_subject_mean"
    )
    for record in summary["records"]:
        assert set(keys.split()) <= set(record)
        assert record["icc_ci"][0] < record["icc"] < record["icc_ci"][1]
        assert list(record["per_au"]) == AUS
        assert {"icc", "icc_ci", "mae", "mse", "pearson"} <= set(record["per_au"]["AU06"])
        assert all((written.parent / name / "run.yaml").is_file() for name in record["runs"])
    assert summary["records"][0]["seeds"] == [0, 1]
    assert [row["arm"] for row in summary["baselines"]] == ["mean", "mean", "all_zero"]
    assert summary["datasets"]["small_set"]["fingerprint"] == "f1"
    assert summary["versions"] == {"torch": ["2.13.0"]}
    assert summary["uncertainty"] == {
        "over": "subjects",
        "intervals": "jackknife",
        "p_values": "paired permutation",
        "level": 0.95,
        "draws": 50,
        "seed": 0,
    }
    origin = "the training folds' own frames without labels"
    assert [record["stage_one"] for record in summary["records"]] == [[origin], [], [], [origin], []]
    assert summary["notes"] == [f"small_set, with stage one: stage one learned from {origin}"]
    assert summary["unfinished"] == {"small_set/dead": "failed: out of memory"}
    assert sorted(summary["files"]) == sorted(file.name for file in written.iterdir())


def test_tables_agree_with_the_summary(written: Path) -> None:
    summary = json.loads((written / "summary.json").read_text(encoding="utf-8"))
    whole, per_au = pd.read_csv(written / "table.csv"), pd.read_csv(written / "per_au.csv")
    markdown = (written / "table.md").read_text(encoding="utf-8")
    latex = (written / "table.tex").read_text(encoding="utf-8")
    assert len(whole) == len(summary["records"]) + len(summary["baselines"])
    assert whole["arm"].iloc[-1] == "all_zero"
    for record in summary["records"]:
        row = whole[(whole["arm"] == record["arm"]) & (whole["label_fraction"] == record["label_fraction"])]
        assert row["icc"].item() == record["icc"]
        assert [row["icc_low"].item(), row["icc_high"].item()] == record["icc_ci"]
        assert row["icc_subject_mean"].item() == record["icc_subject_mean"]
        of_au = per_au[(per_au["arm"] == record["arm"]) & (per_au["label_fraction"] == record["label_fraction"])]
        assert of_au["au"].tolist() == AUS
        assert of_au["mse"].tolist() == [record["per_au"][au]["mse"] for au in AUS]
        low, high = record["icc_ci"]
        shown = [f"{record['icc']:.3f}", f"[{low:.3f}, {high:.3f}]"]
        assert re.search(r"\|\s*".join(map(re.escape, [shown[0] + " ", shown[1]])), markdown)
        assert " & ".join(shown) in latex
        for score in ("icc", "pearson"):
            units = [f"{record['per_au'][au][score]:.3f}" for au in AUS] + [f"{record[score]:.3f}"]
            assert " | ".join(units) in markdown
            assert " & ".join(units) in latex
        assert all(abs(of_unit["icc"]) <= abs(of_unit["pearson"]) + 1e-12 for of_unit in record["per_au"].values())
    assert "small_set/dead left out: failed: out of memory" in markdown
    assert (
        "- small_set, with stage one: stage one learned from the training folds' own frames without labels\n"
        in markdown
    )
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == markdown.count("## ") - 1
    assert not re.search(r"(?<!\\)[%_](?! Needs)", latex)


def test_prints_the_table_and_the_unfinished_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_runs(tmp_path / "runs")
    report(settings(tmp_path / "runs", f"output={tmp_path / 'deep' / 'here'}", "timelines=0"))
    printed = capsys.readouterr()
    assert printed.out.startswith("| Labels | Model")
    assert str(tmp_path / "deep" / "here") in printed.out
    assert "\nnote: small_set, with stage one: stage one learned from the training folds' own" in printed.out
    assert printed.err == "warning: small_set/dead left out: failed: out of memory\n"
    assert not (tmp_path / "runs" / "report").exists()


def test_a_newer_report_replaces_an_older_one_and_nothing_else(tmp_path: Path) -> None:
    runs, output = tmp_path / "runs", tmp_path / "out"
    write_runs(runs)
    report(settings(runs, f"output={output}", "timelines=1"))
    assert len(list(output.glob("timeline_*.png"))) == 1
    (output / "timeline_mine.png").write_text("a user's own")
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    (tmp_path / "keep.md").write_text("outside")
    (output / "summary.json").write_text(json.dumps(summary | {"files": [*summary["files"], "../keep.md"]}))
    report(settings(runs, f"output={output}", "timelines=0"))
    assert [file.name for file in output.glob("timeline_*.png")] == ["timeline_mine.png"]
    assert (tmp_path / "keep.md").exists()


@pytest.mark.parametrize("name", ["table.csv", "summary.json", "timeline_s0_v_1.png"])
def test_a_users_own_file_is_refused(name: str, tmp_path: Path) -> None:
    runs, output = tmp_path / "runs", tmp_path / "out"
    write_runs(runs)
    output.mkdir()
    (output / name).write_text('{"files": ["table.csv"]}')
    videos = "videos=['s0/v 1']"
    with pytest.raises(AulightError, match=rf"{re.escape(name)}: there already, and not as aulight wrote it"):
        report(settings(runs, f"output={output}", videos))
    assert [path.name for path in output.iterdir()] == [name]
    (output / name).unlink()
    report(settings(runs, f"output={output}", videos))
    report(settings(runs, f"output={output}", videos))
    before = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    assert name in before
    if name == "summary.json":
        return  # changed by hand it is still one of ours, whatever it says
    (output / name).write_text("changed by hand")
    with pytest.raises(AulightError, match=rf"{re.escape(name)}: there already"):
        report(settings(runs, f"output={output}", "timelines=0"))
    assert (output / name).read_text() == "changed by hand"
    assert {path.name for path in output.iterdir()} == before.keys()


def test_killed_while_a_report_is_put_in_place_the_next_one_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, output, made = tmp_path / "runs", tmp_path / "out", tmp_path / "made"
    write_runs(runs)
    report(settings(runs, f"output={output}", "timelines=1"))
    summary = read(output / "summary.json")
    move = Path.replace
    for at in range(6):
        made.mkdir()
        names = ["table.csv", "table.md"]
        for name in names:
            (made / name).write_text(f"new {at}")
        left = iter(range(at))

        def replace(self: Path, to: Path, left: Iterator[int] = left) -> Path:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return move(self, to)

        monkeypatch.setattr(Path, "replace", replace)
        with contextlib.suppress(KeyboardInterrupt):
            _publish(made, output, names, summary)
        monkeypatch.undo()
        shutil.rmtree(made)
        refuse_foreign_files(output)
    assert sorted(path.name for path in output.iterdir()) == ["summary.json", "table.csv", "table.md"]
    report(settings(runs, f"output={output}", "timelines=0"))
    assert sha256(output / "table.csv") == read(output / "summary.json").sha256["table.csv"][0]


def test_two_at_once_are_one_and_a_line(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs")
    with (
        alone(tmp_path / "out", "taken"),
        pytest.raises(AulightError, match=r"^output=.*out: another process is writing it; give another folder$"),
    ):
        report(settings(tmp_path / "runs", f"output={tmp_path / 'out'}", "timelines=0"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


def test_several_datasets_side_by_side(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs")
    write_runs(tmp_path / "runs", "other")
    report(settings(tmp_path / "runs", "timelines=1"))
    output = tmp_path / "runs" / "report"
    assert imread(output / "label_efficiency.png").shape[:2] == (690, 1320)
    assert imread(output / "per_au.png").shape[:2] == (1260, 960)
    assert sorted(file.name.rsplit("_s", 1)[0] for file in output.glob("timeline_*")) == [
        "timeline_other",
        "timeline_small_set",
    ]
    assert "| Dataset   | Labels |" in (output / "table.md").read_text(encoding="utf-8")


def test_users_mistakes(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs")
    with pytest.raises(AulightError, match=r"bars_fraction=0.5: no runs at it; there are 0.02, 1.0"):
        report(settings(tmp_path / "runs", "bars_fraction=0.5"))
    (tmp_path / "file").touch()
    with pytest.raises(AulightError, match="is a file"):
        report(settings(tmp_path / "runs", f"output={tmp_path / 'file'}"))
    with pytest.raises(AulightError, match=r"videos=s1: give a list, for example videos=\[s1\]"):
        report(settings(tmp_path / "runs", "videos=s1"))
    with pytest.raises(AulightError, match="videos: no test video s9; column video_id of"):
        report(settings(tmp_path / "runs", "videos=['s2/v 1',s9]"))
    with pytest.raises(AulightError, match=r"published\.csv: no such file"):
        report(settings(tmp_path / "runs", f"reference={tmp_path / 'published.csv'}"))
    assert not (tmp_path / "runs" / "report").exists()


def test_chosen_videos_and_published_numbers(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs")
    (tmp_path / "published.csv").write_text("source,dataset,mae\nOthers,SMALL_SET,0.5\nOthers,bp4d,0.6\n")
    report(settings(tmp_path / "runs", "videos=['s2/v 1','s0/v 1']", f"reference={tmp_path / 'published.csv'}"))
    output = tmp_path / "runs" / "report"
    assert sorted(file.name for file in output.glob("timeline_*")) == ["timeline_s0_v_1.png", "timeline_s2_v_1.png"]
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    nothing: dict[str, Any] = {"label_fraction": None, "icc": None, "mse": None, "per_au": {}}
    assert summary["reference"] == [{"source": "Others", "dataset": "small_set", "mae": 0.5} | nothing]
    assert summary["notes"][-1] == "published.csv: rows about other datasets left out: bp4d"
    assert summary["bars_fraction"] == {"small_set": 0.02}
    assert "| –      | Others " in (output / "table.md").read_text(encoding="utf-8")


def test_as_a_command_leaves_nothing_behind(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "aulight", "report", "runs=../runs", "timelines=0", "uncertainty.swaps=10"]
    done = subprocess.run(command, cwd=tmp_path / "empty", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "empty").iterdir()) == []
    summary = json.loads((tmp_path / "runs" / "report" / "summary.json").read_text(encoding="utf-8"))
    own = {"run": "this report", "command": "aulight report runs=../runs timelines=0 uncertainty.swaps=10"}
    assert summary["commands"][-1] == own | {"git": None}
