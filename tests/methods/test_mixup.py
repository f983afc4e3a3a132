from __future__ import annotations

import pytest
import scipy.stats
import torch

from tenfold.core.keys import Key
from tenfold.methods.mixup import mix
from tenfold.transforms.draws import beta


def batch(count: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = Key("batch").torch_generator()
    images = torch.rand(count, 1, 4, 4, generator=generator) * 2 - 1
    return images, torch.eye(count)  # a class for each image tells who was mixed with whom


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.4, 1.0, 5.0])
def test_weights_follow_the_beta_law(alpha: float) -> None:
    drawn = beta(alpha, 4000, Key("beta").torch_generator()).double().numpy()
    # Not nearer to 0 and 1 than the float32 of a weight can say.
    law = scipy.stats.beta(alpha, alpha)
    inside = drawn[(drawn > 1e-6) & (drawn < 1 - 1e-6)]
    expected_inside = law.cdf(1 - 1e-6) - law.cdf(1e-6)
    assert scipy.stats.binomtest(len(inside), 4000, expected_inside).pvalue > 0.001
    middle = scipy.stats.kstest(inside, lambda x: (law.cdf(x) - law.cdf(1e-6)) / expected_inside)
    assert middle.pvalue > 0.001


@pytest.mark.parametrize("alpha", [1e-9, 1e-3])
def test_towards_zero_images_are_left_alone(alpha: float) -> None:
    images, labels = batch()
    mixed, soft = mix(images, labels, alpha, Key("draws").torch_generator())
    assert (soft.max(1).values > 0.999).float().mean() > 0.95
    nearest = torch.cdist(mixed.flatten(1), images.flatten(1)).min(1).values
    assert (nearest < 1e-2).float().mean() > 0.95


def test_images_and_labels_are_blended_with_one_weight() -> None:
    images, labels = batch()
    mixed, soft = mix(images, labels, 0.4, Key("draws").torch_generator())
    # The labels say how much of which image is in each mixture.
    assert torch.allclose(mixed.flatten(1), soft @ images.flatten(1), atol=1e-5)
    assert torch.allclose(soft.sum(1), torch.ones(64))
    assert ((soft > 0).sum(1) <= 2).all()


def test_each_image_has_a_weight_and_a_partner_of_its_own() -> None:
    images, labels = batch()
    _, soft = mix(images, labels, 1.0, Key("draws").torch_generator())
    own = soft.diagonal()
    assert len(own.unique()) > 50
    assert ((soft - torch.diag(own)) > 0).any(0).sum() > 55, "each image is partner to one"


def test_a_batch_of_one_image_is_left_as_it_is() -> None:
    images, labels = batch(1)
    mixed, soft = mix(images, labels, 0.4, Key("draws").torch_generator())
    assert torch.equal(mixed, images)
    assert torch.equal(soft, labels)
