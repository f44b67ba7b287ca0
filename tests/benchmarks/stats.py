"""``make bench-stats``: how far intervals and p-values over test subjects keep their word, by simulation.

Subjects differ in how strongly they move, and, as they are predicted, in bias and slope, in each AU and a little in all
of them. The truth of the first two columns is the ICC of many thousand such subjects. Each study is of so many
subjects, and is scored by the functions of :mod:`aulight.scoring` that reports use:

- *coverage*: how often the 95% interval of the mean ICC over 12 AUs holds its truth, and, of an AU, that of its ICC.
- *bootstrap*: the same of the mean ICC for a percentile bootstrap over the same subjects, which reports do not use.
- *false alarms*: how often p < 0.05 for two arms that do equally well, and are of the same kind: what is swapped is
  exchangeable, so the test is exact.
- *of two kinds*: the same where one arm has smaller differences between subjects and more noise, and both the same ICC.
  What is swapped is not exchangeable then, and the test not exact.
- *found*: how often p < 0.05 for an arm that is better by the difference in brackets.

Targets: coverage of the mean 0.90 to 0.97 from 5 subjects on, false alarms of either sort at most 0.06; with 1000
studies a number is exact to 0.015. Below 5 subjects there is no interval, and below 6 no p-value.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import Pool

import numpy as np

from aulight.processes import cpus
from aulight.runs.machine import processor
from aulight.scoring.agreement import Array, mean, metrics, sums_of
from aulight.scoring.intervals import Interval, jackknife, mean_icc, p_value, without_each

SUBJECTS = (3, 5, 9, 27, 40)
AUS, FRAMES = 12, 60
LEVEL, ICC = 0.95, (-1.0, 1.0)
HEADER = ("subjects", "coverage", "of AUs", "bootstrap", "false alarms", "of two kinds", "found")


@dataclass(frozen=True)
class Kind:
    """How an arm errs: standard deviations of bias and of the logarithm of slope over subjects, and of the noise."""

    bias: float
    slope: float
    noise: float


USUAL, WORSE = Kind(0.7, 0.6, 0.6), Kind(0.7, 0.6, 0.9)
EVEN = Kind(0.4, 0.4, 0.92)
"""Whose mean ICC is that of USUAL."""


def study(rng: np.random.Generator, subjects: int, kinds: Sequence[Kind]) -> list[Array]:
    """Sums ``(1, subjects, 8, AUs)`` of each arm, of the same people."""

    def differing() -> Array:
        """Of unit variance over subjects, and a little alike in all AUs of one."""
        own = rng.normal(size=(subjects, 1, AUS))
        differing: Array = np.sqrt(0.2) * rng.normal(size=(subjects, 1, 1)) + np.sqrt(0.8) * own
        return differing

    usual = np.linspace(0.5, 1.5, AUS)
    true = rng.gamma(0.3, size=(subjects, FRAMES, AUS)) * usual * np.exp(0.8 * differing())
    true = np.rint(np.clip(true, 0, 5))
    both_bias, both_slope = differing(), differing()  # half of what is hard about a subject is so for either arm
    arms = []
    for kind in kinds:
        bias = kind.bias * np.sqrt(0.5) * (both_bias + differing())
        slope = np.exp(kind.slope * np.sqrt(0.5) * (both_slope + differing()))
        preds = np.clip(bias + slope * true + kind.noise * rng.normal(size=true.shape), 0, 5)
        arms.append(np.stack([sums_of(*of_subject) for of_subject in zip(preds, true, strict=True)])[None])
    return arms


@cache
def truth(kind: Kind) -> Array:
    """The ICC of each AU over very many subjects."""
    rng = np.random.default_rng(1)
    sums = np.sum([study(rng, 500, [kind])[0].sum(1) for _ in range(20)], axis=0)
    icc: Array = metrics(sums)["icc"][0]
    return icc


def tried(subjects: int, swaps: int, number: int) -> list[float]:
    """One study: whether each of :data:`HEADER` happened in it, NaN where the module gives no number."""
    rng = np.random.default_rng([subjects, number])
    usual, again, even, worse = study(rng, subjects, (USUAL, USUAL, EVEN, WORSE))
    expected = truth(USUAL)
    without = without_each(usual)
    each, each_without = metrics(usual.sum(1))["icc"][0], metrics(without)["icc"][:, 0]
    of_mean = jackknife(float(mean_icc(usual.sum(1))), mean_icc(without), LEVEL, ICC)
    of_aus = [jackknife(float(each[au]), each_without[:, au], LEVEL, ICC) for au in range(AUS)]
    drawn = rng.multinomial(subjects, np.full(subjects, 1 / subjects), size=500).astype(float)
    resampled = mean_icc(np.tensordot(drawn, usual, axes=(1, 1)))
    bootstrap = Interval(*np.nanquantile(resampled, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)))
    return [
        _holds(of_mean, expected.mean()),
        float(mean(np.array([_holds(ends, icc) for ends, icc in zip(of_aus, expected, strict=True)]))),
        _holds(bootstrap, expected.mean()),
        *(_alarm(p_value(usual, other, swaps, number)) for other in (again, even, worse)),
    ]


def _holds(ends: Interval | str, value: float) -> float:
    return np.nan if isinstance(ends, str) else float(ends.low <= value <= ends.high)


def _alarm(p: float | str) -> float:
    return np.nan if isinstance(p, str) else float(p < 1 - LEVEL)


def rates(subjects: int, studies: int, swaps: int) -> dict[str, float]:
    """The columns of the table but the first, for studies of so many subjects."""
    truth(USUAL)  # once, not in every process
    with Pool(cpus()) as pool:
        found = pool.map(partial(tried, subjects, swaps), range(studies), chunksize=10)
    return dict(zip(HEADER[1:], mean(np.array(found)).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=1000, help="of each number of subjects")
    parser.add_argument("--swaps", type=int, default=500, help="for p-values of many subjects")
    arguments = parser.parse_args()
    began = time.monotonic()
    better = truth(USUAL).mean() - truth(WORSE).mean()
    titles = [*HEADER[:-1], f"{HEADER[-1]} (+{better:.2f})"]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}", flush=True)
    met = True
    for subjects in SUBJECTS:
        row = rates(subjects, arguments.studies, arguments.swaps)
        cells = ["–" if np.isnan(value) else f"{value:.3f}" for value in row.values()]
        print(f"| {' | '.join([str(subjects), *cells])} |", flush=True)
        met &= not (row["coverage"] < 0.90 or row["coverage"] > 0.97)
        met &= not (row["false alarms"] > 0.06 or row["of two kinds"] > 0.06)
    machine = f"{processor()}, {cpus()} cores, numpy {np.__version__}"
    print(f"\n{arguments.studies} studies a row, mean ICC {truth(USUAL).mean():.2f}; {machine}, ", end="")
    print(f"{time.monotonic() - began:.0f} s. Targets {'met' if met else 'missed'}.")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
