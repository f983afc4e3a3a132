from __future__ import annotations

import numpy as np
import pytest
import torch

from made_up_sets import easy_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.methods import make_method
from tenfold.methods.classical import MANY

POLICIES = ["light", "standard", "crops", "strong", "trivial", "rand"]


def changed(images: torch.Tensor, **options: str) -> torch.Tensor:
    (transform,) = make_method("classical", options).fit(easy_set([2, 2]), None, Key("fit")).transforms
    return transform(images, torch.zeros(len(images)), Key("draws").torch_generator())[0]


def random_images(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 12, 12, generator=Key("pictures").torch_generator()) * 2 - 1


def test_what_is_auto_is_left_open_and_what_is_given_is_not() -> None:
    assert list(make_method("classical").search_space()) == ["policy", "flips"]
    assert list(make_method("classical", {"policy": "light"}).search_space()) == ["flips"]
    assert not make_method("classical", {"policy": "light", "flips": "no"}).search_space()


def test_where_nothing_is_there_to_choose_by_it_is_standard_without_flips() -> None:
    assert torch.equal(changed(random_images()), changed(random_images(), policy="standard", flips="no"))


def test_many_images_are_changed_lightly() -> None:
    few, many = easy_set([4, 4]), easy_set([MANY // 2, MANY // 2])
    usual = [make_method("classical").for_set(train).default_options()["policy"] for train in (few, many)]
    assert usual == ["standard", "light"]
    (change,) = make_method("classical").fit(many, None, Key("fit")).transforms
    made, _ = change(random_images(), torch.zeros(4), Key("draws").torch_generator())
    assert torch.equal(made, changed(random_images(), policy="light", flips="no"))


@pytest.mark.parametrize("count", [4, MANY // 2])
def test_colour_images_are_cropped(count: int) -> None:
    method = make_method("classical").for_set(easy_set([count, count], (3, 8, 8)))
    assert method.search_space() == {"policy": ("crops",), "flips": ("no", "horizontal")}


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_has_its_own_images_in_range(policy: str) -> None:
    made = changed(random_images(), policy=policy, flips="no")
    assert made.abs().max() <= 1
    others = [changed(random_images(), policy=other, flips="no") for other in POLICIES if other != policy]
    assert not any(torch.equal(made, other) for other in others)


def test_degrees_take_the_place_of_the_policys() -> None:
    """A set without an upright, such as cells, is turned all the way round."""
    dot = -torch.ones(600, 1, 31, 31)
    dot[:, :, 15, 25:] = 1
    upside = changed(dot, policy="standard", flips="no", degrees="180").flatten(1).argmax(1)
    angles = torch.atan2(15.0 - upside // 31, upside % 31 - 15.0).rad2deg()
    assert torch.histc(angles, 4, -180, 180).min() > 90
    with pytest.raises(InputError, match="degrees"):
        make_method("classical", {"degrees": "200"})


def test_growing_64_images_tenfold_keeps_their_parents_and_seeds() -> None:
    real = easy_set([32, 32], (3, 16, 16))
    grown = make_method("classical", {"degrees": "180", "flips": "both"}).grow(real, 10, Key("grow"))
    assert grown.images.shape == (640, 3, 16, 16)
    assert np.bincount([parent for (parent,) in grown.parents]).tolist() == [10] * 64
    assert (grown.labels == real.labels[[parent for (parent,) in grown.parents]]).all()
    assert len(np.unique(grown.images.reshape(640, -1), axis=0)) == 640
    siblings = grown.as_dataset(real)
    assert (siblings.groups == real.groups[[parent for (parent,) in grown.parents]]).all()
