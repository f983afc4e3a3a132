from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_problems import Judge, labelled
from torch import nn

from tenfold.core.keys import Key
from tenfold.generators.losses import (
    LARGEST_SHIFT,
    LIGHT,
    critic_loss,
    diffaugment,
    generator_loss,
    slope_penalty,
    unit_slope_penalty,
)
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


def coloured_images(batch: int = 6, channels: int = 3, side: int = 16, name: str = "pictures") -> torch.Tensor:
    return torch.rand(batch, channels, side, side, generator=Key(name).torch_generator()) * 2 - 1


def draws(name: object = "draws") -> torch.Generator:
    return Key(f"disturb/{name}").torch_generator()


def test_no_strength_changes_no_bit_and_draws_nothing() -> None:
    given_images, random = [coloured_images(), coloured_images(name="others")], draws()
    before = random.get_state()
    after = diffaugment(given_images, 0, random)
    assert all(torch.equal(one, other) for one, other in zip(after, given_images, strict=True))
    assert torch.equal(random.get_state(), before)


@settings(max_examples=40)
@given(
    st.integers(1, 5),
    st.sampled_from([1, 2, 3]),
    st.tuples(st.integers(2, 20), st.integers(2, 20)),
    st.floats(0.01, 2),
    st.integers(1, 4),
)
def test_all_images_of_a_row_are_changed_alike(
    batch: int, channels: int, sides: tuple[int, int], strength: float, copies: int
) -> None:
    one = torch.rand(batch, channels, *sides, generator=Key("one").torch_generator()) * 2 - 1
    before = one.clone()
    changed = diffaugment([one] * copies, strength, draws())
    assert len(changed) == copies
    assert torch.equal(one, before), "changed in place"
    for other in changed:
        assert other.shape == one.shape
        assert torch.equal(other, changed[0])
    assert torch.equal(diffaugment([one], strength, draws())[0], changed[0]), "not by how many there are"


def test_every_row_has_draws_of_its_own() -> None:
    row = coloured_images(1).expand(40, 3, 16, 16)
    changed = diffaugment([row], 1.0, draws())[0]
    assert len({one.numpy().tobytes() for one in changed}) == 40


def test_the_critics_view_lets_slopes_through() -> None:
    wanted = coloured_images().requires_grad_()
    other = coloured_images(name="other").requires_grad_()
    first, _ = diffaugment([wanted, other], 1.0, draws())
    first.sum().backward()
    assert wanted.grad is not None
    assert wanted.grad.sum((1, 2, 3)).ne(0).all(), "every row"
    assert other.grad is None or not other.grad.any(), "one batch leaks nothing into another"


def test_slopes_are_those_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(
        lambda x: diffaugment([x], 0.7, draws())[0], coloured_images(2, 3, 4).double().requires_grad_(), atol=1e-6
    )


@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0, 2.0])
def test_light_stays_within_its_range_and_reaches_it(strength: float) -> None:
    grey = torch.tensor([0.0, 1.0]).repeat(400)[:, None, None, None].expand(800, 1, 4, 4)
    offset_of_pairs = diffaugment([grey], strength, draws())[0]
    assert torch.allclose(offset_of_pairs.amax((1, 2, 3)), offset_of_pairs.amin((1, 2, 3))), "flat images stay flat"
    offset = offset_of_pairs[::2, 0, 0, 0]
    assert offset.abs().max() <= LIGHT * strength + 1e-6
    assert offset.max() > 0.9 * LIGHT * strength
    assert offset.min() < -0.9 * LIGHT * strength
    both = diffaugment([torch.ones(400, 1, 4, 4), torch.zeros(400, 1, 4, 4)], strength, draws())
    factor = (both[0] - both[1])[:, 0, 0, 0]
    assert (factor - 1).abs().max() <= LIGHT * strength + 1e-5
    assert factor.max() > 1 + 0.9 * LIGHT * strength
    assert factor.min() < 1 - 0.9 * LIGHT * strength


@pytest.mark.parametrize(("strength", "side"), [(0.5, 16), (1.0, 16), (1.0, 28), (2.0, 8), (0.01, 8)])
def test_shifts_are_by_whole_pixels_within_their_reach(strength: float, side: int) -> None:
    reach = max(1, round(strength * LARGEST_SHIFT * side))
    row, column = (torch.arange(float(side)) for _ in range(2))
    # Rows and columns as two images of a pair, each relative to the same light of a third and a fourth.
    given_images = [
        row[:, None].expand(500, 1, side, side),
        column[None, :].expand(500, 1, side, side),
        torch.ones(500, 1, side, side),
        torch.zeros(500, 1, side, side),
    ]
    down, across, one, zero = diffaugment(given_images, strength, draws())
    for moved in (down, across):
        source = (moved - zero) / (one - zero)
        assert torch.allclose(source, source.round(), atol=1e-3)
        middle = source[:, 0, side // 2, side // 2].round() - side // 2
        assert set(middle.int().tolist()) == set(range(-reach, reach + 1))
        assert source.min() > -1e-3, "what a shift uncovers repeats the edge"
        assert source.max() < side - 1 + 1e-3


def test_colours_of_three_channels_alone_change() -> None:
    for channels in (1, 2, 4):
        flat = torch.linspace(-1, 1, channels)[None, :, None, None].expand(50, channels, 4, 4)
        black, white = (torch.full((50, channels, 4, 4), value) for value in (0.0, 1.0))
        changed, zero, one = diffaugment([flat, black, white], 1.0, draws())
        assert torch.allclose((changed - zero) / (one - zero), flat, atol=1e-4), "light alone"
    colour = torch.tensor([1.0, 0.0, -1.0])[None, :, None, None].expand(400, 3, 4, 4)
    black, white = torch.zeros(400, 3, 4, 4), torch.ones(400, 3, 4, 4)
    changed, zero, one = diffaugment([colour, black, white], 1.0, draws())
    relit = ((changed - zero) / (one - zero))[:, :, 0, 0]
    assert torch.allclose(relit.mean(1), torch.zeros(400), atol=1e-5), "grey stays"
    factor = relit[:, 0]
    assert (factor - 1).abs().max() <= 2 * LIGHT + 1e-5
    assert factor.max() > 1 + 1.8 * LIGHT
    assert factor.min() < 1 - 1.8 * LIGHT


def test_a_grey_image_in_three_channels_stays_grey() -> None:
    grey = coloured_images(6, 1).expand(6, 3, 16, 16)
    changed = diffaugment([grey], 1.0, draws())[0]
    assert torch.allclose(changed, changed[:, :1].expand_as(changed), atol=1e-6)


def test_the_same_draws_give_the_same() -> None:
    first, again, other = (diffaugment([coloured_images()], 1.0, draws(name))[0] for name in "aab")
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_is_resampled_is_turned_alike_and_differentiable() -> None:
    one = torch.rand(6, 1, 16, 16, generator=Key("one").torch_generator())
    given = one.clone().requires_grad_()
    first, second = diffaugment([given, one], 1.0, Key("draws").torch_generator(), resampled=True)
    assert torch.equal(first, second)
    assert first.shape == one.shape
    plain, _ = diffaugment([one, one], 1.0, Key("draws").torch_generator())
    assert not torch.allclose(first, plain, atol=0.05)
    first.sum().backward()
    assert given.grad is not None
    assert given.grad.abs().sum() > 0
