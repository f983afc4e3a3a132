from __future__ import annotations

from collections.abc import Callable

import pytest
import scipy.stats
import torch
from test_tensors import follows
from torch import Tensor

from tenfold.augment import CutMix, MixUp
from tenfold.augment.tensors import SIGNED, beta, draw_boxes, to_float
from tenfold.core.keys import Key
from tenfold.training.recipe import cross_entropy

Mixer = MixUp | CutMix


def draws(name: str = "draws") -> torch.Generator:
    return Key(name).torch_generator()


def bytes_of(*shape: int, key: str = "pictures") -> Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=draws(key))


def one_channel_each(count: int, height: int, width: int) -> Tensor:
    """Constant images, lit in a channel of their own: the mixture tells what was mixed, and how much of it."""
    return torch.eye(count)[:, :, None, None].repeat(1, 1, height, width)


ALL: list[Callable[..., Mixer]] = [
    MixUp,
    lambda **o: MixUp(0.5, ways=3, **o),
    lambda **o: MixUp(1.0, weights="batch", **o),
    lambda **o: MixUp(1.0, within_class=True, **o),
    CutMix,
    lambda **o: CutMix(0.5, weights="batch", **o),
]
NAMES = ["mixup", "three ways", "one weight", "within class", "cutmix", "one box"]
every_mixer = pytest.mark.parametrize("make", ALL, ids=NAMES)


@every_mixer
@pytest.mark.parametrize("as_float", [False, True])
def test_images_and_labels_are_mixed_with_one_weight_and_partner(make: Callable[..., Mixer], as_float: bool) -> None:
    labels = torch.arange(12)
    given = torch.eye(12) if as_float else labels
    before, coded = given.clone(), one_channel_each(12, 5, 7)
    mixed, soft = make(classes=12)(coded if as_float else coded.mul(255).byte(), given, draws())
    assert torch.equal(given, before), "the labels were changed in place"
    assert soft.min() >= 0
    assert (soft.sum(1) - 1).abs().max() <= 1e-6
    # The mean of a channel is the share of that image, blended or cut.
    assert torch.allclose(mixed.mean((2, 3)), soft, atol=1e-6)
    several = (soft > 0).sum(1)
    assert several.max() <= 3
    assert (several.max() == 1) == (getattr(make(), "within_class", False))


@every_mixer
def test_one_image_is_left_as_it_is(make: Callable[..., Mixer]) -> None:
    image = bytes_of(1, 2, 4, 4)
    mixed, soft = make(classes=3, value_range=SIGNED)(image, torch.tensor([2]), draws())
    assert torch.equal(mixed, to_float(image, SIGNED))
    assert soft.tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("value_range", [SIGNED, (0.0, 1.0)])
@pytest.mark.parametrize("make", [MixUp, CutMix])
def test_towards_zero_an_image_stays_or_becomes_its_partner_to_the_last_bit(
    make: type[Mixer], value_range: tuple[float, float]
) -> None:
    images = bytes_of(40, 1, 8, 8)
    mixed, soft = make(1e-9, classes=40, value_range=value_range)(images, torch.arange(40), draws())
    same = [index for index in range(40) if soft[index, index] == 1]
    assert len(same) > 8
    assert torch.equal(mixed[same], to_float(images, value_range)[same])
    if make is MixUp:  # a box that is the whole image may stick out of it
        assert torch.equal(mixed, to_float(images, value_range)[soft.argmax(1)])


@pytest.mark.parametrize("alpha", [0.05, 1.0])
def test_the_weights_of_two_follow_the_beta_law(alpha: float) -> None:
    mixed, soft = MixUp(alpha)(one_channel_each(1500, 1, 1), torch.eye(1500), draws(f"beta {alpha}"))
    own = mixed[:, :, 0, 0].diagonal()
    assert torch.equal(own, soft.diagonal())
    follows(own, scipy.stats.beta(alpha, alpha))


@pytest.mark.parametrize("ways", [3, 5])
def test_the_weights_of_several_follow_the_dirichlet_law(ways: int) -> None:
    soft = MixUp(0.7, ways=ways)(torch.zeros(1500, 1), torch.eye(1500), draws("dirichlet"))[1]
    entries = (soft > 0).sum(1)
    own = soft.diagonal()[entries == ways]
    assert len(own) > 1400
    assert scipy.stats.kstest(own.double().numpy(), scipy.stats.beta(0.7, 0.7 * (ways - 1)).cdf).pvalue > 0.001


def test_each_image_has_a_weight_of_its_own_or_all_have_one() -> None:
    for make in (MixUp, CutMix):
        images = torch.zeros(64, 1, 50, 50)
        each = make(1.0)(images, torch.eye(64), draws())[1].diagonal()
        assert len(each[each < 1].unique()) > 50
        shared = make(1.0, weights="batch")(images, torch.eye(64), draws())[1].diagonal()
        assert len(shared[shared < 1].unique()) == 1


@pytest.mark.parametrize("as_rows", [False, True])
def test_within_a_class_partners_are_of_that_class_and_all_arrangements_come(as_rows: bool) -> None:
    labels = torch.tensor([0, 1, 0, 2, 1, 0])
    given = torch.eye(3)[labels] * 0.6 + 0.4 / 3 if as_rows else labels
    coded, seen = one_channel_each(6, 1, 1), set()
    mix, generator = MixUp(5.0, classes=3, within_class=True), draws()
    for _ in range(200):
        mixed, soft = mix(coded, given, generator)
        partners = (mixed[:, :, 0, 0] - torch.diag(mixed[:, :, 0, 0].diagonal())).argmax(1)
        moved = mixed[:, :, 0, 0].diagonal() < 1 - 1e-6
        assert torch.equal(labels[partners][moved], labels[moved])
        assert torch.equal(mixed[3], coded[3]), "an image alone in its class stays itself"
        assert torch.allclose(soft, given if as_rows else torch.eye(3)[labels], atol=1e-6)
        seen.add(tuple(torch.where(moved, partners, torch.arange(6)).tolist()))
    assert len(seen) == 6 * 2, "3! arrangements of class 0, 2! of class 1"


@pytest.mark.parametrize("shape", [(10, 4), (6, 7, 3), (4, 2, 3, 5, 6)], ids=str)
def test_vectors_and_other_shapes_are_blended_alike(shape: tuple[int, ...]) -> None:
    rows = torch.rand(shape, generator=draws("rows"), dtype=torch.float64)
    mixed, soft = MixUp(1.0)(rows, torch.eye(shape[0], dtype=torch.float64), draws())
    assert mixed.dtype == torch.float64
    assert torch.allclose(mixed.flatten(1), soft @ rows.flatten(1))


def test_gradients_pass_through_a_blend() -> None:
    rows = torch.rand(5, 3, generator=draws("rows")).requires_grad_()
    MixUp(1.0)(rows, torch.eye(5), draws())[0].sum().backward()
    assert rows.grad is not None
    assert torch.allclose(rows.grad.sum(), torch.tensor(15.0))


@pytest.mark.parametrize("alpha", [1.0, 4.0])
def test_areas_of_boxes_follow_the_beta_law_before_they_are_clipped(alpha: float) -> None:
    generator = draws(f"boxes {alpha}")
    kept = beta(alpha, 3000, generator)
    top, bottom, left, right = draw_boxes(kept, (4000, 6000), generator).double()
    area = (bottom - top) * (right - left) / (4000 * 6000)
    assert torch.allclose(1 - area, kept.double(), atol=1e-3), "rounded to the pixel"
    assert scipy.stats.kstest(area.numpy(), scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.001
    for centre, side in (((top + bottom) / 2, 4000), ((left + right) / 2, 6000)):
        assert scipy.stats.kstest(centre.numpy() / side, "uniform").pvalue > 0.001


def test_boxes_seen_whole_in_the_images_have_the_stated_sides() -> None:
    side, generator = 120, draws("whole boxes")
    images = torch.zeros(1400, 1, side, side)
    images[1::2] = 1
    mixed, _ = CutMix(1.0)(images, torch.eye(2).repeat(700, 1), generator)
    replaced = (mixed != images)[:, 0]
    rows, columns = replaced.any(2), replaced.any(1)
    touches = rows[:, 0] | rows[:, -1] | columns[:, 0] | columns[:, -1]
    whole = rows.any(1) & ~touches
    height, width = rows[whole].sum(1), columns[whole].sum(1)
    assert len(height) > 80
    assert torch.equal(height, width), "the proportions are the image's"
    # Sides s have the density 2 s at alpha 1; of them the share (1 - s) ** 2 is whole. A side is a whole pixel.
    within_pixel = torch.rand(len(height), generator=generator) - 0.5
    sides = (height + within_pixel).double().numpy() / side
    assert scipy.stats.kstest(sides, lambda s: 6 * s**2 - 8 * s**3 + 3 * s**4).pvalue > 0.001


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 9, 40), (2, 33, 5)], ids=str)
@pytest.mark.parametrize("as_float", [False, True])
def test_the_label_is_the_share_of_pixels_replaced_and_the_box_is_of_the_partner(
    shape: tuple[int, int, int], as_float: bool
) -> None:
    batch = 60
    images = bytes_of(batch, *shape)
    images[:, 0] = torch.arange(batch, dtype=torch.uint8)[:, None, None]  # names the image in each pixel
    given = to_float(images, (0, 255)) if as_float else images
    mixed, soft = CutMix(1.0, classes=batch, value_range=(0, 255))(given, torch.arange(batch), draws())
    owner = mixed[:, 0].round().long()
    partner_of = (soft - torch.diag(soft.diagonal())).argmax(1)
    for index in range(batch):
        pixels = owner[index] != index
        share = pixels.double().mean().item()
        assert soft[index, index].item() == pytest.approx(1 - share, abs=1e-6)
        if pixels.any():
            rows, columns = pixels.any(1), pixels.any(0)
            assert torch.equal(pixels, rows[:, None] & columns), "the pixels are a box"
            assert (owner[index][pixels] == partner_of[index]).all()
        expected = torch.where(pixels, images[partner_of[index]], images[index])
        assert torch.equal(mixed[index].round().byte(), expected)


def test_soft_labels_have_torchs_own_cross_entropy() -> None:
    soft = MixUp(1.0, classes=4)(bytes_of(16, 1, 3, 3), torch.arange(16) % 4, draws())[1]
    logits = torch.randn(16, 4, generator=draws("logits"))
    assert torch.allclose(cross_entropy(logits, soft), torch.nn.functional.cross_entropy(logits, soft))


def test_what_cannot_be_mixed_is_told_with_what_mends_it() -> None:
    images, labels = bytes_of(4, 1, 6, 6), torch.arange(4)
    for make in (MixUp, CutMix):
        with pytest.raises(ValueError, match=rf"{make.__name__}\(classes=10\)"):
            make()(images, labels)
        with pytest.raises(ValueError, match="4 images, but 3 labels"):
            make(classes=4)(images, labels[:3])
        with pytest.raises(ValueError, match="classes=5, but its rows of labels hold 4"):
            make(classes=5)(images, torch.eye(4))
        with pytest.raises(ValueError, match="class numbers B or float rows"):
            make(classes=4)(images, labels.float())
        with pytest.raises(ValueError, match="hand over uint8"):
            make(classes=4)(images.int(), labels)
    with pytest.raises(ValueError, match="B x C x H x W or B x F"):
        MixUp(classes=4)(torch.zeros(4), labels)
    for shape in ((4, 6), (6, 6, 6)):
        with pytest.raises(ValueError, match="use MixUp for vectors"):
            CutMix(classes=4)(torch.zeros(shape), torch.arange(shape[0]))
