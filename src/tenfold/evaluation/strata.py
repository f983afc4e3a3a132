"""Classes as strata of a table of groups: a rare class is judged on few groups, of which each weighs much.

Every class counts the same, so that with classes of 20 : 1 half of the variance comes from one image in 21. Where
those few happen to be judged alike, their own squares say that there is no variance: intervals held a true gain in
85 % of simulated studies. So each class's squares are averaged with those of all groups, as if twelve more were seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PRIOR_GROUPS = 12
"""Groups of average variance that each class is credited with.

With 5, intervals of 420 images of 20 : 1, one arm better, hold the truth in 91.0 % of studies of ten repeats, with 12
in 94.2 %, and 20 cost power; what is found among equal classes does not depend on it. Of 600 studies each.
"""
MOST_LEVERAGE = 0.9
"""Of one group in its class: where it is nearly the whole class, its distance from the class says nothing."""


@dataclass(frozen=True, eq=False)
class Strata:
    """Of each of n groups the class that weighs most in it, and the share of 1 that its images weigh together."""

    classes: Indices
    weights: Floats

    @classmethod
    def of(cls, labels: Indices, weights: Floats, groups: Indices) -> Strata:
        """Those of the rows of `crossed.group_table`, from N images."""
        counted = weights > 0
        _, rows = np.unique(groups[counted], return_inverse=True)
        of_classes = np.zeros((rows.max() + 1, int(labels.max()) + 1))
        np.add.at(of_classes, (rows, labels[counted]), weights[counted])
        return cls(of_classes.argmax(axis=1), of_classes.sum(axis=1))

    def residuals(self, table: Floats) -> Floats:
        """n x R: each group's distance from what the mean of its class gives a group of its weight."""
        of_classes = np.bincount(self.classes, weights=table.mean(axis=1))
        return table - (self._leverage * of_classes[self.classes])[:, None]

    def squares(self, table: Floats) -> Floats:
        """n: the parts, one a group, of the variance of the table's mean.

        The jackknife's: a group's distance is measured from the mean of the others of its class.
        Source: Bell and McCaffrey 2002, CR3.
        """
        n, members = len(table), np.bincount(self.classes)[self.classes]
        distance = self.residuals(table).mean(axis=1) / n / (1 - np.minimum(self._leverage, MOST_LEVERAGE))
        own = distance**2 * (members - 1) / members
        average = float(np.mean(own / self.weights**2)) * self.weights**2
        parts: Floats = (members * own + PRIOR_GROUPS * average) / (members + PRIOR_GROUPS)
        return parts

    @property
    def _leverage(self) -> Floats:
        """n: the group's share of the weight of its class."""
        shares: Floats = self.weights / np.bincount(self.classes, weights=self.weights)[self.classes]
        return shares
