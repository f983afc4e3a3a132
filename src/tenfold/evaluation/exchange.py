"""What a study's learning curve says: what each arm was worth in real images, and how many more would be needed."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.evaluation import ImagesFor, Worth
from tenfold.evaluation.crossed import Table
from tenfold.evaluation.decision import Step
from tenfold.evaluation.learning_curve import images_for, worth
from tenfold.evaluation.prediction_matrix import PredictionMatrix

Points = Sequence[tuple[str, float, Table]]
"""An arm's name, its real training images, and its table of correctness."""

ACCURACIES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
USUAL = 0.95
"""What is asked for beside the nearest of them."""


def curve_points(matrix: PredictionMatrix) -> Points:
    """The baseline on several numbers of real images; empty where it was not trained on fewer than there are."""
    design = matrix.design
    names = [name for name in (*design.curve, design.baseline, *design.more_real) if name in matrix.arms]
    if not set(names) & set(design.curve):
        return []
    return [(name, matrix.real_images(name), matrix.table(matrix.predicted[name])) for name in names]


def worth_of(matrix: PredictionMatrix, points: Points, table: Table, choice: float = 0.0) -> Worth | None:
    """What an arm with this table was worth; None without a curve, or one that does not rise."""
    if not points:
        return None
    return worth(
        [(images, table) for _, images, table in points],
        matrix.baseline_table,
        matrix.real_images(matrix.design.baseline),
        table,
        folds=matrix.folds,
        choice=choice,
        perfect=matrix.perfect,
    )


def worth_of_choice(matrix: PredictionMatrix, points: Points, step: Step | None) -> Worth | None:
    """The same of the arms that the folds chose."""
    if step is None:
        return None
    differences = [matrix.against_baseline[name] for name in step.choice.names]
    table = matrix.baseline_table + step.choice.judged(differences, matrix.folds)
    return worth_of(matrix, points, table, step.choice.variance(differences, matrix.folds, matrix.strata))


def images_needed(matrix: PredictionMatrix, points: Points) -> tuple[ImagesFor, ...]:
    """How many times the images the baseline needs for the nearest accuracy above its own, and for the usual one."""
    if not points:
        return ()
    reached = float(matrix.baseline_table.mean())
    above = [accuracy for accuracy in ACCURACIES if accuracy > reached]
    return images_for(
        [(images, table) for _, images, table in points],
        matrix.real_images(matrix.design.baseline),
        sorted({*above[:1], *(accuracy for accuracy in above if accuracy == USUAL)}),
        folds=matrix.folds,
        perfect=matrix.perfect,
    )
