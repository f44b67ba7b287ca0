"""``aulight report runs=<folder>``: pooled tables, figures and a page of all stage-two runs below a folder."""

import json
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig

from aulight.drawing import against_truth, names, style
from aulight.errors import AulightError, shorten
from aulight.report import collect, figures, formats
from aulight.report.page import page
from aulight.report.published import read_published
from aulight.report.summary import choose_fraction, summarise
from aulight.report.tables import flat, remarks, tables_of
from aulight.report.timelines import timelines_of

SUMMARY = "summary.json"
PAGE = "report.html"


def report(cfg: DictConfig) -> None:
    """Write the report and print its headline table.

    Args:
        cfg: ``conf/report.yaml``.

    Raises:
        AulightError: When there is nothing to report, runs cannot be pooled, or the reference is not as expected.
    """
    folder = Path(str(cfg.runs)).expanduser()
    output = Path(str(cfg.output)).expanduser() if cfg.output else folder / "report"
    bars_fraction = None if cfg.bars_fraction is None else float(cfg.bars_fraction)
    if cfg.videos is not None and not isinstance(cfg.videos, ListConfig):
        raise AulightError(f"videos={cfg.videos}: give a list, for example videos=[{cfg.videos}]")
    videos = None if cfg.videos is None else [str(video) for video in cfg.videos]
    runs, unfinished = collect.collect(folder)
    summary = summarise(runs, **cfg.bootstrap)
    summary["unfinished"] = unfinished
    summary["commands"] = collect.commands(folder)
    if HydraConfig.initialized():
        typed = shlex.join(["aulight", "report", *HydraConfig.get().overrides.task])
        summary["commands"].append({"run": "this report", "command": typed, "git": None})
    if cfg.reference is not None:
        path = Path(str(cfg.reference)).expanduser()
        summary["reference"], notes = read_published(path, summary["datasets"])
        summary["notes"] += notes
    summary["bars_fraction"] = _bars_fractions(summary, bars_fraction)

    if output.exists() and not output.is_dir():
        raise AulightError(f"output={output}: is a file; give a folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
        whole = Path(temporary)
        _write_tables(summary, whole)
        timelines = _write_figures(summary, runs, int(cfg.timelines), videos, whole)
        pictures = {caption: (whole / name).read_bytes() for caption, name in timelines.items()}
        curve, bars = ((whole / f"{name}.png").read_bytes() for name in ("label_efficiency", "per_au"))
        (whole / PAGE).write_text(page(summary, curve, bars, pictures), encoding="utf-8")
        summary["files"] = sorted([file.name for file in whole.iterdir()] + [SUMMARY])
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
        (whole / SUMMARY).write_text(text + "\n", encoding="utf-8")
        _publish(whole, output, summary["files"])

    print(formats.markdown(next(iter(tables_of(summary).values()))))
    for line in summary["notes"]:
        print(f"note: {line}")
    for line in remarks(summary):
        print(f"warning: {line}", file=sys.stderr)
    print(f"{len(runs)} runs. Tables and figures: {output}/ ({', '.join(summary['files'])})")
    print(f"All of it on one page: {output / PAGE}")


def _bars_fractions(summary: dict[str, Any], wanted: float | None) -> dict[str, float]:
    """The label fraction of the per-AU pictures, by dataset."""
    fractions = {}
    for dataset in summary["datasets"]:
        records = [record for record in summary["records"] if record["dataset"] == dataset]
        there = sorted({float(record["label_fraction"]) for record in records})
        if wanted is None:
            fractions[dataset] = choose_fraction(records)
        elif wanted in there:
            fractions[dataset] = wanted
    if not fractions:
        there = sorted({float(record["label_fraction"]) for record in summary["records"]})
        raise AulightError(f"bars_fraction={wanted}: no runs at it; there are {', '.join(map(str, there))}")
    return fractions


def _write_tables(summary: dict[str, Any], folder: Path) -> None:
    whole, per_au = flat(summary)
    whole.to_csv(folder / "table.csv", index=False)
    per_au.to_csv(folder / "per_au.csv", index=False)
    tables = tables_of(summary)
    parts = [f"## {title}\n\n{formats.markdown(table)}" for title, table in tables.items()]
    if lines := summary["notes"] + remarks(summary):
        parts.append("## Remarks\n\n" + "".join(f"- {line}\n" for line in lines))
    (folder / "table.md").write_text("\n".join(parts), encoding="utf-8")
    parts = [formats.latex(table, title) for title, table in tables.items()]
    text = "% Needs \\usepackage{booktabs}\n" + "\n".join(parts)
    (folder / "table.tex").write_text(text, encoding="utf-8")


def _write_figures(
    summary: dict[str, Any], runs: list[collect.Run], count: int, videos: list[str] | None, folder: Path
) -> dict[str, str]:
    """Draws everything; returns the names of the timelines' files by caption."""
    fractions = summary["bars_fraction"]
    for name, figure in {
        "label_efficiency": figures.label_efficiency(summary),
        "per_au": figures.per_au(summary, fractions),
    }.items():
        style.save(figure, folder / f"{name}.png")
        style.save(figure, folder / f"{name}.pdf")
    files: dict[str, str] = {}
    drawn: set[str] = set()
    for dataset, fraction in fractions.items():
        several = len(summary["datasets"]) > 1
        for line in timelines_of(runs, dataset, fraction, count, videos):
            name = re.sub(r"[^\w.-]+", "_", f"{dataset}_{line.video_id}" if several else line.video_id)
            style.save(against_truth.against_truth(line), folder / f"timeline_{name}.png")
            about = f"{dataset}, video {line.video_id}" if several else f"Video {line.video_id}"
            labels = f"{names.percent(fraction)} of the labels"
            files[f"{about}: predicted and true intensity of each action unit, {labels}"] = f"timeline_{name}.png"
            drawn.add(line.video_id)
    if missing := [video for video in videos or [] if video not in drawn]:
        raise AulightError(
            f"videos: no test video {shorten(missing)}; column video_id of a run's predictions.parquet has the names"
        )
    return files


def _publish(whole: Path, output: Path, files: list[str]) -> None:
    """Move a report into place file by file, its summary last, and drop what only an older one had."""
    output.mkdir(exist_ok=True)
    try:
        older = json.loads((output / SUMMARY).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        older = []
    for name in [*(name for name in files if name != SUMMARY), SUMMARY]:
        (whole / name).replace(output / name)
    for name in set(older) - set(files):
        # Only plain names of our own kinds: a summary must not be able to name other files.
        if re.fullmatch(r"(timeline|per_au|label_efficiency|table)[\w.-]*\.(png|pdf|csv|md|tex)", str(name)):
            (output / name).unlink(missing_ok=True)
