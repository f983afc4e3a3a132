"""A contest over pictures with labels: which are learned from, which are held out, and how varied each class is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators.contest import Contest, Pair
from tenfold.networks.blocks import build

MOST_PENALISED = 3 * 32 * 32
"""Values of a picture up to which the gradient penalty grows with them. Growing on, it leaves the critic blind: a
dcgan drew noise at 128 x 128 pixels."""


def labelled_contest(
    pictures: Tensor,
    train: ImageDataset,
    generator: Callable[[], nn.Module],
    critic: Callable[[], nn.Module],
    hold_out: float,
    key: Key,
) -> Contest:
    """A contest whose condition is the label; classes are drawn equally often.

    Args:
        pictures: of `train` as the networks see them, float N x C x H x W.
        generator: makes the network; its first weights are drawn here, as the critic's are.
    """
    labels = torch.tensor(train.labels)
    learned, apart = held_out(train, hold_out, key)
    pool, own = pictures[learned], labels[learned]
    weights = 1 / torch.bincount(own, minlength=train.class_count).clamp(min=1)[own]

    def draw(count: int, random: torch.Generator) -> Pair:
        chosen = torch.multinomial(weights, count, replacement=True, generator=random)
        return pool[chosen], own[chosen]

    probe, spread = spread_of(pictures, labels, train.class_count)
    return Contest(
        generator=build(generator, (key / "generator").torch_generator()),
        critic=build(critic, (key / "critic").torch_generator()),
        draw=draw,
        probe=probe,
        probe_spread=spread,
        held_out=(pictures[apart], labels[apart]) if len(apart) else None,
        penalty_scale=min(pictures[0].numel(), MOST_PENALISED) / 64,
    )


def held_out(train: ImageDataset, share: float, key: Key) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices to learn from, and some to hold out for the critic's lead: of no class more than `share` of its images.

    None are held out where that would be fewer than eight.
    """
    apart: list[int] = []
    order = (key / "held out").numpy_generator().permutation(len(train))
    for label in range(train.class_count):
        members = order[train.labels[order] == label]
        apart += members[: int(len(members) * share)].tolist()
    if len(apart) < 8:
        apart = []
    return np.setdiff1d(np.arange(len(train)), apart), np.array(sorted(apart), dtype=np.int64)


def spread_of(pictures: Tensor, labels: Tensor, class_count: int) -> tuple[Tensor, Tensor]:
    """Up to 16 classes with two pictures or more, and how far each one's pictures differ: the probe of a contest."""
    told = [label for label in range(class_count) if int((labels == label).sum()) > 1][:16]
    told = told or [int(labels[0])]
    spread = [pictures[labels == label].std(0, correction=0).mean() for label in told]
    return torch.tensor(told), torch.stack(spread)
