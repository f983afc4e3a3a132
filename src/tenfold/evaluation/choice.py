"""Which arm a study prefers, so that its own images can still judge the choice.

For each fold the choice rests on the images of the other folds, as they were judged in the other repeats: neither a
judged image nor the training that judges it has a say. Choosing by a fold's few validation images instead finds one
good arm of four in one study of twelve; choosing by all images and judging by the same ones calls noise a success.
Related: cross-validation with out-of-sample choice (Tsamardinos et al. 2018). What other rules do is measured in
benchmarks/results/simulated-gates.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tenfold.evaluation.crossed import CrossedTest, Indices, Table, choice_variance, crossed_test, crossed_variance
from tenfold.evaluation.strata import Strata

Place = tuple[int, int]
UNSETTLED = 0.5
"""Share of the variance of images that is added where each place chose another arm.

What a fold's images did has a say in the choice of all other folds, so that folds are not independent where noise
chooses: intervals held the truth in 89 % of studies of equal arms. Where all agree there is nothing to add.
"""
Evidence = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Choice:
    """The arm that each fold of each repeat prefers, by what happened outside of it."""

    names: tuple[str, ...]
    """The A candidates."""
    places: tuple[Place, ...]
    strength: Evidence
    """A x places: for each candidate the sum of its z-values, above 0 where it did better than the baseline."""

    @property
    def chosen(self) -> npt.NDArray[np.int64]:
        """For each place the index of the candidate with most evidence; of equals the first."""
        indices: npt.NDArray[np.int64] = self.strength.argmax(axis=0)
        return indices

    @property
    def counts(self) -> Counter[str]:
        """In how many places each arm was chosen."""
        return Counter(self.names[index] for index in self.chosen)

    @property
    def disagreement(self) -> float:
        """The probability that two places drawn at random chose different arms."""
        shares = np.array(list(self.counts.values())) / len(self.places)
        return float(1 - (shares**2).sum())

    @property
    def leading(self) -> str:
        """The arm that most places chose; of equals the one with more evidence."""
        overall = dict(zip(self.names, self.strength.sum(axis=1), strict=True))
        return max(self.names, key=lambda name: (self.counts[name], overall[name]))

    @property
    def nothing_preferred(self) -> bool:
        """Whether no candidate looked better than the baseline in any place."""
        return bool((self.strength <= 0).all())

    def at(self, place: Place) -> str:
        return self.names[int(self.chosen[self.places.index(place)])]

    def judged(self, differences: Sequence[Table], folds: Indices) -> Table:
        """Groups x repeats: each group by the arm that its fold chose, of the candidates' `differences`."""
        repeats = list(dict.fromkeys(repeat for repeat, _ in self.places))
        table = np.zeros(folds.shape)
        for (repeat, fold), arm in zip(self.places, self.chosen, strict=True):
            column = repeats.index(repeat)
            inside = folds[:, column] == fold
            table[inside, column] = differences[arm][inside, column]
        return table

    def variance(self, differences: Sequence[Table], folds: Indices, strata: Strata) -> float:
        """What the choice adds to the mean squares of its judged table, which count none of it."""
        gains = np.array([table.mean() for table in differences])[self.chosen]
        repeats = len({repeat for repeat, _ in self.places})
        unsettled = UNSETTLED * self.disagreement
        images = crossed_variance(self.judged(differences, folds), folds, strata=strata).images if unsettled else 0.0
        return choice_variance(gains.reshape(repeats, -1)) + unsettled * images

    def test(self, differences: Sequence[Table], folds: Indices, strata: Strata) -> CrossedTest:
        """The mean of the chosen candidates' differences, each group's by the arm that its fold chose."""
        return crossed_test(self.judged(differences, folds), folds, self.variance(differences, folds, strata), strata)


def cross_fitted_choice(
    names: Sequence[str], evidence: Sequence[Sequence[Table]], folds: Indices, places: Sequence[Place]
) -> Choice:
    """Choose for each place by the groups outside its fold, in the other repeats where there are any.

    Args:
        evidence: kinds of evidence x A candidates; each a table of n groups x R repeats of how much better than the
            baseline the candidate did. Kinds count alike: the z-values of their means are summed.
        folds: n x R, in which fold a group was tested.
        places: the (repeat, fold) of the trials that count, repeat by repeat.
    """
    repeats = list(dict.fromkeys(repeat for repeat, _ in places))
    tables = np.asarray(evidence, dtype=np.float64)
    strength = np.zeros((len(names), len(places)))
    for column, repeat in enumerate(repeats):
        others = [other for other in range(len(repeats)) if other != column] or [column]
        means = tables[..., others].mean(axis=-1)
        for index, place in enumerate(places):
            if place[0] == repeat:
                strength[:, index] = _z_values(means[..., folds[:, column] != place[1]]).sum(axis=0)
    return Choice(tuple(names), tuple(places), strength)


def _z_values(values: Evidence) -> Evidence:
    """The mean of the last axis in its standard errors."""
    count = values.shape[-1]
    if count < 2:
        return np.zeros(values.shape[:-1])
    error = values.std(axis=-1, ddof=1) / np.sqrt(count)
    z_values: Evidence = values.mean(axis=-1) / np.maximum(error, 1e-12)
    return z_values
