from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tenfold.training.step import descend, descend_in_parts, is_finite


def test_descending_starts_from_no_gradient() -> None:
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], 0.5)
    for _ in range(2):
        descend(optimizer, weight.sum())
    assert weight.item() == 0.0


@pytest.mark.parametrize(("parts", "sizes"), [(1, [10]), (2, [5, 5]), (4, [3, 3, 2, 2])])
def test_parts_of_a_batch_make_the_step_of_the_whole(parts: int, sizes: list[int]) -> None:
    values, weight, seen = torch.arange(10.0), nn.Parameter(torch.ones(1)), []
    other = nn.Parameter(torch.zeros(1))
    optimizers = [torch.optim.SGD([weight], 0.1), torch.optim.SGD([other], 1.0)]

    def loss_of(mine: Tensor, twice: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        seen.append(len(mine))
        assert torch.equal(2 * mine, twice)
        loss = (weight * mine + other).mean()
        return loss, {"loss": loss.detach(), "mean": mine.mean()}

    for _ in range(2):  # gradients of the first are gone in the second
        losses = descend_in_parts(optimizers, (values, 2 * values), parts, loss_of)
    assert seen == 2 * sizes
    assert losses["mean"].item() == pytest.approx(4.5)
    assert weight.item() == pytest.approx(1 - 2 * 0.1 * 4.5)
    assert other.item() == pytest.approx(-2.0)


def test_finite_is_what_all_values_are() -> None:
    assert is_finite(torch.ones(3), torch.zeros(2))
    assert not is_finite(torch.ones(3), torch.tensor([0.0, torch.nan]))
    assert not is_finite(torch.tensor(torch.inf))
