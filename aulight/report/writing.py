"""The files of a report, put in place once all of them are written."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from aulight.data.own import refuse_foreign
from aulight.drawing import against_truth, style
from aulight.errors import AulightError, shorten
from aulight.files import (
    alone,
    publish,
    remove_former,
    remove_leftovers,
    scratch,
    sha256,
    told_of,
)
from aulight.files import whole as whole_file
from aulight.foreign.json import read_json
from aulight.report import figures, formats
from aulight.report.collect import Run
from aulight.report.markup import Picture
from aulight.report.page import page
from aulight.report.records import Summary
from aulight.report.tables import flat, remarks, tables_of
from aulight.report.timelines import timelines_of

SUMMARY = "summary.json"
PAGE = "report.html"

_FILES = {
    "table": ("csv", "md", "tex"),
    "per_au": ("csv", "png", "pdf"),
    "label_efficiency": ("png", "pdf"),
    "summary": ("json",),
    "report": ("html",),
}
_KIND = r"(timeline|per_au|label_efficiency|table)[\w.-]*\.(png|pdf|csv|md|tex)"


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
    refuse_foreign_files(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(output.parent)
    remove_former(output.parent, output.name, rf"{_KIND}|{re.escape(PAGE)}|{re.escape(SUMMARY)}")
    with (
        alone(output, f"output={output}: another process is writing it; give another folder"),
        scratch(output.parent, output) as whole,
    ):
        _write_tables(summary, whole)
        curve = _drawn(partial(figures.label_efficiency, summary), whole, "label_efficiency")
        bars = _drawn(partial(figures.per_au, summary), whole, "per_au")
        timelines = _write_timelines(summary, runs, count, videos, whole)
        _write_text(page(summary, curve, bars, timelines), whole / PAGE)
        names = sorted(file.name for file in whole.iterdir())
        _publish(whole, output, names, summary)
    return sorted([*names, SUMMARY])


def refuse_foreign_files(output: Path) -> None:
    """Refuses a folder in which there are files that are called as a report's and are not one's.

    Raises:
        AulightError: When there is one, or ``output`` is a file.
    """
    if output.exists() and not output.is_dir():
        raise AulightError(f"output={output}: is a file; give a folder")
    older = _older(output)
    usual = [f"{name}.{kind}" for name, kinds in _FILES.items() for kind in kinds]
    refuse_foreign([output / name for name in {*usual, *older}], older)


def _older(output: Path) -> dict[str, list[str] | None]:
    """By name the digests that the files of an older report may have; ``None`` where it did not note them."""
    try:  # only this of it is needed, whatever else an older summary holds or lacks
        said = read_json(output / SUMMARY)
        names, digests = [str(name) for name in said["files"] if said["records"]], dict(said.get("sha256") or {})
    except (AulightError, KeyError, TypeError, ValueError):
        return {}
    known = {name: list(map(str, digests[name])) if name in digests else None for name in {*names, *digests}}
    # Only plain names of our own kinds: a summary must not be able to name other files.
    return {SUMMARY: None, **{name: told for name, told in known.items() if re.fullmatch(_KIND, name) or name == PAGE}}


def _write_tables(summary: Summary, folder: Path) -> None:
    whole, per_au = flat(summary)
    for name, table in {"table.csv": whole, "per_au.csv": per_au}.items():
        with told_of(folder / name):
            table.to_csv(folder / name, index=False)
    tables = tables_of(summary)
    parts = [f"## {title}\n\n{formats.markdown(table)}" for title, table in tables.items()]
    if lines := summary.notes + remarks(summary):
        parts.append("## Remarks\n\n" + "".join(f"- {line}\n" for line in lines))
    _write_text("\n".join(parts), folder / "table.md")
    parts = [formats.latex(table, title) for title, table in tables.items()]
    text = "% Needs \\usepackage{booktabs}\n" + "\n".join(parts)
    _write_text(text, folder / "table.tex")


def _write_text(text: str, path: Path) -> None:
    with told_of(path):
        path.write_text(text, encoding="utf-8")


def _drawn(draw: Callable[[bool], Figure], folder: Path, name: str, kinds: Sequence[str] = ("png", "pdf")) -> Picture:
    """Draws a figure into files of some kinds, and as the page has it: wide and narrow."""
    figure = draw(False)
    wide = style.svg(figure)
    for kind in kinds:
        style.save(figure, folder / f"{name}.{kind}")
    return Picture(wide, style.svg(draw(True)))


def _write_timelines(
    summary: Summary, runs: Sequence[Run], count: int, videos: Sequence[str] | None, folder: Path
) -> dict[str, Picture]:
    """Draws test videos over time; returns the pictures by caption."""
    pictures: dict[str, Picture] = {}
    drawn: set[str] = set()
    several = len(summary.datasets) > 1
    for dataset, shown in summary.bars.items():
        for line in timelines_of(runs, dataset, shown, count, videos):
            name = re.sub(r"[^\w.-]+", "_", f"{dataset}_{line.video_id}" if several else line.video_id)
            picture = _drawn(partial(against_truth.against_truth, line), folder, f"timeline_{name}", ["png"])
            about = f"{dataset}, video {line.video_id}" if several else f"Video {line.video_id}"
            labels = f"{shown} of the labels"
            pictures[f"{about}: predicted and true intensity of each action unit, {labels}"] = picture
            drawn.add(line.video_id)
    if missing := [video for video in videos or [] if video not in drawn]:
        raise AulightError(
            f"videos: no test video {shorten(missing)}; column video_id of a run's predictions.parquet has the names"
        )
    return pictures


def _publish(whole: Path, output: Path, names: Sequence[str], summary: Summary) -> None:
    """Moves a report into place file by file, and drops what only an older one had.

    The summary says from before the first to after the last what may be there, so that none of them is ever taken for
    a file of the user's.
    """
    older = _older(output)
    refuse_foreign([output / name for name in {*names, *older, SUMMARY}], older)
    output.mkdir(exist_ok=True)
    new = {name: [sha256(whole / name)] for name in names}
    there = {name: [sha256(output / name)] for name in older if name != SUMMARY and (output / name).is_file()}
    files = sorted([*names, SUMMARY])
    both = {name: there.get(name, []) + new.get(name, []) for name in sorted({*there, *new})}
    for digests in (both, new):
        with whole_file(output / SUMMARY) as temporary:
            temporary.write_text(replace(summary, files=files, sha256=digests).text(), encoding="utf-8")
        if digests is both:
            publish(whole, output, names)
            for name in there.keys() - new.keys():
                (output / name).unlink(missing_ok=True)
