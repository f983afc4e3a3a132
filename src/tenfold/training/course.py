"""The course of a classifier's training: which images come when, how fast it learns, which average is kept."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn


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


@torch.no_grad()
def follow(averaged: nn.Module, network: nn.Module, weight: float) -> None:
    """Move the average a step towards the network; batch statistics are averaged like weights."""
    pairs = [
        (slow, fast)
        for slow, fast in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True)
        if slow.is_floating_point()
    ]
    torch._foreach_lerp_([slow for slow, _ in pairs], [fast for _, fast in pairs], weight)
