"""What an ICC is worth, in plain words.

The words and their bounds are those of Koo and Li (2016), *A guideline of selecting and reporting intraclass
correlation coefficients for reliability research*, Journal of Chiropractic Medicine 15 (2), who ask that the interval
be judged, not the estimate. They were written for raters; here one of the two raters is the model.
"""

from aulight.report.cautions import undefined
from aulight.report.records import Scores

BOUNDS = ((0.5, "poor"), (0.75, "moderate"), (0.9, "good"))
"""Below a number the word; ``excellent`` from the last one on."""

SOURCE = "poor below 0.5, moderate below 0.75, good below 0.9, else excellent (Koo and Li 2016)"


def word(icc: float) -> str:
    """The word for an ICC."""
    return next((name for bound, name in BOUNDS if icc < bound), "excellent")


def verdict(scores: Scores) -> str:
    """The word for an ICC, and where its interval says another one, from which to which: ``poor to moderate``.

    Where there is no interval, why; where there is no ICC, why.
    """
    if scores.icc is None:
        return undefined(scores)
    if scores.icc_ci is None:
        return f"{word(scores.icc)}, by itself ({scores.no_icc_ci or 'no interval'})"
    low, high = map(word, scores.icc_ci)
    return low if low == high else f"{low} to {high}"


def is_doubtful(scores: Scores) -> bool:
    """Whether an AU is not known to be read at least moderately well: undefined, or its interval reaches below 0.5."""
    return scores.icc is None or min([scores.icc, *(scores.icc_ci or ())]) < BOUNDS[0][0]
