"""Does the exchange rate of gains into real images tell the truth, and does its interval hold it?

Simulates studies whose baseline follows a power law exactly, in expectation. An image is misclassified where its
difficulty + what is common to a repeat + noise is above a threshold; the first two are shared by all arms, which
makes the comparison paired. Each training has luck of its own, 10 % of its error. Beside `worth` stands the
pigeonhole bootstrap, which resamples groups and repeats and takes quantiles (Owen 2007).

    python benchmarks/exchange.py [--studies 300] [--out benchmarks/results/exchange.md]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from tenfold.core.files import write_text
from tenfold.core.keys import Key
from tenfold.evaluation import Worth
from tenfold.evaluation.crossed import Table, standard_error
from tenfold.evaluation.learning_curve import REACH, _fit, worth

IMAGES = 160.0
"""Real training images of the baseline."""
WORTHS = (0.0, 0.25, 1.0)
REPEATS, FOLDS, LUCK = 4, 5, 0.1
DIFFICULTY, REPEAT = 0.6, 0.15
DRAWS = 1000


@dataclass(frozen=True)
class Process:
    """A learning curve, and where it is measured."""

    error: float
    slope: float
    sizes: tuple[float, ...]

    def __str__(self) -> str:
        shares = "/".join(f"{size:.0%}".removesuffix("%") for size in self.sizes)
        return f"{self.error:.0%}, slope {self.slope:g}, {shares} %"


@dataclass(frozen=True, eq=False)
class Study:
    """Tables of correctness, n images x R repeats."""

    curve: tuple[tuple[float, Table], ...]
    baseline: Table
    arms: tuple[Table, ...]
    folds: npt.NDArray[np.int64]


THREE, FOUR = (0.5, 0.7, 1.0), (0.5, 0.7, 1.0, 3.0)
MAIN, FEW_ERRORS, RESERVE = Process(0.1, 0.5, THREE), Process(0.02, 0.5, THREE), Process(0.02, 0.5, FOUR)
FLAT = Process(0.1, 0.0, THREE)


def study(process: Process, n: int, draw: np.random.Generator) -> Study:
    """One simulated study; its arms are worth `WORTHS` of the baseline's images."""
    sizes = np.array([*process.sizes, *(1 + more for more in WORTHS)])
    errors = process.error * sizes**-process.slope
    folds = np.stack([draw.permutation(n) % FOLDS for _ in range(REPEATS)], axis=1)
    luck = np.exp(LUCK * draw.normal(size=(REPEATS, FOLDS, len(sizes))) - LUCK**2 / 2)
    threshold = ndtri(1 - np.minimum(errors * luck[np.arange(REPEATS), folds], 1))
    shared = DIFFICULTY**0.5 * draw.normal(size=(n, 1, 1)) + REPEAT**0.5 * draw.normal(size=(n, REPEATS, 1))
    noise = (1 - DIFFICULTY - REPEAT) ** 0.5 * draw.normal(size=(n, REPEATS, len(sizes)))
    tables = [np.ascontiguousarray(table) for table in np.moveaxis(shared + noise < threshold, 2, 0).astype(float)]
    points = tuple((IMAGES * size, table) for size, table in zip(process.sizes, tables, strict=False))
    return Study(points, tables[process.sizes.index(1.0)], tuple(tables[len(process.sizes) :]), folds)


def studies(process: Process, n: int, count: int) -> Iterator[Study]:
    """The same ones each time."""
    key = Key("benchmark") / "exchange" / process / n
    return (study(process, n, (key / number).numpy_generator()) for number in range(count))


def pigeonhole(made: Study, arm: Table, draw: np.random.Generator) -> tuple[float, float]:
    """The bootstrap's 2.5 and 97.5 % quantiles of the worth; draws without a rise count as infinite."""
    n, repeats = made.baseline.shape
    tables = np.stack([*(table for _, table in made.curve), arm - made.baseline], axis=-1)
    of_groups = draw.multinomial(n, np.full(n, 1 / n), DRAWS) / n
    of_repeats = draw.multinomial(repeats, np.full(repeats, 1 / repeats), DRAWS) / repeats
    sums = (of_groups @ tables.reshape(n, -1)).reshape(DRAWS, repeats, -1)
    means = np.einsum("dr,drk->dk", of_repeats, sums)
    sizes = np.log([images / IMAGES for images, _ in made.curve])
    weights = np.linalg.pinv(np.column_stack([np.ones(len(sizes)), sizes]))
    level, steepness = weights @ np.log(np.maximum(1 - means[:, :-1], 0.5 / n)).T
    gain, error, slope = means[:, -1], np.exp(level), -steepness
    with np.errstate(divide="ignore", invalid="ignore"):
        more = np.where(gain < error, np.log(error / (error - gain)), np.inf) / slope
    more = np.where(slope > 1e-6, more, np.where(gain > 0, np.inf, np.where(gain < 0, -np.inf, 0.0)))
    low, high = np.quantile(more, [0.025, 0.975], method="nearest")
    if high > np.log(REACH * max(images for images, _ in made.curve) / IMAGES):
        high = np.inf
    return float(IMAGES * np.expm1(low)), float(IMAGES * np.expm1(high))


def coverage(worths: Sequence[Worth], more: float) -> float:
    """Share of intervals that hold the truth, to a tenth of an image."""
    return float(np.mean([each.low - 0.1 <= more * IMAGES <= each.high + 0.1 for each in worths]))


def ends(worths: Sequence[Worth]) -> str:
    """Median ends of the intervals."""
    low, high = (np.median([getattr(each, end) for each in worths]) / IMAGES for end in ("low", "high"))
    return f"{low:+.0%} to {high:+.0%}"


def row(process: Process, n: int, count: int, *, bootstrap: bool) -> str:
    """One line of the table of coverage."""
    worths: list[list[Worth | None]] = [[] for _ in WORTHS]
    resampled: list[list[Worth]] = [[] for _ in WORTHS]
    draw = (Key("benchmark") / "pigeonhole").numpy_generator()
    for made in studies(process, n, count):
        for index, arm in enumerate(made.arms):
            worths[index].append(worth(made.curve, made.baseline, IMAGES, arm, folds=made.folds))
            if bootstrap:
                resampled[index].append(Worth(0.0, *pigeonhole(made, arm, draw)))
    cells = []
    for more, all_of_them, others in zip(WORTHS, worths, resampled, strict=True):
        known = [each for each in all_of_them if each is not None]
        middle = np.median([each.real_images for each in known]) / IMAGES
        other = f" [{ends(others)}: {coverage(others, more):.1%}]" if others else ""
        cells.append(f"{middle:+.0%} ({ends(known)}): **{coverage(known, more):.1%}**{other}")
    none = np.mean([each is None for each in worths[0]])
    return f"| {process} | {n} | {' | '.join(cells)} | {none:.1%} |".replace("+inf%", "inf")


def threshold_row(process: Process, n: int, count: int) -> str:
    """What becomes of studies when a rise must exceed so many of its standard errors."""
    rises, worths = [], []
    for made in studies(process, n, count):
        law = _fit(np.array(process.sizes), [1 - table for _, table in made.curve])
        rises.append(law.slope / standard_error(law.moves_slope, made.folds))
        worths.append(worth(made.curve, made.baseline, IMAGES, made.arms[-1], folds=made.folds))
    cells = []
    for least in (1.0, 1.64, 1.96):
        kept = [each for each, rise in zip(worths, rises, strict=True) if each is not None and rise > least]
        middle = np.median([each.real_images for each in kept]) / IMAGES
        middle_and_coverage = f"{middle:+.0%}, {coverage(kept, WORTHS[-1]):.1%}" if process.slope else "–"
        cells.append(f"{1 - len(kept) / count:.1%}; {middle_and_coverage}")
    return f"| {process} | {n} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    count, start = options.studies, time.process_time()
    truths = " | ".join(f"worth {more:+.0%}" for more in WORTHS)
    lines = [
        "# The exchange rate: is it right, and does its interval hold the truth?",
        "",
        f"`python benchmarks/exchange.py`: {count} simulated studies a row, {REPEATS} repeats of {FOLDS} folds; the",
        f"luck of one training is {LUCK:.0%} of its error. Worths are shares of the baseline's images. A cell is the",
        "median estimate (median ends of the 95 % interval): **coverage** among studies with an answer [median ends",
        "and coverage of the pigeonhole bootstrap]. `inf` is more than the curve can say.",
        "",
        f"| baseline's error, slope, curve at | images | {truths} | no answer |",
        "|---|---|---|---|---|---|",
    ]
    for process in (MAIN, FEW_ERRORS, RESERVE):
        for n in (200, 600, 2000):
            lines.append(row(process, n, count, bootstrap=process is MAIN and n < 2000))
            print(lines[-1], flush=True)
    lines += [
        "",
        "No answer where the curve's slope is not above so many of its standard errors: share of studies without",
        "an answer; median and coverage among the others, for a true worth of +100 %. A strict rule keeps steep",
        "curves, which make the arm look poor; the rule is one standard error. On a flat curve there is no truth.",
        "",
        "| baseline's error, slope, curve at | images | 1 | 1.64 | 1.96 |",
        "|---|---|---|---|---|",
    ]
    for process, n in ((MAIN, 200), (FEW_ERRORS, 200), (FEW_ERRORS, 600), (FLAT, 600)):
        lines.append(threshold_row(process, n, count))
        print(lines[-1], flush=True)
    print(f"{time.process_time() - start:.0f} s of one core")
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
