"""Timing by turns: on a machine that is shared, only what was timed at the same time can be compared."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tenfold.core.keys import Key

Seconds = npt.NDArray[np.float64]
"""The seconds of one call, a value for each round."""


class Ratio(NamedTuple):
    """How many times as fast as a peer: the median over the rounds, and the quartiles."""

    median: float
    lower: float
    upper: float


def paired_ratio(ours: Seconds, peer: Seconds) -> Ratio:
    """The peer's seconds over ours, round by round: what slows the machine down for a while slows both.

    Raises: ValueError when the two were not timed in the same rounds.
    """
    if ours.shape != peer.shape or not len(ours):
        raise ValueError(f"{ours.shape} rounds and {peer.shape} rounds are not pairs")
    lower, median, upper = np.quantile(peer / ours, [0.25, 0.5, 0.75])
    return Ratio(float(median), float(lower), float(upper))


def timed(call: Callable[[], object], count: int, synchronise: Callable[[], None]) -> float:
    """Seconds of one call, the mean of `count` in a row."""
    synchronise()
    start = time.perf_counter()
    for _ in range(count):
        call()
    synchronise()
    return (time.perf_counter() - start) / count


def take_turns(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    seconds_a_turn: float,
    synchronise: Callable[[], None] = lambda: None,
) -> dict[str, Seconds]:
    """The seconds of each call in each round; in a round everyone has one turn, in an order that is drawn anew."""
    counts: dict[str, int] = {}
    for name, call in calls.items():
        timed(call, 2, synchronise)  # warm-up: memory, caches, kernels
        counts[name] = max(1, math.ceil(seconds_a_turn / timed(call, 1, synchronise)))
    generator = Key("benchmark/turns").numpy_generator()
    seconds = {name: np.empty(rounds) for name in calls}
    for turn in range(rounds):
        for name in generator.permutation(list(calls)).tolist():
            seconds[name][turn] = timed(calls[name], counts[name], synchronise)
    return seconds
