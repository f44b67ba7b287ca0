"""The report as one HTML file: what ``summary.json`` holds and the pictures, and nothing that has to be loaded.

Styles, script and pictures lie inside the file, and its policy forbids everything else. Whatever comes from
a run (names, commands, messages) is escaped.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

import pandas as pd

from aulight.drawing.names import LABELS, percent
from aulight.facs import AU_NAMES, au_of
from aulight.report import formats
from aulight.report.formats import decimals, interval, p_value
from aulight.report.tables import INTERVALS, remarks, side_by_side, tables_of

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>$title</title>
<link rel="icon" href="data:,">
<style>$style</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="quiet">$about</p>
<nav aria-label="Sections">$links</nav>
</header>
<main>
$sections
</main>
<script>$script</script>
</body>
</html>
""")

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --raised: #f6f7f9; --ink: #1b1f24; --quiet: #57606a;
 --line: #d0d7de; --accent: #0072b2; --warn: #d55e00; }
@media (prefers-color-scheme: dark) {
 :root { --paper: #14171c; --raised: #1d2229; --ink: #e6e9ed; --quiet: #9aa4b0; --line: #39414b;
  --accent: #56b4e9; --warn: #e69f00; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1.5rem 1rem 3rem; background: var(--paper); color: var(--ink);
 font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
p { margin: .5rem 0; max-width: 46rem; }
a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin-top: .75rem; }
.quiet { color: var(--quiet); }
.quiet, figcaption { font-size: .875rem; }
.warnings { margin-top: 1.25rem; padding: .5rem 1rem; border-left: 4px solid var(--warn); background: var(--raised); }
.warnings summary { font-weight: 600; }
ul { margin: .5rem 0; padding-left: 1.25rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem; margin: .75rem 0; }
.card { padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--raised); }
.card p { margin: 0; }
.card .number { font-size: 1.75rem; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: .5rem 0 1rem; border: 1px solid var(--line); border-radius: .5rem; }
.scroll:focus-visible, button:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
th { font-weight: 600; background: var(--raised); white-space: normal;
 overflow-wrap: normal; vertical-align: bottom; }
.text { text-align: left; }
th button { all: unset; cursor: pointer; }
th button::after { content: "\\a0\\2195"; color: var(--quiet); }
th[aria-sort=ascending] button::after { content: "\\a0\\2191"; color: var(--accent); }
th[aria-sort=descending] button::after { content: "\\a0\\2193"; color: var(--accent); }
figure { margin: 1rem 0; }
figure .scroll { width: fit-content; max-width: 100%; margin: 0 0 .35rem; background: #fff; }
figure img { display: block; width: 100%; height: auto; margin: 0 auto; }
summary { cursor: pointer; margin: .5rem 0; }
pre { margin: 0; padding: .75rem; font: .8125rem/1.5 ui-monospace, monospace; white-space: pre; overflow-wrap: normal; }
code { font: .875em ui-monospace, monospace; }
.forest { display: block; width: 9rem; height: 1.1rem; }
.forest .zero { stroke: var(--quiet); stroke-dasharray: 2 2; }
.forest .ends { stroke: var(--accent); stroke-width: 2; }
.forest circle { fill: var(--accent); }
@media print {
 :root { --paper: #fff; --raised: #f6f7f9; --ink: #000; --quiet: #444; --line: #bbb; --accent: #0072b2; }
 html { font-size: 10pt; }
 body { max-width: none; padding: 0; }
 figure img { min-width: 0 !important; }
 nav, th button::after { display: none; }
 .scroll { overflow: visible; border: 0; }
 table { font-size: 7pt; }
 th, td { padding: .15rem .3rem; }
 pre { white-space: pre-wrap; overflow-wrap: anywhere; }
 tr, figure, .card { break-inside: avoid; }
 h2, h3 { break-after: avoid; }
}
"""

_SCRIPT = """
"use strict";
// Numbers by their value ("2%", "[0.1, 0.2]" and "<0.001" by the first number in them), other words by the alphabet.
const missing = text => text === "" || text === "–";
const number = text => parseFloat(text.replace(/^[^-\\d]+/, ""));
const names = new Intl.Collator("en", {numeric: true});
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, table = head.closest("table"), rows = [...table.tBodies[0].rows];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const text = row => row.cells[head.cellIndex].textContent.trim();
    const isNumbers = rows.map(text).every(word => missing(word) || /^[[<]?-?\\d/.test(word));
    rows.sort((a, b) => {
      const [x, y] = [text(a), text(b)];
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return sign * (isNumbers ? number(x) - number(y) : names.compare(x, y));
    });
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    table.tBodies[0].append(...rows);
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => { part.open = true; }));
"""

_PIXELS = 1.5  # of a picture to one of the page, which has its text of 10 points in about the size of ours

_HOW_COMPARED = (
    "Both arms of a row are scored on the same bootstrap samples of test subjects; the interval is that of the paired "
    "difference. p is two-sided: twice the smaller share of samples in which the difference is at or below 0, or at "
    "or above 0, each counted with one sample more, so with {replicates} samples it is at least {least}. It is not "
    "corrected for the number of comparisons, and it speaks of other test subjects, not of other training seeds."
)


def page(summary: Mapping[str, Any], curve: bytes, bars: bytes, timelines: Mapping[str, bytes]) -> str:
    """Writes the page.

    Args:
        summary: What ``summary.json`` holds.
        curve: PNG of the label efficiency.
        bars: PNG of the bars of each action unit.
        timelines: PNGs of predicted against true intensity, by their captions.

    Returns:
        An HTML document without references to anything outside it.
    """
    datasets = summary["datasets"]
    tables = tables_of(summary)
    level = formats.level(summary)
    runs = sum(len(record["runs"]) for record in summary["records"])
    over_time = [_figure(picture, caption) for caption, picture in timelines.items()]
    sections = {
        "Headline": [_cards(summary, dataset) for dataset in datasets],
        "Label efficiency": [
            _figure(curve, f"ICC(3,1) against the labelled share of the training frames, with the {level}."),
            "<p>ICC(3,1), MAE, MSE and Pearson's correlation: per action unit over the test frames of all folds "
            "together, then the mean over action units, then over seeds. Predictions lie in 0 to 5 and are not "
            "rounded.</p>",
            _table(tables["Mean over action units"], "Mean over action units"),
        ],
        "Arms side by side": _side_by_side(summary),
        "By action unit": [
            *(_by_unit(summary, dataset) for dataset in datasets),
            _figure(bars, f"ICC(3,1) of each action unit, with the {level}."),
            *(_details(title, _table(table, title)) for title, table in tables.items() if " by action unit" in title),
        ],
        "Other conventions": [
            "<p>Published code differs in how it scores. The same predictions, scored in the ways that are in use: "
            "rounded to whole intensities, the mean of the folds' ICCs, the mean of the subjects' ICCs.</p>",
            _table(tables["ICC(3,1) by other published conventions"], "ICC(3,1) by other published conventions"),
        ],
        "Prediction intervals": _intervals(tables),
        "Published numbers": _published(tables),
        "Over time": over_time,
        "How it was made": _provenance(summary),
    }
    ids = {title: title.lower().replace(" ", "-") for title, parts in sections.items() if parts}
    about = f"{_count(runs, 'run')}, {_count(len(datasets), 'dataset')}: {', '.join(map(escape, datasets))}."
    return _PAGE.substitute(
        title="Facial action unit intensities",
        about=about,
        style=_STYLE,
        script=_SCRIPT,
        links="".join(f'<a href="#{of_title}">{title}</a>' for title, of_title in ids.items()),
        sections=_warnings(summary)
        + "\n".join(
            f'<section aria-labelledby="{of_title}">\n<h2 id="{of_title}">{title}</h2>\n'
            + "\n".join(sections[title])
            + "\n</section>"
            for title, of_title in ids.items()
        ),
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _warnings(summary: Mapping[str, Any]) -> str:
    lines = remarks(summary)
    if not lines:
        return ""
    title = f"Before comparing: {_count(len(lines), 'remark')}"
    return f'<aside class="warnings">{_details(title, _list(lines))}</aside>\n'


def _details(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _scroll(content: str, label: str) -> str:
    """A box that scrolls by itself, also by keyboard, where its content is wider than the page."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{content}</div>'


def _figure(png: bytes, caption: str) -> str:
    """A picture with its caption, as wide as there is room, but so wide that its text can be read on a phone."""
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    usual = width / _PIXELS
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    picture = (
        f'<img src="{source}" alt="{escape(caption)}" width="{width}" height="{height}" '
        f'style="min-width:{0.7 * usual:.0f}px;max-width:{usual:.0f}px">'
    )
    return f"<figure>{_scroll(picture, caption)}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(table: pd.DataFrame, label: str, left: int | None = None, drawings: Sequence[str] = ()) -> str:
    """A table of text whose columns sort; its last column may be drawings, which do not.

    Args:
        table: Texts.
        label: What the table shows, for those who do not see it.
        left: Number of leading columns that hold names and not numbers; None finds it by their titles.
        drawings: HTML for the last cell of each row.
    """
    left = formats.text_columns(table) if left is None else left
    kinds = [' class="text"' if i < left else "" for i in range(len(table.columns))]
    heads = [
        f'<th scope="col"{kind}><button type="button">{escape(str(name))}</button></th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    ]
    rows = [
        [f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)]
        for row in table.astype(str).to_numpy().tolist()
    ]
    if drawings:
        heads.append('<th scope="col" class="text">Difference, drawn</th>')
        rows = [[*row, f"<td>{drawing}</td>"] for row, drawing in zip(rows, drawings, strict=True)]
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return _scroll(f"<table>\n<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>{body}</tbody>\n</table>", label)


def _at(summary: Mapping[str, Any], dataset: str) -> list[Mapping[str, Any]]:
    """The records of a dataset at the label fraction that is shown in detail."""
    fraction = summary["bars_fraction"].get(dataset)
    return [r for r in summary["records"] if r["dataset"] == dataset and r["label_fraction"] == fraction]


def _title(summary: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str:
    """Which dataset and label fraction these records are of, as a heading."""
    of_dataset = f"{escape(records[0]['dataset'])}, " if len(summary["datasets"]) > 1 else ""
    return f"<h3>{of_dataset}{percent(records[0]['label_fraction'])} of the labels</h3>"


def _cards(summary: Mapping[str, Any], dataset: str) -> str:
    """The numbers to see first: the ICC of each arm, and what the first arm gains over the others."""
    records = _at(summary, dataset)
    if not records:
        return ""
    level = formats.level(summary)
    cards = [
        (
            LABELS.get(record["arm"], record["arm"]),
            decimals(record["icc"]),
            f"{level} {interval(record['icc_ci'])}, MAE {decimals(record['mae'])}",
        )
        for record in records
    ]
    first = records[0]
    for found in summary["comparisons"]:
        other = found["against"]
        of_first = all(found[key] == first[key] for key in ("dataset", "arm", "label_fraction"))
        if of_first and other["label_fraction"] == first["label_fraction"]:
            gain, p = decimals(found["difference"]), escape(p_value(found["difference_p"]))
            cards.append(
                (
                    f"{LABELS.get(first['arm'], first['arm'])} over {LABELS.get(other['arm'], other['arm'])}",
                    f"+{gain}" if gain[0].isdigit() else gain,
                    f"{level} {interval(found['difference_ci'])}, p&nbsp;=&nbsp;{p}",
                )
            )
    shown = "".join(
        f'<div class="card"><p>{escape(what)}</p><p class="number">{number}</p><p class="quiet">{more}</p></div>'
        for what, number, more in cards
    )
    return f'{_title(summary, records)}\n<p class="quiet">ICC(3,1), mean over action units.</p>\n' + (
        f'<div class="cards">{shown}</div>'
    )


def _side_by_side(summary: Mapping[str, Any]) -> list[str]:
    """Differences at one label fraction, and to the arms with the most labels; nothing for a single arm."""
    groups: dict[bool, list[Mapping[str, Any]]] = {True: [], False: []}
    for found in summary["comparisons"]:
        groups[found["label_fraction"] == found["against"]["label_fraction"]].append(found)
    if not summary["comparisons"]:
        return []
    replicates = summary["bootstrap"]["replicates"]
    parts = [f"<p>{_HOW_COMPARED.format(replicates=replicates, least=f'{2 / (replicates + 1):.2g}')}</p>"]
    for same, title in ((True, "With the same share of labels"), (False, "Against the largest share of labels")):
        if comparisons := groups[same]:
            table = side_by_side(summary, comparisons)
            shown = _table(table, title, drawings=_forest(comparisons))
            parts.append(f"<h3>{title}</h3>\n{shown}" if same else _details(title, shown))
    return parts


def _forest(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each difference as a point with its interval, all on one scale, with a dashed line at 0."""
    ends = [found["difference_ci"] or [found["difference"] or 0.0] * 2 for found in comparisons]
    points = [found["difference"] for found in comparisons]
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


def _by_unit(summary: Mapping[str, Any], dataset: str) -> str:
    """A row for each action unit, with the ICC and the MAE of each arm."""
    records = _at(summary, dataset)
    if not records:
        return ""
    lines = []
    for au in summary["datasets"][dataset]["aus"]:
        of_arms = {LABELS.get(record["arm"], record["arm"]): record["per_au"][au] for record in records}
        line = {"Action unit": au, "Name": AU_NAMES.get(au_of(au), "")}
        for arm, of in of_arms.items():
            line[f"ICC, {arm}"] = decimals(of["icc"]) + (f" {interval(of['icc_ci'])}" if of["icc_ci"] else "")
        line |= {f"MAE, {arm}": decimals(of["mae"]) for arm, of in of_arms.items()}
        lines.append(line)
    title = _title(summary, records)
    label = "Action units" + (f", {dataset}" if len(summary["datasets"]) > 1 else "")
    note = f"<p>ICC(3,1) and its {formats.level(summary)}. A click on a column's title sorts by it.</p>"
    return f"{title}\n{note}\n{_table(pd.DataFrame(lines), label, left=2)}"


def _intervals(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """How many true intensities lie inside the intervals, where there are any."""
    if INTERVALS not in tables:
        return []
    return [
        "<p>Around each prediction an interval was drawn by split-conformal calibration on the validation subjects. "
        "The share of the test subjects' intensities that lie inside, over all action units and for each; the width is "
        "in units of intensity. It should be near the nominal share, and cannot be exact: subjects differ.</p>",
        _table(tables[INTERVALS], INTERVALS),
    ]


def _published(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    title = "Beside published numbers"
    if title not in tables:
        return []
    note = "As given in the reference; folds, labels and ways of scoring may differ from ours."
    return [f"<p>{note}</p>", _table(tables[title], title)]


def _provenance(summary: Mapping[str, Any]) -> list[str]:
    """Datasets, versions, settings of the bootstrap, and the commands."""
    datasets = pd.DataFrame(
        {
            "Dataset": name,
            "Fingerprint": of["fingerprint"],
            "Test subjects": str(of["test_subjects"]),
            "Frames/s": f"{of['fps']:g}",
            "Action units": str(len(of["aus"])),
        }
        for name, of in summary["datasets"].items()
    )
    revisions = sorted({line["git"] for line in summary["commands"] if line["git"]})
    packages = summary["versions"] | ({"aulight, git revision": revisions} if revisions else {})
    versions = pd.DataFrame({"Package": name, "Version": ", ".join(of)} for name, of in packages.items())
    bootstrap = summary["bootstrap"]
    commands = "\n".join(
        f"# {line['run']}\n{line['command'] or '# not recorded, see its run.yaml'}" for line in summary["commands"]
    )
    pre = _scroll(f"<pre>{escape(commands)}</pre>", "Commands")
    return [
        _list(summary["notes"]) if summary["notes"] else "",
        f"<p>Intervals: {bootstrap['replicates']} bootstrap samples over test subjects, seed {bootstrap['seed']}.</p>",
        "<h3>Datasets</h3>",
        _table(datasets, "Datasets", left=2),
        "<h3>Versions</h3>",
        _table(versions, "Versions", left=2),
        "<h3>Commands</h3>",
        "<p>One for each run, however many a sweep started at once.</p>",
        _details(f"Show {_count(len(summary['commands']), 'command')}", pre),
    ]
