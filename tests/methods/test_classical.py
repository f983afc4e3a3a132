from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tenfold.core.keys import Key
from tenfold.methods.classical import RANGES, Config, affine_grid, augment, border_colour, warp

IDENTITY = torch.tensor([[1.0, 0, 0], [0, 1, 0]])


def pictures(count: int = 6, shape: tuple[int, int, int] = (1, 12, 12), key: str = "pictures") -> torch.Tensor:
    return torch.rand(count, *shape, generator=Key(key).torch_generator()) * 2 - 1


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 45, 45), (1, 5, 9)], ids=str)
def test_the_identity_changes_nothing(shape: tuple[int, int, int]) -> None:
    given = pictures(shape=shape)
    # The coordinates of pixel centres are rounded, so this is not exact to the bit.
    assert torch.allclose(warp(given, IDENTITY.expand(6, 2, 3)), given, atol=2e-5)


def test_a_shift_by_whole_pixels_moves_the_picture() -> None:
    given = pictures(shape=(1, 8, 8))
    given[:, :, [0, -1]] = given[:, :, :, [0, -1]] = 0.25  # a border of one colour fills what is uncovered
    matrix = IDENTITY.repeat(6, 1, 1)
    matrix[:, 0, 2] = 2 / 8  # one pixel of eight, on a scale from -1 to 1
    moved = warp(given, matrix)
    assert torch.allclose(moved[..., :-1], given[..., 1:], atol=1e-5)
    assert torch.allclose(moved[..., -1], torch.tensor(0.25), atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (5, 9), (28, 28)], ids=str)
def test_the_grid_is_torchs_own(size: tuple[int, int]) -> None:
    matrix = torch.randn(7, 2, 3, generator=Key("matrix").torch_generator())
    expected = F.affine_grid(matrix, [7, 1, *size], align_corners=False)
    assert torch.allclose(affine_grid(matrix, *size), expected, atol=1e-5)


@pytest.mark.parametrize("colour", [-1.0, 0.3, 1.0])
def test_what_the_warp_uncovers_takes_the_colour_of_the_border(colour: float) -> None:
    angle = math.radians(45)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle), 0.3], [math.sin(angle), math.cos(angle), 0]])
    plain = torch.full((1, 3, 16, 16), colour)
    assert torch.allclose(warp(plain, turn[None]), plain, atol=1e-5)


def test_the_border_is_judged_by_its_median() -> None:
    picture = torch.ones(1, 1, 8, 8)
    picture[0, 0, 2:6, 2:6] = -1  # what is inside does not count
    picture[0, 0, 0, :5] = -1  # and a stroke that touches the border does not tip it
    assert border_colour(picture).item() == 1


@pytest.mark.parametrize("policy", RANGES)
def test_each_image_has_a_draw_of_its_own(policy: str) -> None:
    same = pictures(1).repeat(8, 1, 1, 1)
    changed = augment(same, Config(policy=policy), Key("draws").torch_generator())
    for index in range(8):
        assert not torch.equal(changed[index], same[index])
        assert not torch.equal(changed[index], changed[index - 1])


def test_policies_grow_in_strength() -> None:
    given = pictures(200)
    change = [(augment(given, Config(policy=p), Key("draws").torch_generator()) - given).abs().mean() for p in RANGES]
    assert change[0] < change[1] < change[2]


def test_flips_and_quarter_turns_come_as_often_as_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    still = type(RANGES["light"])(*[0.0] * 7)
    monkeypatch.setitem(RANGES, "light", still)
    picture = pictures(1)
    many = picture.repeat(1200, 1, 1, 1)
    assert torch.allclose(augment(many, Config("light"), Key("a").torch_generator()), many, atol=2e-5)
    for config, forms in (
        (Config("light", flips=True), [picture.flip(dims) for dims in ([], [2], [3], [2, 3])]),
        (Config("light", quarter_turns=True), [picture.rot90(k, (2, 3)) for k in range(4)]),
    ):
        changed = augment(many, config, Key("b").torch_generator())
        counts = [(changed - form).abs().amax((1, 2, 3)).lt(1e-4).sum().item() for form in forms]
        assert sum(counts) == 1200
        assert min(counts) > 230, counts  # 300 expected, standard deviation 15


def test_erasing_blanks_a_box_in_about_half_of_the_images() -> None:
    still = type(RANGES["strong"])(degrees=0, shift=0, zoom=0, shear=0, light=0, noise=0, erase=0.5)
    white = torch.ones(600, 1, 20, 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RANGES, "strong", still)
        blanked = augment(white, Config("strong"), Key("erase").torch_generator()) == 0
    share = blanked.float().mean((1, 2, 3))
    assert 0.42 < (share > 0).float().mean() < 0.56
    assert share.max() <= 0.25
