"""What the methods that mix hand to the classifier; how they mix is tested with the transforms."""

from __future__ import annotations

import pytest
import torch

from made_up_sets import SHORT, easy_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.methods import make_method
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.runs.arms import parse_arms
from tenfold.training.classifier import train_classifier
from tenfold.training.recipe import Transform


def batch(count: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = Key("batch").torch_generator()
    images = torch.rand(count, 1, 4, 4, generator=generator) * 2 - 1
    return images, torch.eye(count)  # a class for each image tells who was mixed with whom


def transform_of(name: str, **options: object) -> Transform:
    (transform,) = make_method(name, options).fit(easy_set([2, 2]), None, Key("one")).transforms
    return transform


@pytest.mark.parametrize("options", [{}, {"ways": 3}, {"weights": "batch"}, {"alpha": 2.0}], ids=str)
def test_images_and_labels_are_blended_with_one_weight(options: dict[str, object]) -> None:
    images, labels = batch()
    mixed, soft = transform_of("mixup", **options)(images, labels, Key("draws").torch_generator())
    assert torch.allclose(mixed.flatten(1), soft @ images.flatten(1), atol=1e-5)
    assert (soft > 0).sum(1).max() == options.get("ways", 2)
    own = soft.diagonal()
    assert len(own[own < 1].unique()) == 1 if options == {"weights": "batch"} else len(own.unique()) > 30


def test_within_a_class_the_labels_stay() -> None:
    images, _ = batch(8)
    labels = torch.eye(2).repeat(4, 1)
    mixed, soft = transform_of("mixup", alpha=5, within_class=True)(images, labels, Key("draws").torch_generator())
    assert torch.allclose(soft, labels, atol=1e-6)
    assert not torch.equal(mixed, images)


def test_the_objective_of_manifold_draws_anew_in_each_call() -> None:
    recipe = make_method("manifold", {}).fit(easy_set([2, 2]), None, Key("one"))
    assert recipe.objective is not None
    assert not recipe.transforms
    network = build(lambda: SmallConvNet((1, 8, 8), 2, width=4), Key("weights").torch_generator())
    images = torch.rand(6, 1, 8, 8, generator=Key("images").torch_generator())
    labels = torch.eye(2).repeat(3, 1)
    generator, seen = Key("draws").torch_generator(), []
    network.head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    for _ in range(10):
        loss = recipe.objective(network, images, labels, generator)
        assert seen[-1].shape == (6, network.feature_count)
    loss.backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())
    assert len({tuple(each.flatten().tolist()) for each in seen}) == 10, "each call has draws of its own"


@pytest.mark.parametrize("name", ["mixup", "cutmix", "manifold"])
def test_what_is_learned_from_mixtures_is_the_classes(name: str) -> None:
    train = easy_set([12, 12])
    recipe = make_method(name, {}).fit(train, None, Key("one"))
    trained = train_classifier(train, None, recipe, Key("one"), SHORT)
    assert (trained.probabilities(train.images).argmax(1) == train.labels).mean() > 0.9


def test_two_methods_with_a_loss_of_their_own_are_refused_in_one_arm() -> None:
    assert parse_arms("classical+manifold")[0].name
    with pytest.raises(InputError, match="which each have a loss of their own"):
        parse_arms("manifold+augmix")
