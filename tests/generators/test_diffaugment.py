from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.core.keys import Key
from tenfold.generators.losses import LARGEST_SHIFT, LIGHT, diffaugment


def random_images(batch: int = 6, channels: int = 3, side: int = 16, name: str = "pictures") -> torch.Tensor:
    return torch.rand(batch, channels, side, side, generator=Key(name).torch_generator()) * 2 - 1


def draws(name: object = "draws") -> torch.Generator:
    return Key(f"disturb/{name}").torch_generator()


def test_no_strength_changes_no_bit_and_draws_nothing() -> None:
    given_images, random = [random_images(), random_images(name="others")], draws()
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
    row = random_images(1).expand(40, 3, 16, 16)
    changed = diffaugment([row], 1.0, draws())[0]
    assert len({one.numpy().tobytes() for one in changed}) == 40


def test_the_critics_view_lets_slopes_through() -> None:
    wanted = random_images().requires_grad_()
    other = random_images(name="other").requires_grad_()
    first, _ = diffaugment([wanted, other], 1.0, draws())
    first.sum().backward()
    assert wanted.grad is not None
    assert wanted.grad.sum((1, 2, 3)).ne(0).all(), "every row"
    assert other.grad is None or not other.grad.any(), "one batch leaks nothing into another"


def test_slopes_are_those_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(
        lambda x: diffaugment([x], 0.7, draws())[0], random_images(2, 3, 4).double().requires_grad_(), atol=1e-6
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
    grey = random_images(6, 1).expand(6, 3, 16, 16)
    changed = diffaugment([grey], 1.0, draws())[0]
    assert torch.allclose(changed, changed[:, :1].expand_as(changed), atol=1e-6)


def test_the_same_draws_give_the_same_and_no_other_generator_is_touched() -> None:
    state = torch.get_rng_state()
    first, again, other = (diffaugment([random_images()], 1.0, draws(name))[0] for name in "aab")
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


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
