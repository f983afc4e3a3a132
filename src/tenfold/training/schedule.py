"""The course of a training: which images come when, how fast it learns, which average of the weights is kept.

Trainings differ in all three, and their numbers depend on it: schedules and averages are handed to the loop as data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Schedule = Callable[[int, int], float]
"""(steps taken before this one, steps in all) -> the share of the learning rate for this step."""


def draw_plan(
    labels: npt.NDArray[np.int64],
    class_count: int,
    steps: int,
    batch_size: int,
    most_repeats: float,
    generator: torch.Generator,
) -> Tensor:
    """Which image stands where in which batch: steps x batch size, drawn once for the whole training.

    Classes get equal shares, since balanced accuracy is what counts, except that no image is drawn more than
    `most_repeats` times as often as plain drawing would; within a class every image comes once before any
    comes twice.
    """
    total = steps * batch_size
    counts = np.bincount(labels, minlength=class_count)
    share = _class_shares(counts, most_repeats)
    quota = np.ceil(total * share / share.sum()).astype(int)
    streams = []
    for label in np.flatnonzero(counts):
        members = torch.from_numpy(np.flatnonzero(labels == label))
        rounds = -(-quota[label] // len(members))
        orders = torch.rand(rounds, len(members), generator=generator).argsort(1).flatten()[: quota[label]]
        # Spread each class evenly over the whole training, with jitter: every batch is close to balanced.
        position = (torch.arange(len(orders)) + torch.rand(len(orders), generator=generator)) / len(orders)
        streams.append((position, members[orders]))
    position = torch.cat([stream[0] for stream in streams])
    order = torch.cat([stream[1] for stream in streams])[position.argsort()]
    return order[:total].view(steps, batch_size)


def _class_shares(counts: npt.NDArray[np.int64], most_repeats: float) -> npt.NDArray[np.float64]:
    """Equal shares where a class's limit allows them; what rare classes may not take, the others share."""
    limit = most_repeats * counts / counts.sum()
    share = np.zeros(len(counts))
    rarest_first = [label for label in np.argsort(counts) if counts[label]]
    for place, label in enumerate(rarest_first):
        share[label] = min(limit[label], (1 - share.sum()) / (len(rarest_first) - place))
    return share


def warm_cosine(progress: float, warmup_share: float) -> float:
    """The share of the learning rate at this share of all steps: up in a line, then down along one cosine."""
    if progress < warmup_share:
        return progress / warmup_share
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup_share) / (1 - warmup_share)))


def warming_cosine(warmup_share: float) -> Schedule:
    """Of classifiers: `warm_cosine`, counted from the first step's end, so that the last step's rate is 0."""
    return lambda number, steps: warm_cosine((number + 1) / steps, warmup_share)


def inverse_decay(number: int, steps: int) -> float:
    """(1 + 10 p)^-0.75, counted from the first step's end.

    Source: Ganin et al. 2016, section 5.2.2.
    """
    return float((1 + 10 * ((number + 1) / steps)) ** -0.75)


def linear(last: float) -> Schedule:
    """Of adversarial trainings: from 1 evenly to `last`."""
    return lambda number, steps: 1 - (1 - last) * (number / steps)


def cosine(number: int, steps: int) -> float:
    """From 1 to 0 along one cosine."""
    return 0.5 * (1 + math.cos(math.pi * number / steps))


def late_cosine(number: int, steps: int) -> float:
    """1 for half of the training, then down to 1 % along a cosine."""
    share = number / steps
    return 1.0 if share < 0.5 else max(0.01, 0.5 * (1 + math.cos(math.pi * (2 * share - 1))))


@dataclass(eq=False)
class Average:
    """A moving average of one network's weights, as the loop takes it after each step."""

    network: str
    """The names of the network and of its average among the networks of a step."""
    averaged: str
    weight: Callable[[int, int], float]
    """(steps taken, steps in all) -> how far the average moves towards the network; 0 where it does not move."""
    copies_buffers: bool = False
    """Buffers, such as the statistics of batch normalisation, are copied; otherwise averaged like weights."""
    _pairs: tuple[list[Tensor], list[Tensor], list[tuple[Tensor, Tensor]]] | None = field(default=None, init=False)
    """What moves, towards what, and what is copied; found once, since that takes longer than moving them."""

    @torch.no_grad()
    def update(self, averaged: nn.Module, network: nn.Module, number: int, steps: int) -> None:
        """After step `number`, counted from 1; the networks are the same ones each time."""
        weight = self.weight(number, steps)
        if not weight:
            return
        self._pairs = self._pairs or self._pairs_of(averaged, network)
        slow, fast, copied = self._pairs
        torch._foreach_lerp_(slow, fast, weight)
        for target, source in copied:
            target.copy_(source)

    def _pairs_of(self, *both: nn.Module) -> tuple[list[Tensor], list[Tensor], list[tuple[Tensor, Tensor]]]:
        if self.copies_buffers:
            slow, fast = (list[Tensor](network.parameters()) for network in both)
            return slow, fast, list(zip(*(network.buffers() for network in both), strict=True))
        slow, fast = ([one for one in each.state_dict().values() if one.is_floating_point()] for each in both)
        return slow, fast, []
