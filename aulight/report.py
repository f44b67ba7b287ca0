"""``aulight report runs=<folder>``: pooled tables and figures of all stage-two runs below a folder."""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from aulight import figures, results
from aulight.errors import AulightError

SUMMARY = "summary.json"


def report(cfg: DictConfig) -> None:
    """Write the report and print its headline table.

    Args:
        cfg: ``conf/report.yaml``.

    Raises:
        AulightError: When there is nothing to report, or runs cannot be pooled.
    """
    folder = Path(str(cfg.runs)).expanduser()
    output = Path(str(cfg.output)).expanduser() if cfg.output else folder / "report"
    bars_fraction = None if cfg.bars_fraction is None else float(cfg.bars_fraction)
    runs, unfinished = results.collect(folder)
    summary = results.summarise(runs, **cfg.bootstrap)
    summary["unfinished"] = unfinished
    fractions = _bars_fractions(summary, bars_fraction)

    if output.exists() and not output.is_dir():
        raise AulightError(f"output={output}: is a file; give a folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
        whole = Path(temporary)
        _write_tables(summary, whole)
        _write_figures(summary, runs, fractions, int(cfg.timelines), whole)
        summary["files"] = sorted([file.name for file in whole.iterdir()] + [SUMMARY])
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
        (whole / SUMMARY).write_text(text + "\n", encoding="utf-8")
        _publish(whole, output, summary["files"])

    print(results.markdown(next(iter(results.tables(summary).values()))))
    for line in summary["notes"]:
        print(f"note: {line}")
    for line in _remarks(summary):
        print(f"warning: {line}", file=sys.stderr)
    print(f"{len(runs)} runs. Tables and figures: {output}/ ({', '.join(summary['files'])})")


def _remarks(summary: dict[str, Any]) -> list[str]:
    """What a reader must know: unfinished runs, undefined values, uneven pools; a line each."""
    lines = [f"{name} left out: {outcome}" for name, outcome in summary["unfinished"].items()]
    lines += summary["warnings"]
    for record in summary["records"]:
        if aus := record["undefined_aus"]:
            where = f"{record['dataset']}, {record['arm']}, {results.percent(record['label_fraction'])} labels"
            lines.append(
                f"{where}: ICC undefined for {', '.join(aus)} (labels and predictions constant); "
                f"the mean is over the other action units"
            )
    return lines


def _bars_fractions(summary: dict[str, Any], wanted: float | None) -> dict[str, float]:
    """The label fraction of the per-AU pictures, by dataset."""
    fractions = {}
    for dataset in summary["datasets"]:
        records = [record for record in summary["records"] if record["dataset"] == dataset]
        there = sorted({float(record["label_fraction"]) for record in records})
        if wanted is None:
            fractions[dataset] = results.choose_fraction(records)
        elif wanted in there:
            fractions[dataset] = wanted
    if not fractions:
        there = sorted({float(record["label_fraction"]) for record in summary["records"]})
        raise AulightError(f"bars_fraction={wanted}: no runs at it; there are {', '.join(map(str, there))}")
    return fractions


def _write_tables(summary: dict[str, Any], folder: Path) -> None:
    whole, per_au = results.flat(summary)
    whole.to_csv(folder / "table.csv", index=False)
    per_au.to_csv(folder / "per_au.csv", index=False)
    tables = results.tables(summary)
    parts = [f"## {title}\n\n{results.markdown(table)}" for title, table in tables.items()]
    if remarks := summary["notes"] + _remarks(summary):
        parts.append("## Remarks\n\n" + "".join(f"- {line}\n" for line in remarks))
    (folder / "table.md").write_text("\n".join(parts), encoding="utf-8")
    parts = [results.latex(table, title) for title, table in tables.items()]
    text = "% Needs \\usepackage{booktabs}\n" + "\n".join(parts)
    (folder / "table.tex").write_text(text, encoding="utf-8")


def _write_figures(
    summary: dict[str, Any], runs: list[results.Run], fractions: dict[str, float], videos: int, folder: Path
) -> None:
    for name, figure in {
        "label_efficiency": figures.label_efficiency(summary),
        "per_au": figures.per_au(summary, fractions),
    }.items():
        figures.save(figure, folder / f"{name}.png")
        figures.save(figure, folder / f"{name}.pdf")
    for dataset, fraction in fractions.items():
        prefix = f"{dataset}_" if len(summary["datasets"]) > 1 else ""
        for line in results.timelines(runs, dataset, fraction, videos):
            name = re.sub(r"[^\w.-]+", "_", f"{prefix}{line.video_id}")
            figures.save(figures.timeline(line), folder / f"timeline_{name}.png")


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
