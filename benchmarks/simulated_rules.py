"""The rules for choosing an arm that simulated_gates.py compares, the one that ships among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from simulated_studies import Floats

from tenfold.core.keys import Key
from tenfold.evaluation.choice import Choice, cross_fitted_choice
from tenfold.evaluation.crossed import CrossedTest, Table, choice_variance, crossed_test, holm
from tenfold.evaluation.strata import Strata

SEED = Key("simulated-gates-1")
MARGIN = 0.01


@dataclass(frozen=True)
class Judged:
    """What a rule says of one study."""

    test: CrossedTest
    truth: float
    """The true gain of the arms that were chosen, mean over folds."""
    helped: bool


def passes(test: CrossedTest) -> bool:
    return test.interval.low > 0 and test.interval.estimate >= MARGIN


@dataclass(frozen=True, eq=False)
class Study:
    """One study's tables, from which every rule judges."""

    accuracy: Floats
    """A - 1 x n x R."""
    loss: Floats
    folds: Floats
    """n x R."""
    validation: Floats
    """A x R x K."""
    gains: Floats
    """A: true ones."""
    strata: Strata

    def test(self, table: Table, choice: float = 0.0) -> CrossedTest:
        return crossed_test(table, self.folds, choice, self.strata)

    @property
    def places(self) -> list[tuple[int, int]]:
        return list(np.ndindex(self.validation.shape[1:]))

    def of(self, chosen: Floats) -> Judged:
        """The arms chosen at each place, 0 for the baseline, judged by their own trainings."""
        tables = [np.zeros(self.folds.shape), *self.accuracy]
        names = tuple(map(str, range(len(tables))))
        choice = Choice(names, tuple(self.places), (chosen.ravel() == np.arange(len(tables))[:, None]).astype(float))
        test = choice.test(tables, self.folds, self.strata)
        return Judged(test, float(self.gains[chosen].mean()), passes(test))


def former(study: Study) -> Judged:
    """Until now: each fold's validation images choose, and other trainings of the chosen arms judge."""
    chosen, repeats = study.validation.argmax(axis=0), study.folds.shape[1]
    tables = np.stack([np.zeros(study.folds.shape), *study.accuracy])
    of_groups = np.stack([chosen[r][study.folds[:, r]] for r in range(repeats)], axis=1)
    times = (of_groups == np.arange(len(tables))[:, None, None]).astype(float)
    others = times.sum(axis=2, keepdims=True) - times
    gains = tables.mean(axis=(1, 2))[chosen]
    test = study.test((others * tables).sum(axis=0) / (repeats - 1), choice_variance(gains))
    return Judged(test, float(study.gains[chosen].mean()), passes(test))


def pooled_validation(study: Study) -> Judged:
    """The arm with the best mean over all validation splits."""
    best = study.validation.mean(axis=(1, 2)).argmax()
    return study.of(np.full(study.validation.shape[1:], best))


def cross_fitted(*kinds: str) -> Callable[[Study], Judged]:
    """By the images outside of a fold in the other repeats; the rule that ships goes by log loss."""

    def rule(study: Study) -> Judged:
        names = [str(arm) for arm in range(1, len(study.gains))]
        choice = cross_fitted_choice(names, [getattr(study, kind) for kind in kinds], study.folds, study.places)
        judged = study.of(1 + choice.chosen.reshape(study.validation.shape[1:]))
        leading = study.test(study.accuracy[names.index(choice.leading)])
        return replace(judged, helped=judged.helped and passes(leading))

    return rule


def table_under_it(study: Study) -> Judged:
    """Holm's method over the arms: what the table under the headline shows."""
    tests = [study.test(of_arm) for of_arm in study.accuracy]
    adjusted = holm([test.p_value for test in tests])
    helped = any(passes(test) and p < 0.05 for test, p in zip(tests, adjusted, strict=True))
    best = int(np.argmax([test.interval.estimate for test in tests]))
    return Judged(tests[best], float(study.gains[1 + best]), helped)


def largest(kind: str) -> Callable[[Study], Judged]:
    """Max-T: the arm with the largest t, against the largest of as many where signs of groups are drawn."""

    def rule(study: Study) -> Judged:
        tests = [study.test(of_arm) for of_arm in getattr(study, kind)]
        of_groups = getattr(study, kind).mean(axis=2)
        centred = of_groups - of_groups.mean(axis=1, keepdims=True)
        signs = (SEED / "signs").numpy_generator().choice([-1.0, 1.0], (400, centred.shape[1]))
        drawn = np.abs(signs @ centred.T / np.maximum(np.sqrt((centred**2).sum(axis=1)), 1e-12)).max(axis=1)
        values = [test.interval.estimate / test.interval.standard_error for test in tests]
        best = int(np.argmax(values))
        p_value = max(tests[best].p_value, (1 + np.count_nonzero(drawn >= values[best])) / (1 + len(drawn)))
        test = study.test(study.accuracy[best])
        helped = p_value < 0.05 and values[best] > 0 and test.interval.estimate >= MARGIN
        return Judged(test, float(study.gains[1 + best]), helped)

    return rule


SHIPPED = "cross-fitted, log loss"
RULES: Mapping[str, Callable[[Study], Judged]] = {
    "validation of the fold": former,
    "pooled validation": pooled_validation,
    "max-T, accuracy": largest("accuracy"),
    "max-T, log loss": largest("loss"),
    "cross-fitted, accuracy": cross_fitted("accuracy"),
    "cross-fitted, both": cross_fitted("accuracy", "loss"),
    SHIPPED: cross_fitted("loss"),
    "(Holm's table)": table_under_it,
}
