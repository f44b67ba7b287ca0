"""``aulight report runs=<folder>``: pooled tables, figures and a page of all stage-two runs below a folder."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aulight.errors import say
from aulight.report import formats
from aulight.report.collect import collect, commands
from aulight.report.published import read_published
from aulight.report.records import Command
from aulight.report.summary import shown_labels, summarise
from aulight.report.tables import VALIDATED, remarks, tables_of
from aulight.report.writing import PAGE, refuse_foreign_files, write
from aulight.settings.report import ReportSettings


def report(settings: ReportSettings, typed: Sequence[str] = ()) -> None:
    """Writes the report and prints its headline table.

    Args:
        settings: What to report, and where to.
        typed: The settings as they were typed, for the report to say how it was made.

    Raises:
        AulightError: When there is nothing to report, runs cannot be pooled, or the reference is not as expected.
    """
    folder = Path(settings.runs).expanduser()
    output = Path(settings.output).expanduser() if settings.output else folder / "report"
    refuse_foreign_files(output)  # before the work
    runs, unfinished = collect(folder)
    started = commands(folder)
    if typed:
        started.append(Command(run="this report", command=shlex.join(["aulight", "report", *typed]), git=None))
    summary = replace(summarise(runs, settings.uncertainty), unfinished=unfinished, commands=started)
    if settings.reference is not None:
        published, notes = read_published(Path(settings.reference).expanduser(), summary.datasets)
        summary = replace(summary, reference=published, notes=summary.notes + notes)
    shown = shown_labels(summary, settings.bars_fraction)
    summary = replace(
        summary,
        bars_fraction={dataset: labels.fraction for dataset, labels in shown.items() if labels.fraction is not None},
        bars_count={dataset: labels.number for dataset, labels in shown.items() if labels.number is not None},
    )
    files = write(summary, runs, output, settings.timelines, settings.videos)

    tables = tables_of(summary)
    print(formats.markdown(next(iter(tables.values()))))
    if VALIDATED in tables:
        print(f"{VALIDATED}:\n\n{formats.markdown(tables[VALIDATED])}")
    for line in summary.notes:
        say(f"note: {line}")
    for line in remarks(summary):
        say(f"warning: {line}", error=True)
    say(f"{len(runs)} runs. Tables and figures: {output}/ ({', '.join(files)})")
    say(f"All of it on one page: {output / PAGE}")
