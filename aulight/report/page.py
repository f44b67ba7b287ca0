"""The report as one HTML file: what ``summary.json`` holds and the pictures, and nothing that has to be loaded.

Styles, script and pictures lie inside the file, and its policy forbids everything else. Whatever comes from
a run (names, commands, messages) is escaped.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

import pandas as pd

from aulight.drawing.names import model_name
from aulight.facs import AU_NAMES, au_of, short_name
from aulight.report.cautions import cautions, undefined
from aulight.report.formats import decimals, interval, level, p_value, signed
from aulight.report.markup import Picture, bullets, count, details, figure, scroll, table
from aulight.report.presence import PRESENT
from aulight.report.questions import answers
from aulight.report.records import Comparison, Record, Scores, Summary
from aulight.report.tables import INTERVALS, VALIDATED, number_or_dash, remarks, side_by_side, tables_of
from aulight.report.verdict import SOURCE, verdict
from aulight.scoring.intervals import INTERVAL_SUBJECTS, P_SUBJECTS, Interval

_PAGE, _STYLE, _SCRIPT = (
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")
)

_HOW_COMPARED = (
    "Both models of a row are scored on the test subjects that every seed of both tested, and all its numbers are of "
    "these. The interval is that of the paired difference, by the jackknife over subjects; there is none below "
    f"{INTERVAL_SUBJECTS} subjects. p is two-sided, by the paired permutation test: the two models are swapped subject "
    "by subject, in every way or in {draws} random ones, and p is the share of ways that set them at least as far "
    f"apart, each less the bias of its ICC; there is none below {P_SUBJECTS} subjects. It is not corrected for the "
    "number of comparisons, and it speaks of other test subjects, not of other training seeds."
)


def page(summary: Summary, curve: Picture, bars: Picture, timelines: Mapping[str, Picture]) -> str:
    """Writes the page.

    Args:
        summary: What is to be said.
        curve: The label efficiency.
        bars: The bars of each action unit.
        timelines: Predicted against true intensity, by their captions.

    Returns:
        An HTML document without references to anything outside it.
    """
    datasets = summary.datasets
    tables = tables_of(summary)
    intervals = f"{level(summary.uncertainty.level)} over test subjects"
    runs = sum(len(record.runs) for record in summary.records)
    over_time = [figure(picture, caption) for caption, picture in timelines.items()]
    sections = {
        "In short": [_in_short(summary, dataset) for dataset in datasets],
        "Models": [_cards(summary, dataset) for dataset in datasets],
        "Label efficiency": [
            figure(curve, f"ICC(3,1) against the labelled share of the training frames, with the {intervals}."),
            "<p>ICC(3,1), MAE, MSE and Pearson's correlation: per action unit over the test frames of all folds "
            "together, then the mean over action units, then over seeds. Predictions lie in 0 to 5 and are not "
            "rounded. Pearson is the ceiling of the ICC: so high it would be if predictions varied as much as labels "
            "do. MSE, and often MAE, is the smaller the less uncertain predictions vary.</p>",
            table(tables["Mean over action units"], "Mean over action units"),
            "<p>Validation frames: labelled frames of validation subjects, by which the checkpoint was chosen; none "
            "with the last checkpoint. Seed sd: over runs that differ in seed, in so many draws of labels and, where "
            "there is a stage one, in so many runs of it.</p>",
        ],
        "On validation subjects": _validated(tables),
        "Models side by side": _side_by_side(summary),
        "By action unit": [
            *(_by_unit(summary, dataset) for dataset in datasets),
            figure(bars, f"ICC(3,1) of each action unit, with the {intervals}."),
            *(details(title, table(content, title)) for title, content in tables.items() if " by action unit" in title),
        ],
        "Prediction intervals": _intervals(tables),
        "Published numbers": _published(tables),
        "Over time": over_time,
        "Other conventions": [_conventions(tables)],
        "How it was made": _provenance(summary),
    }
    ids = {title: title.lower().replace(" ", "-") for title, parts in sections.items() if parts}
    about = f"{count(runs, 'run')}, {count(len(datasets), 'dataset')}: {', '.join(map(escape, datasets))}."
    return Template(_PAGE).substitute(
        title="Facial action unit intensities",
        about=about,
        style=_STYLE,
        script=_SCRIPT,
        links="".join(f'<a href="#{of_title}">{title}</a>' for title, of_title in ids.items()),
        sections="\n".join(
            f'<section aria-labelledby="{of_title}">\n<h2 id="{of_title}">{title}</h2>\n'
            + "\n".join(sections[title])
            + "\n</section>"
            + (_warnings(summary) if title == "In short" else "")
            for title, of_title in ids.items()
        ),
    )


def _in_short(summary: Summary, dataset: str) -> str:
    """What is asked first, a line or some for each question, and each action unit in plain words."""
    if not _shown(summary, dataset):
        return ""
    record = _shown(summary, dataset)[0]
    said = "".join(
        f"<dt>{escape(question)}</dt>" + "".join(f"<dd>{escape(line)}</dd>" for line in lines)
        for question, lines in answers(summary, dataset).items()
    )
    lines = []
    for au, of in record.per_au.items():
        there = record.presence.get(au)
        lines.append(
            {
                "Action unit": short_name(au_of(au)),
                "Name": AU_NAMES.get(au_of(au), ""),
                "Verdict": verdict(of),
                "ICC(3,1)": "undefined" if of.icc is None else decimals(of.icc),
                level(summary.uncertainty.level): interval(of.icc_ci, of.no_icc_ci),
                "Pearson": decimals(of.pearson),
                "MAE": decimals(of.mae),
                "Test frames with it": "–" if there is None or there.share is None else f"{100 * there.share:.1f}%",
                "Test people with it": "–" if there is None else f"{there.subjects} of {of.subjects}",
                "Frames learned from with it": "–" if there is None else number_or_dash(there.learned_from),
            }
        )
    label = "Each action unit in short" + (f", {dataset}" if len(summary.datasets) > 1 else "")
    note = (
        f"<p>The verdict is on the interval of the ICC, where there is one: {SOURCE}. An action unit is in a frame "
        f"from intensity {PRESENT} on. It is the page's first model, not the one that tested best: to choose by the "
        "test would flatter it.</p>"
    )
    head = _title(summary, record) if len(summary.datasets) > 1 else ""
    return f"{head}<dl>{said}</dl>\n{table(pd.DataFrame(lines), label, left=3)}\n{note}"


def _conventions(tables: Mapping[str, pd.DataFrame]) -> str:
    """The ICC in the other ways that are in use, folded."""
    title = "ICC(3,1) by other published conventions"
    note = (
        "<p>Published code differs in how it scores. The same predictions, scored in the ways that are in use: "
        "rounded to whole intensities, the mean of the folds' ICCs, the mean of the subjects' ICCs.</p>"
    )
    return details(title, f"{note}\n{table(tables[title], title)}")


def _warnings(summary: Summary) -> str:
    lines = remarks(summary)
    if not lines:
        return ""
    title = f"Before comparing: {count(len(lines), 'remark')}"
    return f'<aside class="warnings">{details(title, bullets(lines))}</aside>\n'


def _shown(summary: Summary, dataset: str) -> list[Record]:
    """The records of a dataset at the label fraction that is shown in detail."""
    return summary.shown(dataset)


def _title(summary: Summary, record: Record) -> str:
    """Which dataset and label fraction a record is of, as a heading."""
    of_dataset = f"{escape(record.dataset)}, " if len(summary.datasets) > 1 else ""
    return f"<h3>{of_dataset}{record.labels} of the labels</h3>"


def _cards(summary: Summary, dataset: str) -> str:
    """The numbers to see first: the ICC of each arm, and what the first arm gains over the others."""
    records = _shown(summary, dataset)
    if not records:
        return ""
    intervals = level(summary.uncertainty.level)
    cards: list[tuple[str, str, str, list[str]]] = [
        (
            model_name(record.arm),
            "undefined" if record.icc is None else decimals(record.icc),
            f"{_told(intervals, interval(record.icc_ci, record.no_icc_ci), record.icc_ci)}, "
            f"Pearson {decimals(record.pearson)}, MAE {decimals(record.mae)}; "
            f"{count(record.test_subjects, 'test subject')}, {count(record.labelled_frames, 'labelled frame')}",
            cautions(summary, record),
        )
        for record in records
    ]
    first = records[0]
    for found in summary.comparisons:
        of_first = (found.dataset, found.arm, found.labels) == (first.dataset, first.arm, first.labels)
        if of_first and found.same_fraction:
            what = f"{model_name(first.arm)} over {model_name(found.against.arm)}"
            cards.append((what, signed(found.difference), _how_sure(found, intervals), []))
    shown = "".join(
        f'<div class="card"><p>{escape(what)}</p><p class="number">{number}</p><p class="quiet">{escape(more)}</p>'
        + "".join(f'<p class="caution">{escape(line)}</p>' for line in mind)
        + "</div>"
        for what, number, more, mind in cards
    )
    quiet = f"ICC(3,1), mean over action units. {_learned_from(summary, records)}"
    return f'{_title(summary, first)}\n<p class="quiet">{quiet}</p>\n<div class="cards">{shown}</div>'


def _learned_from(summary: Summary, records: Sequence[Record]) -> str:
    """How many labelled frames the numbers need: to learn from, and to choose a checkpoint by."""
    first, keys = records[0], {(record.dataset, record.arm, record.labels) for record in records}
    said = f"{first.labelled_frames:,} labelled frames were learned from"
    if first.validation_frames is None:
        return f"{said}; how many of validation subjects chose the checkpoint is not known."
    said += f", and {first.validation_frames:,} of validation subjects chose the checkpoint."
    last = [row for row in summary.last if (row.dataset, row.arm, row.labels) in keys]
    if last:
        each = ", ".join(f"{escape(model_name(row.arm))} {decimals(row.icc)}" for row in last)
        said += f" With the last checkpoint, which nobody chose, the ICC is: {each}."
    return said


def _validated(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What settings are chosen by, where runs kept it."""
    if VALIDATED not in tables:
        return []
    return [
        "<p>To choose between models, read these: whoever chooses by the test flatters what is chosen. Pooled as on "
        "test subjects; each model by the checkpoint that did best on the same subjects, so all are somewhat too high. "
        "<em>Over the first</em>: the ICC less that of the first model with the same labels, a mean over the seeds "
        "that both have, and in how many of these it lies above.</p>",
        table(tables[VALIDATED], VALIDATED),
    ]


def _side_by_side(summary: Summary) -> list[str]:
    """Differences at one label fraction, and to the arms with the most labels; nothing for a single arm."""
    if not summary.comparisons:
        return []
    parts = [f"<p>{_HOW_COMPARED.format(draws=summary.uncertainty.draws)}</p>"]
    for same, title in ((True, "With the same share of labels"), (False, "Against the largest share of labels")):
        if comparisons := [found for found in summary.comparisons if found.same_fraction == same]:
            shown = table(side_by_side(summary, comparisons), title, drawings=_forest(comparisons))
            parts.append(f"<h3>{title}</h3>\n{shown}" if same else details(title, shown))
    return parts


def _forest(comparisons: Sequence[Comparison]) -> list[str]:
    """Each difference as a point with its interval, all on one scale, with a dashed line at 0."""
    points = [found.difference for found in comparisons]
    ends = [found.difference_ci or (found.difference or 0.0, found.difference or 0.0) for found in comparisons]
    there = [0.0, *(end for pair in ends for end in pair), *(point for point in points if point is not None)]
    low, high = min(there), max(there)

    def place(value: float) -> str:
        return f"{4 + 152 * (value - low) / ((high - low) or 1):.1f}"

    zero = f'<line class="zero" x1="{place(0)}" x2="{place(0)}" y1="0" y2="18"/>'
    return [
        f'<svg class="forest" viewBox="0 0 160 18" aria-hidden="true">{zero}'
        + f'<line class="ends" x1="{place(pair[0])}" x2="{place(pair[1])}" y1="9" y2="9"/>'
        + ("" if point is None else f'<circle cx="{place(point)}" cy="9" r="4"/>')
        + "</svg>"
        for point, pair in zip(points, ends, strict=True)
    ]


def _by_unit(summary: Summary, dataset: str) -> str:
    """A row for each action unit, with the ICC, Pearson's correlation and the MAE of each arm."""
    records = _shown(summary, dataset)
    if not records:
        return ""
    lines = []
    for au in summary.datasets[dataset].aus:
        of_arms = {model_name(record.arm): record.per_au[au] for record in records}
        line = {"Action unit": au, "Name": AU_NAMES.get(au_of(au), "")}
        for arm, of in of_arms.items():
            line[f"ICC, {arm}"] = undefined(of) if of.icc is None else _with_ends(of)
        line |= {f"Pearson, {arm}": decimals(of.pearson) for arm, of in of_arms.items()}
        line |= {f"MAE, {arm}": decimals(of.mae) for arm, of in of_arms.items()}
        lines.append(line)
    label = "Action units" + (f", {dataset}" if len(summary.datasets) > 1 else "")
    tested = ", ".join(f"{model_name(record.arm)} {record.test_subjects}" for record in records)
    note = (
        f"<p>ICC(3,1) and its {level(summary.uncertainty.level)} over test subjects ({escape(tested)}). "
        "A click on a column's title sorts by it.</p>"
    )
    return f"{_title(summary, records[0])}\n{note}\n{table(pd.DataFrame(lines), label, left=2)}"


def _how_sure(found: Comparison, intervals: str) -> str:
    """How sure a difference is, and of how many subjects it is."""
    p = p_value(found.difference_p, found.no_difference_p)
    said = [
        _told(intervals, interval(found.difference_ci, found.no_difference_ci), found.difference_ci),
        f"no p: {p}" if found.difference_p is None else f"p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{p}",
    ]
    if found.shared_subjects is not None:
        said.append(count(found.shared_subjects, "shared test subject"))
    return ", ".join(said)


def _told(intervals: str, ends: str, there: Interval | None) -> str:
    """An interval in a line of text, or that there is none and why."""
    return f"no {intervals}: {ends}" if there is None else f"{intervals} {ends}"


def _with_ends(of: Scores) -> str:
    """An ICC with its interval, or with why there is none."""
    none = f" ({of.no_icc_ci})" if of.no_icc_ci else ""
    return decimals(of.icc) + (f" {interval(of.icc_ci)}" if of.icc_ci else none)


def _intervals(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """How many true intensities lie inside the intervals, where there are any."""
    if INTERVALS not in tables:
        return []
    return [
        "<p>Around each prediction an interval was drawn by split-conformal calibration on the validation subjects. "
        "The share of the test subjects' intensities that lie inside, over all action units and for each; the width is "
        "in units of intensity. It should be near the nominal share, and cannot be exact: subjects differ.</p>",
        table(tables[INTERVALS], INTERVALS),
    ]


def _published(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    title = "Beside published numbers"
    if title not in tables:
        return []
    note = "As given in the reference; folds, labels and ways of scoring may differ from ours."
    return [f"<p>{note}</p>", table(tables[title], title)]


def _provenance(summary: Summary) -> list[str]:
    """Datasets, versions, how intervals and p-values were made, and the commands."""
    datasets = pd.DataFrame(
        {
            "Dataset": name,
            "Fingerprint": of.fingerprint,
            "Test subjects": str(of.test_subjects),
            "Frames/s": f"{of.fps:g}",
            "Action units": str(len(of.aus)),
        }
        for name, of in summary.datasets.items()
    )
    revisions = sorted({line.git for line in summary.commands if line.git})
    packages = summary.versions | ({"aulight, git revision": revisions} if revisions else {})
    versions = pd.DataFrame({"Package": name, "Version": ", ".join(of)} for name, of in packages.items())
    how = summary.uncertainty
    commands = "\n".join(
        f"# {line.run}\n{line.command or '# not recorded, see its run.yaml'}" for line in summary.commands
    )
    pre = scroll(f"<pre>{escape(commands)}</pre>", "Commands")
    return [
        bullets(summary.notes) if summary.notes else "",
        f"<p>Intervals: {how.intervals} over test {how.over}. p-values: {how.p_values} over test {how.over}, "
        f"all ways of swapping or {how.draws} random ones, seed {how.seed}.</p>",
        "<h3>Datasets</h3>",
        table(datasets, "Datasets", left=2),
        "<h3>Versions</h3>",
        table(versions, "Versions", left=2),
        "<h3>Commands</h3>",
        "<p>One for each run, however many a sweep started at once.</p>",
        details(f"Show {count(len(summary.commands), 'command')}", pre),
    ]
