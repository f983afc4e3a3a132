from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tenfold.core.keys import Key
from tenfold.networks.blocks import build
from tenfold.training.schedule import (
    Average,
    Schedule,
    cosine,
    inverse_decay,
    late_cosine,
    linear,
    warming_cosine,
)


@pytest.mark.parametrize(
    ("schedule", "first", "middle", "last"),
    [
        (warming_cosine(0.1), 0.1, 0.587, 0.0),
        (linear(0.25), 1.0, 0.625, 0.2575),
        (cosine, 1.0, 0.5, 0.00025),
        (late_cosine, 1.0, 1.0, 0.01),
        (inverse_decay, 1.1**-0.75, 6.1**-0.75, 11**-0.75),
    ],
)
def test_where_a_schedule_begins_and_ends(schedule: Schedule, first: float, middle: float, last: float) -> None:
    result = (schedule(0, 100), schedule(50, 100), schedule(99, 100))
    assert result == pytest.approx((first, middle, last), abs=0.02)
    assert all(schedule(number, 100) >= schedule(number + 1, 100) for number in range(20, 99))


def networks() -> tuple[nn.Sequential, nn.Sequential]:
    slow = build(lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), Key("slow").torch_generator())
    fast = copy.deepcopy(slow)
    with torch.no_grad():
        for value in fast.state_dict().values():
            value.add_(8)
    return slow, fast


@pytest.mark.parametrize("copies_buffers", [False, True])
def test_an_average_moves_where_it_is_due(copies_buffers: bool) -> None:
    slow, fast = networks()
    before = copy.deepcopy(slow.state_dict())
    average = Average("n", "a", lambda number, steps: 0.25 if number % 2 == 0 else 0.0, copies_buffers)
    average.update(slow, fast, 1, 9)
    assert all(torch.equal(value, before[name]) for name, value in slow.state_dict().items())
    average.update(slow, fast, 2, 9)
    torch.testing.assert_close(slow[0].weight.detach(), before["0.weight"] + 2)
    torch.testing.assert_close(slow[1].running_mean, before["1.running_mean"] + (8 if copies_buffers else 2))
    assert slow[1].num_batches_tracked == (8 if copies_buffers else 0)


def test_an_average_that_moves_all_the_way_is_the_network_as_it_is_then() -> None:
    slow, fast = networks()
    average = Average("n", "a", lambda number, steps: 1.0)
    for _ in range(2):
        with torch.no_grad():
            fast[0].weight.add_(1)
        average.update(slow, fast, 1, 9)
        torch.testing.assert_close(slow[0].weight, fast[0].weight)
