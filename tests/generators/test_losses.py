from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_up_problems import Judge, labelled
from torch import nn

from tenfold.core.keys import Key
from tenfold.generators.losses import critic_loss, generator_loss, slope_penalty, unit_slope_penalty
from tenfold.networks.blocks import build

scores = st.lists(st.tuples(*(st.floats(-30, 30, width=32),) * 2), min_size=1, max_size=8)


def softplus(values: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, values)


CRITICS = {
    "relativistic": lambda real, fake: softplus(fake - real).mean(),
    "binary": lambda real, fake: -np.log(1 / (1 + np.exp(-np.r_[real, -fake]))).mean(),
    "wasserstein": lambda real, fake: fake.mean() - real.mean(),
}
GENERATORS = {
    "relativistic": lambda real, fake: softplus(real - fake).mean(),
    "binary": lambda real, fake: softplus(-fake).mean(),
    "wasserstein": lambda real, fake: -fake.mean(),
}


@given(scores, st.sampled_from(sorted(CRITICS)))
def test_losses_are_their_formulas(pairs: list[tuple[float, float]], kind: str) -> None:
    real, fake = torch.tensor(pairs, dtype=torch.float64).T
    expected = CRITICS[kind](real.numpy(), fake.numpy()), GENERATORS[kind](real.numpy(), fake.numpy())
    assert critic_loss(kind, real, fake).item() == pytest.approx(expected[0], rel=1e-6, abs=1e-9)
    assert generator_loss(kind, real, fake).item() == pytest.approx(expected[1], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", sorted(CRITICS))
def test_the_two_pull_in_opposite_directions(kind: str) -> None:
    real = torch.zeros(3)
    slopes = []
    for loss in (critic_loss, generator_loss):
        fake = torch.zeros(3, requires_grad=True)
        loss(kind, real, fake).backward()
        slopes.append(fake.grad)
    assert (slopes[0] > 0).all(), "the critic lowers the scores of what was generated"
    assert (slopes[1] < 0).all(), "and the generator raises them"


@pytest.mark.parametrize("kind", ["binary", "wasserstein"])
def test_only_the_relativistic_loss_looks_at_real_images(kind: str) -> None:
    fake = torch.tensor([0.5, -1.0])
    assert torch.equal(generator_loss(kind, None, fake), generator_loss(kind, torch.tensor([9.0, 9.0]), fake))


class Linear(nn.Module):
    """A critic whose slope is known: its weights, whatever the image."""

    def __init__(self, slope: torch.Tensor) -> None:
        super().__init__()
        self.slope = nn.Parameter(slope)

    def forward(self, images: torch.Tensor, condition: torch.Tensor, fade: float = 1.0) -> torch.Tensor:
        return (images * self.slope).sum((1, 2, 3)) + 5


def random_images(name: str, count: int = 4, channels: int = 1) -> torch.Tensor:
    return torch.rand(count, channels, 6, 6, generator=Key(name).torch_generator()) * 2 - 1


@pytest.mark.parametrize("size", [0.0, 0.5, 3.0])
def test_the_penalties_of_a_linear_critic_follow_from_its_weights(size: float) -> None:
    slope = torch.zeros(1, 6, 6)
    slope[0, 2, 3], slope[0, 4, 1] = 0.6 * size, 0.8 * size
    critic, labels = Linear(slope), torch.zeros(4, dtype=torch.int64)
    given_images = random_images("real").requires_grad_()
    assert slope_penalty(critic(given_images, labels), given_images).item() == pytest.approx(size**2, abs=1e-6)
    unit = unit_slope_penalty(
        critic, random_images("real"), random_images("fake"), labels, 1.0, Key("between").torch_generator()
    )
    assert unit.item() == pytest.approx((size - 1) ** 2, abs=1e-5)


def test_the_slope_of_the_unit_penalty_is_right_too() -> None:
    """Of (|w| - 1)^2 by w: 2 (|w| - 1) w / |w|."""
    slope = random_images("slope", 1)[0]
    critic, labels = Linear(slope.clone()), torch.zeros(4, dtype=torch.int64)
    unit_slope_penalty(
        critic, random_images("a"), random_images("b"), labels, 1.0, Key("between").torch_generator()
    ).backward()
    expected = 2 * (slope.norm() - 1) * slope / slope.norm()
    assert torch.allclose(critic.slope.grad, expected, atol=1e-5)


def numeric_slopes(critic: nn.Module, at: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """By central differences, one value of an image at a time; B x values."""
    columns, step = [], 1e-5
    for index in range(at[0].numel()):
        moved = torch.zeros_like(at).flatten(1)
        moved[:, index] = step
        moved = moved.view_as(at)
        columns.append((critic(at + moved, labels, 1.0) - critic(at - moved, labels, 1.0)) / (2 * step))
    return torch.stack(columns, 1).detach()


@pytest.mark.parametrize("channels", [1, 3])
def test_penalties_are_those_of_finite_differences(channels: int) -> None:
    critic = build(lambda: Judge(channels), Key("critic").torch_generator()).double()
    real, fake = (random_images(name, 4, channels).double() for name in ("real", "fake"))
    labels = torch.tensor([0, 1, 1, 0])
    at = real.clone().requires_grad_()
    expected = numeric_slopes(critic, real, labels).square().sum(1).mean()
    assert slope_penalty(critic(at, labels, 1.0), at).item() == pytest.approx(expected.item(), rel=1e-5)

    share = torch.rand(4, 1, 1, 1, generator=Key("between").torch_generator()).double()
    norms = numeric_slopes(critic, share * real + (1 - share) * fake, labels).norm(dim=1)
    result = unit_slope_penalty(critic, real, fake, labels, 1.0, Key("between").torch_generator())
    assert result.item() == pytest.approx((norms - 1).square().mean().item(), rel=1e-4)


def test_a_flat_critic_gives_slopes_that_are_numbers() -> None:
    critic = Linear(torch.zeros(1, 6, 6))
    penalty = unit_slope_penalty(
        critic, random_images("a"), random_images("b"), torch.zeros(4), 1.0, Key("x").torch_generator()
    )
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert critic.slope.grad is not None
    assert critic.slope.grad.isfinite().all()


def test_a_problem_goes_to_a_device_as_a_whole() -> None:
    held_out = (random_images("held", 8), torch.zeros(8, dtype=torch.int64))
    problem = labelled(Key("x"), held_out=held_out)
    moved = problem.to(torch.device("meta"))
    assert moved is problem
    tensors = [moved.probe, moved.probe_spread, *moved.held_out]
    tensors += [*moved.generator.parameters(), *moved.critic.parameters()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
