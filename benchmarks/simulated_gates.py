"""Does the verdict keep its word? Thousands of simulated studies, whose truth is known.

Counts how often the 95 % interval holds the truth, how often arms that are all equal are said to have helped, and
how often a true effect is found.

    python benchmarks/simulated_gates.py [--studies 500] [--out benchmarks/results/simulated-gates.md]

Sections that are finished are kept beside the output until all are, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import ndtr, stdtrit
from simulated_studies import PROCESSES, Floats, Process, Studies, simulate, trials

from tenfold.core.keys import Key
from tenfold.evaluation.compare import Design, compare
from tenfold.evaluation.crossed import crossed_test, holm, mean_squares

SEED = Key("simulated-gates-0")
MARGIN = 0.01
SIZES, REPEATS = (150, 600, 2000), (2, 4, 10)
BATCH = 50

Who = int | str
"""An arm's number, "PICK", or "PICK retrained": the same choices, judged by other trainings of the chosen arms."""
COMPARED: tuple[Who, ...] = (1, "PICK", "PICK retrained")


@dataclass(frozen=True, eq=False)
class Judged:
    """What the product says of one comparison in each of S studies."""

    estimates: Floats
    lows: Floats
    highs: Floats
    errors: Floats
    p_values: Floats

    @property
    def helped(self) -> Floats:
        return (self.lows > 0) & (self.estimates >= MARGIN)

    def holds(self, truth: float) -> int:
        return int(np.count_nonzero((self.lows <= truth) & (truth <= self.highs)))


def batches(process: Process, images: int, repeats: int, studies: int, key: Key) -> Iterator[Studies]:
    for batch in range(0, studies, BATCH):
        yield simulate(process, images, repeats, min(BATCH, studies - batch), (key / batch).numpy_generator())


def judge(studies: Studies, who: Who, repeats: int) -> Judged:
    """The product's interval from the first `repeats`."""
    if who == "PICK":
        tables, choices = studies.picked()[:, :, :repeats], studies.choice_variances(repeats)
    elif who == "PICK retrained":
        tables, choices = studies.retrained(repeats), studies.choice_variances(repeats, retrained=True)
    else:
        tables = studies.tables(int(who))[:, :, :repeats]
        choices = np.zeros(len(tables))
    folds = studies.folds[:, :repeats]
    tests = [crossed_test(table.astype(float), folds, choice) for table, choice in zip(tables, choices, strict=True)]
    return Judged(*np.array([[t.estimate, t.low, t.high, t.standard_error, p] for t, p in tests]).T)


def joined(parts: list[Judged]) -> Judged:
    return Judged(*(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])))


def former_half(table: Floats) -> float:
    """Half of the interval before: repeats in place of trainings, n - 1 degrees of freedom."""
    squares = mean_squares(table.astype(float))
    variance = max(squares.groups + squares.repeats - squares.rest, squares.groups) / table.size
    return float(stdtrit(len(table) - 1, 0.975) * math.sqrt(variance)) if table.any() else 3 / len(table)


@dataclass(frozen=True)
class Cell:
    """Coverage of one comparison at one number of images and repeats."""

    held: int
    former: int
    """With the formula before; 0 where there was none."""
    width: float
    """Half of the mean interval, in points."""


def truths(process: Process, images: int, studies: int, key: Key) -> dict[Who, float]:
    """The first arm's is known; PICK's are means over many studies."""
    picked, retrained = [], []
    for batch in batches(process, images, 2, studies, key):
        picked.append(batch.picked().mean())
        retrained.append(np.array([0.0, *process.gains])[batch.inner_scores.argmax(0)].mean())
    return {1: process.gains[0], "PICK": float(np.mean(picked)), "PICK retrained": float(np.mean(retrained))}


def coverage(process: Process, images: int, studies: int, key: Key) -> dict[tuple[Who, int], Cell]:
    """How often the intervals of an arm and of PICK hold the truth, which 3 times as many studies tell."""
    truth = truths(process, images, 3 * studies, key / "truth")
    judged: dict[tuple[Who, int], list[Judged]] = {(who, repeats): [] for who in COMPARED for repeats in REPEATS}
    former = dict.fromkeys(judged, 0)
    for batch in batches(process, images, max(REPEATS), studies, key):
        tables = {1: batch.tables(1), "PICK": batch.picked()}
        for who, repeats in judged:
            judged[who, repeats].append(judge(batch, who, repeats))
            if who in tables:
                for table in tables[who][:, :, :repeats]:
                    former[who, repeats] += int(abs(table.mean() - truth[who]) <= former_half(table))
    cells = {}
    for (who, repeats), parts in judged.items():
        whole = joined(parts)
        width = 50 * float(np.mean(whole.highs - whole.lows))
        cells[who, repeats] = Cell(whole.holds(truth[who]), former[who, repeats], width)
    return cells


def null(process: Process, images: int, studies: int, key: Key) -> dict[str, float]:
    """How many studies say 'helped' where all arms are equal, and what PICK gains there by luck, in points."""
    counts = dict.fromkeys(
        ["PICK 2", "PICK 4", "PICK 10", "looks", "retrained 4", "retrained looks", "arm", "any"], 0
    )
    gains = []
    for batch in batches(process, images, 10, studies, key):
        looks = {repeats: judge(batch, "PICK", repeats) for repeats in REPEATS}
        fresh = {repeats: judge(batch, "PICK retrained", repeats) for repeats in REPEATS}
        for repeats, look in looks.items():
            counts[f"PICK {repeats}"] += int(look.helped.sum())
        counts["looks"] += int(helped_at_planned_looks(looks).sum())
        counts["retrained 4"] += int(fresh[4].helped.sum())
        counts["retrained looks"] += int(helped_at_planned_looks(fresh).sum())
        arms = [judge(batch, arm, 4) for arm in range(1, len(batch.correct))]
        adjusted = np.array(
            [holm(list(p_values)) for p_values in zip(*(arm.p_values for arm in arms), strict=True)]
        ).T
        counts["arm"] += int(arms[0].helped.sum())
        counts["any"] += int(
            np.any([a.helped & (p < 0.05) for a, p in zip(arms, adjusted, strict=True)], axis=0).sum()
        )
        gains.append(looks[10].estimates)
    return {**counts, "gain": 100 * float(np.mean(np.concatenate(gains)))}


def helped_at_planned_looks(looks: dict[int, Judged]) -> Floats:
    """Looks at 2 and 4 repeats stop early at p < .001 alone; else 10 decide."""
    stopped = {repeats: looks[repeats].p_values < 0.001 for repeats in (2, 4)}
    return np.where(stopped[2], looks[2].helped, np.where(stopped[4], looks[4].helped, looks[10].helped))


def null_of_the_product(process: Process, images: int, repeats: int, studies: int, key: Key) -> dict[str, int]:
    """The same through `compare`, trials and all."""
    counts = {"PICK": 0, "any": 0}
    names = [f"arm-{arm}" for arm in range(1 + len(process.gains))]
    for batch in batches(process, images, repeats, studies, key):
        for study in range(batch.correct.shape[1]):
            classes = range(process.classes)
            rules = (classes, process.folds, names[0], names, MARGIN)
            verdict = compare(
                trials(batch, study), Design(batch.labels, batch.groups, [str(label) for label in classes], *rules)
            )
            counts["PICK"] += verdict.outcome == "helped"
            counts["any"] += any(arm.outcome == "helped" for arm in verdict.arms)
    return counts


def few_differ(process: Process, images: int, repeats: int, studies: int, key: Key) -> dict[str, list[int]]:
    """By the number of images that were ever judged differently: studies, intervals with the truth, 'helped'."""
    counts: dict[str, list[int]] = {name: [0, 0, 0] for name in ("0", "1..2", "3..5", "6..10", "above 10")}
    for batch in batches(process, images, repeats, studies, key):
        judged, differ = judge(batch, 1, repeats), (batch.tables(1) != 0).any(axis=2).sum(axis=1)
        holds = (judged.lows <= process.gains[0]) & (process.gains[0] <= judged.highs)
        for row, held, helped in zip(np.digitize(differ, [1, 3, 6, 11]), holds, judged.helped, strict=True):
            for column, counted in enumerate((True, held, helped)):
                counts[list(counts)[row]][column] += int(counted)
    return counts


def power(
    images: int,
    effect: float,
    *,
    repeats: int = 4,
    process: Process = PROCESSES["95.5 %, 10 classes"],
    studies: int = 200,
    picked: bool = False,
    key: Key = SEED / "power",
) -> tuple[float, float]:
    """The share of studies that say 'helped' where one arm gains `effect`, and their mean standard error.

    `picked` judges PICK, whose gain is smaller, since it does not always pick that arm; else the arm itself.
    """
    better = replace(process, gains=(effect,))
    key = key / images / effect / repeats
    judged = joined(
        [judge(b, "PICK" if picked else 1, repeats) for b in batches(better, images, repeats, studies, key)]
    )
    return float(judged.helped.mean()), float(judged.errors.mean())


def smallest_detectable(images: int, process: Process, key: Key) -> float:
    """The effect that is 2.8 of its own mean standard errors."""
    effect = 0.03
    for _ in range(4):
        limit = 0.999 - process.accuracy
        effect = min(2.8 * power(images, effect, process=process, studies=200, key=key)[1], limit)
    return effect


def predicted_power(effect: float, error: float) -> float:
    """Share 'helped' if the estimate were normal with this standard error."""
    return float(ndtr((effect - max(MARGIN, 1.96 * error)) / error))


def main() -> None:
    from simulated_report import write_report

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("simulated-gates.md"))
    wanted = parser.parse_args()
    write_report(wanted.out, wanted.studies)


if __name__ == "__main__":
    main()
