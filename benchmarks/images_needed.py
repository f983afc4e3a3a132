"""Is "so many more images until 95 %" true? Asked of real images, where as many more are there to try.

Of a large set some images are drawn, a learner is cross-validated on 50, 70 and 100 % of them as a study does, and
the law fitted to that is asked how many times as many take it to the accuracies that it really reaches, on separate
test images, with 2, 4, 8 and 16 times as many (the mean of several draws).

    TENFOLD_DATA=... python benchmarks/images_needed.py [--studies 30] [--out benchmarks/results/images-needed.md]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

import tenfold
from tenfold.core.files import write_text
from tenfold.core.keys import Key
from tenfold.evaluation import ImagesFor
from tenfold.evaluation.crossed import group_table
from tenfold.evaluation.learning_curve import images_for

SETTINGS = (
    ("mnist", "nearest neighbour", 200),
    ("mnist", "SVM", 200),
    ("mnist", "ridge regression", 400),
    ("usps", "SVM", 100),
    ("pneumoniamnist", "SVM", 150),
)
LEARNERS = {
    "nearest neighbour": lambda: KNeighborsClassifier(1),
    "SVM": lambda: SVC(C=5, gamma=0.02),
    "ridge regression": lambda: RidgeClassifier(30.0),
}
SHARES, TIMES, REPEATS, FOLDS = (0.5, 0.7, 1.0), (2, 4, 8, 16), 4, 5
Rows = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def drawn(name: str) -> tuple[Rows, Rows]:
    """All images to draw from, and those to test on."""
    data = tenfold.load(name)
    order = Key("images needed").numpy_generator().permutation(len(data))
    rows, labels = data.images.reshape(len(data), -1)[order].astype(np.float32) / 255, data.labels[order]
    tests = min(5000, len(data) // 4)
    return (rows[tests:], labels[tests:]), (rows[:tests], labels[:tests])


def reached(learner: str, pool: Rows, test: Rows, images: int) -> float:
    """The balanced accuracy with so many images, the mean of some draws."""
    scores = []
    for draw in range(max(2, 5000 // images)):
        some = Key(f"reached/{images}/{draw}").numpy_generator().permutation(len(pool[1]))[:images]
        predicted = LEARNERS[learner]().fit(pool[0][some], pool[1][some]).predict(test[0])
        scores.append(balanced_accuracy_score(test[1], predicted))
    return float(np.mean(scores))


def study(learner: str, pool: Rows, images: int, accuracies: list[float], number: int) -> tuple[ImagesFor, ...]:
    """What a study of so many images says."""
    random = Key(f"study/{number}").numpy_generator()
    some = random.permutation(len(pool[1]))[:images]
    rows, labels = pool[0][some], pool[1][some]
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights, groups = 1 / (len(counts) * counts[inverse]), np.arange(images)
    right, folds = {share: np.zeros((images, REPEATS)) for share in SHARES}, np.zeros((images, REPEATS), np.int64)
    for repeat in range(REPEATS):
        splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=100 * number + repeat)
        for fold, (train, test) in enumerate(splitter.split(rows, labels)):
            folds[test, repeat] = fold
            for share, table in right.items():
                part = random.permutation(train)[: int(share * len(train))]
                table[test, repeat] = (
                    LEARNERS[learner]().fit(rows[part], labels[part]).predict(rows[test]) == labels[test]
                )
    fold_images = images * (FOLDS - 1) / FOLDS
    curve = [(share * fold_images, group_table(table, weights, groups)) for share, table in right.items()]
    perfect = group_table(np.ones((images, 1)), weights, groups)
    return images_for(curve, fold_images, accuracies, folds=folds, perfect=perfect)


def setting_rows(name: str, learner: str, images: int, studies: int) -> list[str]:
    pool, test = drawn(name)
    fold_images = images * (FOLDS - 1) // FOLDS
    times = [one for one in TIMES if one * fold_images <= len(pool[1])]
    truth = {one: reached(learner, pool, test, one * fold_images) for one in times}
    told = [study(learner, pool, images, list(truth.values()), number) for number in range(studies)]
    lines = []
    for place, (more, accuracy) in enumerate(truth.items()):
        known = [one[place] for one in told if not math.isnan(one[place].times)]
        held = np.mean([one.low <= more <= one.high for one in known])
        middle = [np.median([getattr(one, field) for one in known]) for field in ("times", "low", "high")]
        words = ["over 100" if math.isinf(value) else f"{value:.1f}" for value in middle]
        lines.append(
            f"| {name}, {images} | {learner} | {100 * accuracy:.1f} % | {more} "
            f"| {words[0]} ({words[1]} to {words[2]}) | {100 * held:.0f} % | {studies - len(known)} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = [
        "# How many more images until so much is recognised?",
        "",
        f"{given.studies} studies each, {REPEATS} repeats of {FOLDS} folds. Told are the medians of the estimate and "
        "of the ends of the interval; 95 % of intervals should hold the truth.",
        "",
        "| set, images | learner | accuracy | times as many, in truth | told | interval held it | not told |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, learner, images in SETTINGS:
        lines += (found := setting_rows(name, learner, images, given.studies))
        print("\n".join(found), flush=True)
    if given.out:
        write_text(given.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
