"""Results of trainings, picked by their configuration, and the tables that are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tenfold.claims.training import unpacked
from tenfold.evaluation.external_test import mean_interval
from tenfold.runs import Finished

Shares = npt.NDArray[np.float64]
"""R, a share a seed; or test images x R, 1 where recognised."""


@dataclass(frozen=True)
class Figure:
    """A number of a table; an interval where there is one, and the single values that it is the mean of."""

    estimate: float
    low: float | None = None
    high: float | None = None
    each: tuple[float, ...] = ()


@dataclass(frozen=True)
class Table:
    """Figures as rows by columns."""

    title: str
    unit: Literal["%", "points"]
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[Figure | None]]
    note: str = ""


class Results(tuple[Finished, ...]):
    """Finished trainings."""

    def of(self, **wanted: Any) -> Results:
        """Those whose configuration holds these values, in the order of their seeds."""
        chosen = [one for one in self if wanted.items() <= one.job.config.items()]
        return Results(sorted(chosen, key=lambda one: int(one.job.config.get("seed", 0))))

    def each(self, name: str) -> list[Any]:
        """One value of every result."""
        return [one.result[name] for one in self]

    def settings(self, name: str) -> list[Any]:
        """The different values of a setting, in ascending order."""
        return sorted({one.job.config[name] for one in self if name in one.job.config})

    def recognised(self, arm: str | None = None) -> Shares:
        """Test images x R, 1 where recognised: results hold `correct` as `packed` gave it and `test_images`.

        Args:
            arm: of trainings of several arms, whose results hold `correct` under `arms` and the arm's name.
        """
        told = [one.result if arm is None else one.result["arms"][arm] for one in self]
        counts = self.each("test_images")
        columns = [unpacked(one["correct"], count) for one, count in zip(told, counts, strict=True)]
        return np.stack(columns, axis=1).astype(np.float64)


def figure(values: Shares | Sequence[float]) -> Figure:
    """The mean over seeds with Student's interval; of a table of test images each seed's mean is one value."""
    each = np.asarray(values, np.float64)
    each = each.mean(axis=0) if each.ndim == 2 else each
    interval = mean_interval(each.tolist())
    return Figure(interval.estimate, interval.low, interval.high, tuple(map(float, each)))


def figures(columns: Iterable[Shares | Sequence[float]]) -> list[Figure | None]:
    """A row of a table."""
    return [figure(values) for values in columns]


Rows = dict[str, list[Figure | None]]


def difference_names(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Headings of columns: an arm and the one that it is compared with."""
    return [" − ".join(pair) for pair in pairs]
