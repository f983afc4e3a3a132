"""The transform Classical: its draws follow the law that Ranges states, and its images follow the draws."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from scipy import stats

from tenfold.augment.classical import VALUES_IN_CACHE, Classical
from tenfold.augment.sampled_parameters import Flips, Ranges, SampledParameters
from tenfold.augment.tensors import Noise
from tenfold.core.keys import Key

RANGES = Ranges(
    degrees=20,
    shift=0.1,
    zoom=0.3,
    shear=0.2,
    bend=0.05,
    brightness=0.2,
    contrast=0.4,
    saturation=0.5,
    noise=0.3,
    erase=0.4,
)
COUNT = 4000
LEAST_P = 1e-3
"""Draws are fixed by the key, so a test passes or fails for ever; a true law fails one in a thousand keys."""


def random_images(count: int, shape: tuple[int, int, int] = (1, 12, 12), key: str = "pictures") -> torch.Tensor:
    return torch.rand(count, *shape, generator=Key(key).torch_generator())


def generator(key: str = "draws") -> torch.Generator:
    return Key(key).torch_generator()


@pytest.fixture(scope="module")
def changes() -> SampledParameters:
    return Classical(RANGES, flips="both").draw(COUNT, generator())


def assert_uniform(values: torch.Tensor, low: float, high: float) -> None:
    law = stats.uniform(low, high - low)
    assert stats.kstest(values.double().numpy(), law.cdf).pvalue > LEAST_P


def test_the_draws_follow_the_stated_uniform_laws(changes: SampledParameters) -> None:
    assert_uniform(changes.degrees, -20, 20)
    assert_uniform(changes.shift[:, 0], -0.1, 0.1)
    assert_uniform(changes.shift[:, 1], -0.1, 0.1)
    assert_uniform(changes.shear, -0.2, 0.2)
    assert_uniform(changes.brightness, -0.2, 0.2)
    assert_uniform(changes.contrast.log(), -0.4, 0.4)
    assert_uniform(changes.saturation.log(), -0.5, 0.5)
    assert_uniform(changes.noise, 0, 0.3)
    assert_uniform(changes.bend.flatten(), -0.05, 0.05)
    logs = changes.size.abs().log()
    assert_uniform(logs.mean(1), -0.3, 0.3)
    assert_uniform(logs[:, 0] - logs[:, 1], -0.3, 0.3)


def test_draws_of_different_kinds_have_nothing_to_do_with_one_another(changes: SampledParameters) -> None:
    columns = [changes.degrees, *changes.shift.T, changes.shear, changes.brightness, changes.contrast, changes.noise]
    correlation = np.corrcoef(torch.stack(columns).numpy()) - np.eye(len(columns))
    assert np.abs(correlation).max() < 4 / math.sqrt(COUNT)


def test_boxes_have_the_stated_area_ratio_place_and_frequency(changes: SampledParameters) -> None:
    covered = changes.boxes[changes.boxes[:, 2] > 0]
    assert stats.binomtest(len(covered), COUNT, 0.4).pvalue > LEAST_P
    assert_uniform(4 * covered[:, 2] * covered[:, 3], 0.05, 0.20)
    assert_uniform((covered[:, 3] / covered[:, 2]).log(), -1, 1)
    assert_uniform(covered[:, 0], -0.5, 0.5)
    assert_uniform(covered[:, 1], -0.5, 0.5)


def test_the_share_of_covered_pixels_is_the_boxes_area() -> None:
    change = Classical(Ranges(erase=1.0))
    given = torch.ones(300, 1, 64, 64)
    given[:, :, 1:-1, 1:-1] = 0.0  # only a box brings the border's colour inside
    drawn = change.draw(300, generator())
    shares = change.apply(given, drawn, generator())[:, 0, 1:-1, 1:-1].mean((1, 2))
    centre, half = drawn.boxes[:, :2], drawn.boxes[:, 2:]
    cut = (centre + half).clamp(max=0.5) - (centre - half).clamp(min=-0.5)
    assert torch.allclose(shares, cut.prod(1), atol=0.03)


@pytest.mark.parametrize(
    ("flips", "expected"), [("no", [1, 0, 0, 0]), ("horizontal", [2, 2, 0, 0]), ("both", [1] * 4)]
)
def test_flips_come_as_often_as_they_should(flips: Flips, expected: list[int]) -> None:
    image = random_images(1)
    many = Classical(Ranges(), flips=flips)(image.repeat(COUNT, 1, 1, 1), generator())
    forms = [image, image.flip(3), image.flip(2), image.flip(2, 3)]
    counts = [int((many - form).abs().amax((1, 2, 3)).lt(1e-4).sum()) for form in forms]
    assert sum(counts) == COUNT
    possible = [count for count, share in zip(counts, expected, strict=True) if share]
    assert [count > 0 for count in counts] == [share > 0 for share in expected]
    assert len(possible) == 1 or stats.chisquare(possible).pvalue > LEAST_P


def test_quarter_turns_are_the_four_turns_equally_often() -> None:
    image = random_images(1, (3, 9, 9))
    many = Classical(Ranges(), quarter_turns=True)(image.repeat(COUNT, 1, 1, 1), generator())
    counts = [int((many - image.rot90(k, (2, 3))).abs().amax((1, 2, 3)).lt(1e-4).sum()) for k in range(4)]
    assert sum(counts) == COUNT
    assert stats.chisquare(counts).pvalue > LEAST_P


def test_quarter_turns_of_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        Classical(quarter_turns=True)(random_images(2, (1, 4, 6)))


def only(**values: torch.Tensor) -> SampledParameters:
    """Changes of one image in which all but these is left as it is."""
    still = Classical(Ranges()).draw(1, generator())
    return SampledParameters(**{**{field.name: getattr(still, field.name) for field in fields(still)}, **values})


def test_the_image_is_turned_moved_and_enlarged_the_way_that_is_told() -> None:
    image = torch.zeros(1, 1, 41, 41)
    image[0, 0, 20, 30] = 1  # a dot 10 pixels right of the centre
    change = Classical(Ranges(degrees=90, shift=0.5, zoom=1, shear=1))

    def place(**values: torch.Tensor) -> tuple[int, int]:
        """Rightwards and upwards from the centre."""
        where = int(change.apply(image, only(**values), generator()).argmax())
        return where % 41 - 20, 20 - where // 41

    assert place(degrees=torch.tensor([90.0])) == (0, 10)  # anticlockwise
    assert place(shift=torch.tensor([[5 / 41, 0]])) == (15, 0)
    assert place(shift=torch.tensor([[0, 5 / 41]])) == (10, -5)
    assert place(size=torch.tensor([[1.5, 1.0]])) == (15, 0)
    assert place(size=torch.tensor([[-1.0, 1.0]])) == (-10, 0)


def test_light_is_the_stated_linear_map() -> None:
    image = random_images(1, (3, 6, 6))
    change = Classical(Ranges(brightness=1, contrast=1, saturation=1))
    drawn = only(brightness=torch.tensor([0.1]), contrast=torch.tensor([0.5]), saturation=torch.tensor([0.2]))
    grey = (image * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    expected = 0.5 * (grey + 0.2 * (image - grey) - 0.5) + 0.5 + 0.1 * 0.5
    assert torch.allclose(change.apply(image, drawn, generator()), expected, atol=1e-6)


def noisy(count: int, side: int, deviation: torch.Tensor) -> torch.Tensor:
    black = torch.zeros(count, 3, side, side)
    return Noise(black, deviation, generator()).add_to(black)


def test_noise_is_normal_independent_and_as_strong_as_drawn() -> None:
    deviation = torch.linspace(0.1, 2, 40)
    noise = noisy(40, 32, deviation) / deviation.view(-1, 1, 1, 1)
    assert stats.kstest(noise[::8].flatten().numpy(), "norm").pvalue > LEAST_P
    flat = noise.flatten(1).numpy()
    correlation = np.corrcoef(flat) - np.eye(40)
    assert np.abs(correlation).max() < 5 / math.sqrt(flat.shape[1])
    neighbours = np.corrcoef(flat[:, :-1].ravel(), flat[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 4 / math.sqrt(flat.size)


def test_noise_serves_images_larger_than_its_bank() -> None:
    large = noisy(2, 700, torch.ones(2))
    assert large.std() == pytest.approx(1, abs=0.01)
    assert not torch.equal(large[0], large[1])


def test_policies_grow_in_strength() -> None:
    images = random_images(200)
    named = ("light", "standard", "strong")
    moved = [float((Classical(policy)(images, generator()) - images).abs().mean()) for policy in named]
    assert moved == sorted(moved)


def test_shifts_by_whole_pixels_keep_images_sharp() -> None:
    images = random_images(20, (3, 16, 16))
    sharp, blurred = (
        Classical(Ranges(shift=0.125, whole_pixels=whole), flips="horizontal")(images, generator())
        for whole in (True, False)
    )
    inner = sharp[:, :, 2:-2, 2:-2].flatten(1)
    windows = torch.cat([images, images.flip(3)]).unfold(2, 12, 1).unfold(3, 12, 1).movedim(1, 3).flatten(3)
    windows = windows.view(2, 20, -1, inner.shape[1]).transpose(0, 1).flatten(1, 2)
    nearest = (windows - inner[:, None]).abs().amax(2).amin(1)
    assert nearest.max() < 1e-4
    assert (blurred - sharp).abs().mean() > 0.05


def test_a_batch_too_large_for_the_cache_is_changed_as_its_parts_are() -> None:
    change = Classical(Ranges(degrees=30, shift=0.1, bend=0.1, contrast=0.5, saturation=0.5, erase=0.5))
    images = random_images(40, (3, 64, 64))
    assert 3 * images.numel() > 2 * VALUES_IN_CACHE
    drawn = change.draw(40, generator())
    whole = change.apply(images, drawn, generator())
    for index in (0, 21, 39):
        part = slice(index, index + 1)
        assert torch.allclose(whole[part], change.apply(images[part], drawn.part(part), generator()), atol=1e-6)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "unchanged"),
        ({"degrees": torch.tensor([12.4])}, "+12°"),
        ({"size": torch.tensor([[-1.0, 1.0]])}, "mirrored"),
        ({"size": torch.tensor([[1.2, 1.2]]), "noise": torch.tensor([0.03])}, "size 1.20, noise 0.03"),
        ({"shift": torch.tensor([[0.04, -0.01]]), "boxes": torch.tensor([[0, 0, 0.1, 0.1]])}, "shift +4 % -1 %, box"),
    ],
)
def test_changes_are_told_in_words(values: dict[str, torch.Tensor], text: str) -> None:
    assert only(**values).describe(0) == text


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graphics_card_makes_the_same_images_from_a_generator_on_the_cpu() -> None:
    images = (random_images(32, (3, 40, 40)) * 255).to(torch.uint8)
    change = Classical("strong", flips="both")
    assert torch.allclose(change(images, generator()), change(images.cuda(), generator()).cpu(), atol=1e-3)
