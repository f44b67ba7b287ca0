"""The files of a report, put in place once all of them are written."""

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aulight.drawing import against_truth, names, style
from aulight.errors import AulightError, shorten
from aulight.report import figures, formats
from aulight.report.collect import Run
from aulight.report.page import page
from aulight.report.records import Summary
from aulight.report.tables import flat, remarks, tables_of
from aulight.report.timelines import timelines_of

SUMMARY = "summary.json"
PAGE = "report.html"


def write(summary: Summary, runs: Sequence[Run], output: Path, count: int, videos: Sequence[str] | None) -> list[str]:
    """Writes tables, figures, the page and ``summary.json``; an older report there is replaced, and nothing else.

    Args:
        summary: What they say.
        runs: The runs that it is of.
        output: The folder, which need not be there.
        count: How many of the most expressive test videos of each dataset are drawn over time.
        videos: Ids of the videos to draw instead.

    Returns:
        Names of the files, sorted.

    Raises:
        AulightError: When ``output`` is a file, or a video is no test video; there is no new file then.
    """
    if output.exists() and not output.is_dir():
        raise AulightError(f"output={output}: is a file; give a folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
        whole = Path(temporary)
        _write_tables(summary, whole)
        _write_figures(summary, whole)
        timelines = _write_timelines(summary, runs, count, videos, whole)
        pictures = {caption: (whole / name).read_bytes() for caption, name in timelines.items()}
        curve, bars = ((whole / f"{name}.png").read_bytes() for name in ("label_efficiency", "per_au"))
        (whole / PAGE).write_text(page(summary, curve, bars, pictures), encoding="utf-8")
        files = sorted([file.name for file in whole.iterdir()] + [SUMMARY])
        (whole / SUMMARY).write_text(replace(summary, files=files).text(), encoding="utf-8")
        _publish(whole, output, files)
    return files


def _write_tables(summary: Summary, folder: Path) -> None:
    whole, per_au = flat(summary)
    whole.to_csv(folder / "table.csv", index=False)
    per_au.to_csv(folder / "per_au.csv", index=False)
    tables = tables_of(summary)
    parts = [f"## {title}\n\n{formats.markdown(table)}" for title, table in tables.items()]
    if lines := summary.notes + remarks(summary):
        parts.append("## Remarks\n\n" + "".join(f"- {line}\n" for line in lines))
    (folder / "table.md").write_text("\n".join(parts), encoding="utf-8")
    parts = [formats.latex(table, title) for title, table in tables.items()]
    text = "% Needs \\usepackage{booktabs}\n" + "\n".join(parts)
    (folder / "table.tex").write_text(text, encoding="utf-8")


def _write_figures(summary: Summary, folder: Path) -> None:
    for name, figure in {
        "label_efficiency": figures.label_efficiency(summary),
        "per_au": figures.per_au(summary, summary.bars_fraction),
    }.items():
        style.save(figure, folder / f"{name}.png")
        style.save(figure, folder / f"{name}.pdf")


def _write_timelines(
    summary: Summary, runs: Sequence[Run], count: int, videos: Sequence[str] | None, folder: Path
) -> dict[str, str]:
    """Draws test videos over time; returns the names of the files by caption."""
    files: dict[str, str] = {}
    drawn: set[str] = set()
    several = len(summary.datasets) > 1
    for dataset, fraction in summary.bars_fraction.items():
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


def _publish(whole: Path, output: Path, files: Sequence[str]) -> None:
    """Moves a report into place file by file, its summary last, and drops what only an older one had."""
    output.mkdir(exist_ok=True)
    try:  # only this of it is needed, whatever else an older summary holds or lacks
        older = json.loads((output / SUMMARY).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        older = []
    for name in [*(name for name in files if name != SUMMARY), SUMMARY]:
        (whole / name).replace(output / name)
    for name in set(older) - set(files):
        # Only plain names of our own kinds: a summary must not be able to name other files.
        if re.fullmatch(r"(timeline|per_au|label_efficiency|table)[\w.-]*\.(png|pdf|csv|md|tex)", str(name)):
            (output / name).unlink(missing_ok=True)
