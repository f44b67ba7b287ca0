"""What is asked first of a model, and what the numbers of a report answer: how good, on whom, to be trusted, what next.

Every sentence is of a computation on the runs; where a number is missing, the sentence says so or is left out.
"""

import math
from collections.abc import Iterator

from scipy.special import stdtrit

from aulight.drawing.names import model_name
from aulight.facs import au_of, short_name
from aulight.report.cautions import undefined
from aulight.report.formats import decimals, interval, level
from aulight.report.markup import count
from aulight.report.records import Comparison, Record, Summary
from aulight.report.verdict import BOUNDS, is_doubtful, verdict, word
from aulight.scoring.intervals import INTERVAL_SUBJECTS

FEW_PRESENT = 20
"""Labelled frames that show an AU, below which more are advised: a few in each of some people."""

REACH = 0.1
"""Half the width of an interval of the mean ICC, above which more people are advised."""


def answers(summary: Summary, dataset: str) -> dict[str, list[str]]:
    """Sentences by question, of the first model of those that are shown in detail.

    It is the first in the order of tables, not the best on the test subjects: choosing by these would flatter it.

    Args:
        summary: Of the runs.
        dataset: One that has such models.
    """
    record = summary.shown(dataset)[0]
    return {
        "How good is the model?": list(_how_good(summary, record)),
        "On how many people?": list(_on_whom(record)),
        "May I trust it?": list(_trust(summary, record)),
        "What to do next?": list(_next(summary, record)) or ["The numbers here ask for nothing."],
    }


def _how_good(summary: Summary, record: Record) -> Iterator[str]:
    what = f"{model_name(record.arm)}, {_labels(record)}"
    if record.icc is None:
        yield f"The model {what}: the ICC of no action unit is defined."
        return
    ends = level(summary.uncertainty.level)
    sure = f"no {ends}: {record.no_icc_ci}" if record.icc_ci is None else f"{ends} {interval(record.icc_ci)}"
    number = len(record.per_au) - len(record.undefined_aus)
    yield (
        f"The model {what}: mean ICC(3,1) {decimals(record.icc)} ({sure}) over {count(number, 'action unit')}: "
        f"{verdict(record)}. Pearson's correlation, its ceiling, is {decimals(record.pearson)}. The mean absolute "
        f"error is {decimals(record.mae)}, on the scale of 0 to 5."
    )
    words = [word(scores.icc) for scores in record.per_au.values() if scores.icc is not None]
    each = [f"{words.count(name)} {name}" for name in ("excellent", "good", "moderate", "poor") if name in words]
    if record.undefined_aus:
        each.append(f"{len(record.undefined_aus)} undefined")
    yield f"By the ICC alone, of {count(len(record.per_au), 'action unit')}: {', '.join(each)}."


def _on_whom(record: Record) -> Iterator[str]:
    yield f"Tested on {_people(record.test_subjects)} of whom it had learned nothing."
    rare = {au: of.subjects for au, of in record.presence.items() if of.subjects < INTERVAL_SUBJECTS}
    rare = {au: number for au, number in rare.items() if number < record.test_subjects}
    if rare:
        yield f"Few of them show these at all, so their scores rest on them: {_named(rare)} (in brackets: people)."


def _trust(summary: Summary, record: Record) -> Iterator[str]:
    """Its interval, the AUs that are read badly, and whether simpler ways do as well."""
    if record.icc_ci is None:
        yield f"The mean ICC has no interval ({record.no_icc_ci}): what it says of other people is not known."
    else:
        yield f"Its mean ICC is known to ±{decimals(_reach(record))}, as far as these people are like those it is for."
    doubtful = [au for au, scores in record.per_au.items() if is_doubtful(scores)]
    if doubtful:
        yield (
            f"With care: {_listed(doubtful)}. The ICC is undefined, or below {BOUNDS[0][0]:g} at an end of its "
            "interval."
        )
    zero = next((row for row in summary.baselines if (row.dataset, row.arm) == (record.dataset, "all_zero")), None)
    if zero is not None and zero.test_subjects == record.test_subjects:
        beaten = [au for au, of in record.per_au.items() if _above(of.mae, zero.per_au[au].mae)]
        if beaten:
            yield f"Saying 0 in every frame has the smaller mean absolute error for {_listed(beaten)}."
    yield from (_against(found) for found in summary.comparisons if _is_of(found, record) and found.same_fraction)
    yield "Other cameras, light and ages than those of the test videos were not tested."


def _against(found: Comparison) -> str:
    """Whether another way of training does as well, on the same people."""
    other, gap = model_name(found.against.arm), found.difference
    if gap is None:
        return f"It cannot be compared with the model {other}."
    said = f"{decimals(abs(gap))} {'above' if gap >= 0 else 'below'} the model {other}"
    if found.difference_ci is None:
        return f"Its ICC is {said}; whether that is chance is not known ({found.no_difference_ci})."
    low, high = found.difference_ci
    sure = "that may be chance" if low <= 0 <= high else "more than chance among people"
    return f"Its ICC is {said} (difference {interval(found.difference_ci)}): {sure}."


def _next(summary: Summary, record: Record) -> Iterator[str]:
    yield from _more_labels(summary, record)
    yield from _which_units(record)
    yield from _more_people(summary, record)


def _more_labels(summary: Summary, record: Record) -> Iterator[str]:
    """What more labels brought, from the share that is shown to the largest, or to the largest from the one before."""
    mine = [other for other in summary.records if (other.dataset, other.arm) == (record.dataset, record.arm)]
    mine.sort(key=lambda other: other.labelled_frames)
    most = mine[-1]
    fewer = [other for other in mine if other.labelled_frames < most.labelled_frames]
    if not fewer:
        yield (
            "More labels? Runs with one share of labels cannot tell. Train with half of them, too "
            "(label_fraction=0.5), and make the report of both."
        )
        return
    few = record if record.labelled_frames < most.labelled_frames else fewer[-1]
    found = next(
        (
            pair
            for pair in summary.comparisons
            if _is_of(pair, few) and pair.against.arm == few.arm and pair.against_labels == most.labels
        ),
        None,
    )
    if found is None or found.difference is None:
        yield "More labels? The ICC with fewer or with more of them is undefined."
        return
    gain = -found.difference
    way = f"from {few.labelled_frames:,} to {most.labelled_frames:,} labelled frames the mean ICC went"
    doubling = decimals(gain / math.log2(most.labelled_frames / few.labelled_frames))
    said = f"{way} {'up' if gain >= 0 else 'down'} by {decimals(abs(gain))} ({doubling} for each doubling"
    if found.difference_ci is None:
        yield f"More labels? It is not known: {said}; no interval: {found.no_difference_ci})."
        return
    low, high = -found.difference_ci.high, -found.difference_ci.low
    judged = "Yes" if low > 0 else "No" if high < 0 else "That they help is not shown"
    yield f"More labels? {judged}: {said}; interval of the change [{decimals(low)}, {decimals(high)}])."


def _which_units(record: Record) -> Iterator[str]:
    """AUs that few labelled frames show, and how many frames would hold enough of them; AUs without a score."""
    few = {au: of.learned_from for au, of in record.presence.items() if of.learned_from is not None}
    few = {au: number for au, number in few.items() if number < FEW_PRESENT}
    if few:
        named = _named(few)
        yield f"Which AU? Few of the labelled frames that were learned from show {named} (in brackets: how many)." + (
            _frames_for(min(few.values()), record.labelled_frames)
        )
    for au, scores in record.per_au.items():
        if scores.icc is None:
            yield f"{short_name(au_of(au))}: ICC {undefined(scores)}; label frames of test people that show it."


def _frames_for(number: int, labelled: int) -> str:
    """How many random frames hold enough of an AU that a number of labelled ones shows."""
    if number == 0:
        return ""
    wanted = math.ceil(FEW_PRESENT * labelled / number)
    return f" At the rate of the rarest, {wanted:,} random frames hold {FEW_PRESENT} that show it."


def _more_people(summary: Summary, record: Record) -> Iterator[str]:
    """How many test people a narrow interval takes, if they differ as those that were tested do."""
    people = record.test_subjects
    if people < INTERVAL_SUBJECTS:
        yield f"More people? Yes: below {INTERVAL_SUBJECTS} test people there is no interval, and these are {people}."
        return
    if record.icc_ci is None or -1 in record.icc_ci or 1 in record.icc_ci:
        return  # cut off, so its width says little
    reach = _reach(record)
    if reach <= REACH:
        yield f"More people? Not for the mean: {people} test people tell it to ±{decimals(reach)}."
        return
    share = 0.5 + summary.uncertainty.level / 2
    error = reach / stdtrit(people - 1, share) * math.sqrt(people)
    needed = people
    while stdtrit(needed - 1, share) * error / math.sqrt(needed) > REACH:
        needed += 1
    yield (
        f"More people? Yes: {people} test people tell the mean ICC to ±{decimals(reach)}; about {needed} that differ "
        f"as these do would tell it to ±{REACH:g}."
    )


def _reach(record: Record) -> float:
    low, high = record.icc_ci or (math.nan, math.nan)
    return (high - low) / 2


def _is_of(found: Comparison, record: Record) -> bool:
    return (found.dataset, found.arm, found.labels) == (record.dataset, record.arm, record.labels)


def _above(mine: float | None, other: float | None) -> bool:
    return mine is not None and other is not None and mine > other


def _labels(record: Record) -> str:
    return f"{record.labels} of the labels ({count(record.labelled_frames, 'frame')})"


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def _listed(aus: list[str]) -> str:
    return ", ".join(short_name(au_of(au)) for au in aus)


def _named(numbers: dict[str, int]) -> str:
    """AUs, each with its number: ``AU5 (3)``."""
    return ", ".join(f"{short_name(au_of(au))} ({number})" for au, number in numbers.items())
