"""Against Pillow, which does the same to one image of 8 bits at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance, ImageOps

from made_up_images import noise_image
from tenfold.augment import operations as tones
from tenfold.augment.operations import KNOTS, border_colour, sampling_grid, warp
from tenfold.augment.tensors import SIGNED, UNIT, Range, to_float
from tenfold.core.keys import Key

IDENTITY = torch.tensor([[1.0, 0, 0], [0, 1, 0]])


def random_images(count: int = 6, shape: tuple[int, int, int] = (1, 12, 12), key: str = "pictures") -> torch.Tensor:
    return torch.rand(count, *shape, generator=Key(key).torch_generator()) * 2 - 1


def turned(angle: float, dx: float = 0, dy: float = 0) -> torch.Tensor:
    cosine, sine = math.cos(angle), math.sin(angle)
    return torch.tensor([[[cosine, -sine, dx], [sine, cosine, dy]]])


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 45, 45), (1, 5, 9), (4, 1, 7)], ids=str)
def test_the_identity_changes_nothing(shape: tuple[int, int, int]) -> None:
    given = random_images(shape=shape)
    grid = sampling_grid(IDENTITY.expand(6, 2, 3), *shape[1:])
    # Coordinates in half sides are rounded, so this is not exact to the bit; Classical leaves the warp out.
    assert torch.allclose(warp(given, grid), given, atol=2e-5)


def test_a_shift_by_whole_pixels_moves_the_image() -> None:
    given = random_images(shape=(1, 8, 8))
    given[:, :, [0, -1]] = given[:, :, :, [0, -1]] = 0.25  # a border of one colour fills what is uncovered
    matrix = IDENTITY.repeat(6, 1, 1)
    matrix[:, 0, 2] = 1
    moved = warp(given, sampling_grid(matrix, 8, 8))
    assert torch.allclose(moved[..., :-1], given[..., 1:], atol=1e-5)
    assert torch.allclose(moved[..., -1], torch.tensor(0.25), atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (5, 9), (28, 28)], ids=str)
def test_the_grid_is_torchs_own_in_another_unit(size: tuple[int, int]) -> None:
    matrix = torch.randn(7, 2, 3, generator=Key("matrix").torch_generator())
    height, width = size
    halves = torch.tensor([width / 2, height / 2])
    in_halves = matrix * torch.tensor([width / 2, height / 2, 1]) / halves[:, None]
    expected = F.affine_grid(in_halves, [7, 1, *size], align_corners=False)
    assert torch.allclose(sampling_grid(matrix, *size), expected, atol=1e-5)


def test_a_turn_keeps_right_angles_in_images_that_are_not_square() -> None:
    grid = sampling_grid(turned(0.5), 20, 40)[0] * torch.tensor([20.0, 10.0])
    across, down = grid[10, 21] - grid[10, 20], grid[11, 20] - grid[10, 20]
    assert float(across @ down) == pytest.approx(0, abs=1e-5)
    assert float(across.norm()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("colour", [-1.0, 0.3, 1.0])
def test_what_the_warp_uncovers_takes_the_colour_of_the_border(colour: float) -> None:
    plain = torch.full((1, 3, 16, 16), colour)
    assert torch.allclose(warp(plain, sampling_grid(turned(math.pi / 4, 2.4), 16, 16)), plain, atol=1e-5)


def test_the_border_is_judged_by_its_median() -> None:
    image = torch.ones(1, 1, 8, 8)
    image[0, 0, 2:6, 2:6] = -1  # what is inside does not count
    image[0, 0, 0, :5] = -1  # and a stroke that touches the border does not tip it
    assert border_colour(image).item() == 1


def test_equal_displacements_of_all_knots_shift_the_inner_image() -> None:
    bend = torch.zeros(1, 2, KNOTS, KNOTS)
    bend[:, 0] = 3.0
    still = sampling_grid(IDENTITY[None], 32, 32)
    bent = sampling_grid(IDENTITY[None], 32, 32, bend=bend)
    moved = (bent - still)[0] * 16
    assert torch.allclose(moved[16, 16], torch.tensor([3.0, 0.0]), atol=1e-4)
    assert moved[..., 0].max() <= 3 + 1e-4  # towards the border the pull grows weaker
    assert moved[0, 0, 0] < 2.5


def test_bending_is_smooth_and_reads_knots_down_and_across() -> None:
    bend = torch.zeros(1, 2, KNOTS, KNOTS)
    bend[0, 1, 0, KNOTS - 1] = 4.0  # the knot at the upper right is pulled along y
    moved = (sampling_grid(IDENTITY[None], 30, 30, bend=bend) - sampling_grid(IDENTITY[None], 30, 30))[0] * 15
    assert torch.allclose(moved[..., 0], torch.zeros(30, 30), atol=1e-5)
    assert moved[..., 1].argmax() == 29
    assert moved[..., 1].diff(dim=0).abs().max() < 0.4
    assert moved[15:, :15, 1].abs().max() < 0.05


def test_a_box_is_taken_from_outside_and_none_where_the_width_is_negative() -> None:
    given = torch.ones(2, 1, 20, 20)
    given[:, :, 1:-1, 1:-1] = 0.5
    boxes = torch.tensor([[2.0, -3.0, 4.0, 2.0], [2.0, -3.0, -1.0, 2.0]])
    covered = warp(given, sampling_grid(IDENTITY.expand(2, 2, 3), 20, 20, boxes=boxes))
    inside = torch.zeros(20, 20, dtype=torch.bool)
    inside[5:9, 8:16] = True  # centre (9.5 + 2, 9.5 - 3), 8 wide and 4 high
    assert torch.equal(covered[0, 0][inside], torch.ones(32))
    assert torch.allclose(covered[0, 0][~inside], given[0, 0][~inside], atol=1e-5)
    assert torch.allclose(covered[1], given[1], atol=1e-5)


SIZES = [(28, 28), (17, 40), (64, 64)]


def eight_bits(channels: int, height: int, width: int) -> torch.Tensor:
    """Six images of 8 bits: noise, dim noise, a ramp, few levels, flat, and one of a few bright pixels."""
    noise = noise_image("tones", channels, height, width)
    ramp = np.broadcast_to(np.arange(width, dtype=np.uint8) * 2, noise.shape)
    sparse = np.where(noise > 230, noise, 0)
    flat = np.full_like(noise, 77)
    rows = [noise, noise // 3 + 50, ramp, noise // 64 * 64, flat, sparse]
    return torch.from_numpy(np.stack(rows).astype(np.uint8))


def by_pillow(
    images: torch.Tensor, change: Callable[[Image.Image, float], Image.Image], how: list[float]
) -> np.ndarray:
    done = []
    for image, strength in zip(images.numpy(), how, strict=True):
        changed = np.asarray(
            change(Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)), strength)
        )
        done.append(changed[None] if changed.ndim == 2 else changed.transpose(2, 0, 1))
    return np.stack(done).astype(float)


def levels_of(images: torch.Tensor, value_range: Range) -> np.ndarray:
    low, high = value_range
    return ((images.double().numpy()) - low) * 255 / (high - low)


FACTORS = [0.01, 0.5, 1.0, 1.3, 1.99, 0.8]
# Pillow rounds or cuts to whole levels, and its contrast rounds the mean grey as well; ours goes on in floats. What
# Pillow cuts off is below 1 level; of the rounded mean grey at most half a level more remains, as of each pixel's
# rounded grey and of each pixel of the smoothed image. Where all are whole levels nothing is rounded.
CHANGES: dict[str, tuple[Callable[..., object], Callable[..., Image.Image], list[float], float]] = {
    "brightness": (tones.brighten, lambda p, f: ImageEnhance.Brightness(p).enhance(f), FACTORS, 1.01),
    "contrast": (tones.change_contrast, lambda p, f: ImageEnhance.Contrast(p).enhance(f), FACTORS, 1.51),
    "saturation": (tones.saturate, lambda p, f: ImageEnhance.Color(p).enhance(f), FACTORS, 1.51),
    "sharpness": (tones.sharpen, lambda p, f: ImageEnhance.Sharpness(p).enhance(f), FACTORS, 1.51),
    "posterize": (tones.posterize, lambda p, b: ImageOps.posterize(p, int(b)), [1, 2, 4, 8, 6, 3], 1e-3),
    "solarize": (tones.solarize, ImageOps.solarize, [0, 256, 100, 128, 77, 240.5], 1e-3),
    "autocontrast": (lambda i, _, r: tones.autocontrast(i, r), lambda p, _: ImageOps.autocontrast(p), [0] * 6, 1.01),
    "equalize": (lambda i, _, r: tones.equalize(i, r), lambda p, _: ImageOps.equalize(p), [0] * 6, 1e-3),
}


@pytest.mark.parametrize("shape", [(c, *s) for c in (1, 3) for s in SIZES], ids=str)
@pytest.mark.parametrize("value_range", [UNIT, SIGNED], ids=str)
@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_tone_are_pillows(name: str, shape: tuple[int, int, int], value_range: Range) -> None:
    ours, pillows, strengths, tolerance = CHANGES[name]
    given = eight_bits(*shape)
    changed = to_float(given, value_range)
    ours(changed, torch.tensor(strengths), value_range)
    expected = by_pillow(given, pillows, strengths)
    difference = np.abs(levels_of(changed, value_range) - expected)
    assert difference.max() <= tolerance
    assert difference.mean() < 0.6
    if shape[0] == 3 or name != "saturation":
        assert np.abs(expected - given.numpy()).max() > 20, "the images are such that something happens"


@pytest.mark.parametrize("channels", [2, 4])
def test_grey_of_other_channel_counts_is_their_plain_mean(channels: int) -> None:
    images = to_float(torch.from_numpy(noise_image("grey", 3, channels, 9, 7)), UNIT)
    grey = images.mean(1, keepdim=True)
    tones.saturate(images, torch.zeros(3), UNIT)
    assert torch.allclose(images, grey.expand_as(images))


def test_without_neighbours_nothing_is_sharpened() -> None:
    images = torch.rand(2, 1, 2, 9, generator=torch.Generator())
    before = images.clone()
    tones.sharpen(images, torch.tensor([0.0, 2.0]), UNIT)
    assert torch.equal(images, before)
