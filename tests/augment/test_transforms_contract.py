"""What every transform keeps, whatever it does to images."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tenfold.augment import (
    POLICIES,
    AugMix,
    Classical,
    CutMix,
    ManifoldMixUp,
    MixUp,
    RandAugment,
    Ranges,
    TrivialAugment,
)
from tenfold.augment.tensors import SIGNED, UNIT
from tenfold.core.keys import Key

Transform = Callable[..., Tensor]
MADE: dict[str, Callable[..., Transform]] = {
    **{policy: lambda policy=policy, **o: Classical(policy, flips="both", **o) for policy in POLICIES},
    "trivial": TrivialAugment,
    "rand": RandAugment,
    "augmix": AugMix,
    "one chain": lambda **o: AugMix(chains=1, **o),
}
MIXERS: dict[str, Callable[..., Transform]] = {
    "mixup": lambda **o: of_images(MixUp(classes=3, **o)),
    "three ways": lambda **o: of_images(MixUp(0.5, ways=3, classes=3, **o)),
    "one weight": lambda **o: of_images(MixUp(1.0, weights="batch", classes=3, **o)),
    "within class": lambda **o: of_images(MixUp(1.0, within_class=True, classes=3, **o)),
    "cutmix": lambda **o: of_images(CutMix(classes=3, **o)),
    "one box": lambda **o: of_images(CutMix(0.5, weights="batch", classes=3, **o)),
}


def of_images(mix: MixUp | CutMix) -> Transform:
    return lambda images, generator=None: mix(images, torch.arange(len(images)) % 3, generator)[0]


every_transform = pytest.mark.parametrize("make", [*MADE.values(), *MIXERS.values()], ids=[*MADE, *MIXERS])


def levels(*shape: int) -> Tensor:
    return torch.randint(256, shape, generator=Key("images").torch_generator(), dtype=torch.uint8)


def draws(key: str = "draws") -> torch.Generator:
    return Key(key).torch_generator()


@every_transform
@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(0, 9), st.integers(1, 5), st.integers(1, 40), st.integers(1, 40)),
    value_range=st.sampled_from([UNIT, SIGNED]),
    is_uint8=st.booleans(),
)
def test_any_size_and_any_channels(
    make: Callable[..., Transform], shape: tuple[int, ...], value_range: tuple[float, float], is_uint8: bool
) -> None:
    low, high = value_range
    images = levels(*shape) if is_uint8 else levels(*shape) / 255 * (high - low) + low
    before = images.clone()
    changed = make(value_range=value_range)(images, draws())
    assert torch.equal(images, before), "the images were changed in place"
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert ((changed >= low - 1e-6) & (changed <= high + 1e-6)).all()


PRECISIONS = {torch.float64: 1e-6, torch.float16: 2e-2, torch.bfloat16: 5e-2}


@every_transform
@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
def test_floats_of_any_precision_are_changed_alike_and_keep_it(
    make: Callable[..., Transform], precision: torch.dtype
) -> None:
    images = levels(7, 3, 12, 12) / 255
    wanted = make()(images, draws())
    changed = make()(images.to(precision), draws())
    assert changed.dtype == precision
    assert (changed.float() - wanted).abs().mean() <= PRECISIONS[precision]
    assert ((changed >= 0) & (changed <= 1 + 1e-6)).all()


@every_transform
@pytest.mark.parametrize("kind", [torch.int16, torch.int64, torch.bool], ids=str)
def test_images_of_other_whole_numbers_are_refused(make: Callable[..., Transform], kind: torch.dtype) -> None:
    with pytest.raises(ValueError, match=r"hand over uint8 0\.\.255 or floats"):
        make()(levels(4, 1, 8, 8).to(kind), draws())


IDLE = [Classical(Ranges()), RandAugment(2, 0), RandAugment(0), AugMix(strength=0)]


@pytest.mark.parametrize("idle", IDLE)
@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (8, 3, 45, 45), (5, 1, 5, 9)], ids=str)
def test_at_strength_zero_every_bit_stays(idle: Transform, shape: tuple[int, ...]) -> None:
    images = levels(*shape)
    floats = images.float().mul(1 / 255)
    assert torch.equal(idle(images, draws()), floats)
    changed = idle(floats, draws())
    assert torch.equal(changed, floats)
    assert changed.data_ptr() != floats.data_ptr()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: AugMix(chains=0), "chains"),
        (lambda: AugMix(depth=(3, 1)), "depth"),
        (lambda: AugMix(depth=(-1, 1)), "depth"),
        (lambda: AugMix(alpha=0.0), "alpha"),
        (lambda: AugMix(strength=1.5), "strength"),
        (lambda: RandAugment(-1), "count = -1"),
        *((lambda strength=strength: RandAugment(2, strength), "strength") for strength in (-0.1, 1.1, math.nan)),
        (lambda: Classical("storng"), "light, standard, crops, strong"),
        (lambda: Ranges(degrees=-1), "degrees"),
        (lambda: Ranges(erase=1.5), "erase"),
        (lambda: Ranges(noise=-0.1), "noise"),
        *((lambda alpha=alpha: MixUp(alpha), "alpha=.*above 0") for alpha in (0, -1, math.nan)),
        *((lambda alpha=alpha: CutMix(alpha), "alpha=.*above 0") for alpha in (0, -1, math.nan)),
        (lambda: MixUp(weights="each"), "'image' for a weight each"),
        (lambda: CutMix(weights="each"), "'image' for a weight each"),
        (lambda: MixUp(ways=1), "2 images or more"),
        (lambda: ManifoldMixUp(0), "above 0"),
        (lambda: ManifoldMixUp(layers=[]), "layers is empty"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_each_image_has_a_draw_of_its_own(make: Callable[..., Transform]) -> None:
    changed = make()(levels(1, 3, 16, 16).expand(200, -1, -1, -1), draws())
    assert len(changed.flatten(1).unique(dim=0)) > 100


@every_transform
def test_the_generator_says_all_on_one_thread_and_on_two(make: Callable[..., Transform]) -> None:
    images, threads, made = levels(96, 3, 45, 45), torch.get_num_threads(), []
    try:
        for seed, count in enumerate((1, 2, 1)):
            torch.set_num_threads(count)
            made.append(make(seed=seed)(images, draws("same")))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])
    assert not torch.equal(made[0], make()(images, draws("other")))


@every_transform
def test_without_a_generator_the_seed_begins_a_stream_of_its_own(make: Callable[..., Transform]) -> None:
    images, first, second = levels(8, 1, 20, 20), make(seed=3), make(seed=3)
    one, two = first(images), first(images)
    assert torch.equal(one, second(images))
    assert not torch.equal(one, two)
    assert not torch.equal(one, make(seed=4)(images))
