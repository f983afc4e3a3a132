from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from made_up_sets import easy_set
from tenfold.core.keys import Key
from tenfold.methods import MethodFailed, dcgan, make_method
from tenfold.networks.blocks import build

SMALL: dict[str, Any] = {"steps": 6, "batch_size": 6, "width": 4, "least_diversity": 0.0, "label_filter": False}
SIDES = (8, 16, 28, 45, 64, 128, 150)


def dcgan_config(**options: Any) -> dcgan.Config:
    made: dcgan.Config = make_method("dcgan", {**SMALL, **options}).config
    return made


def a_generator(side: int, channels: int = 1, **options: Any) -> dcgan.Generator:
    config = dcgan_config(**options)
    made: dcgan.Generator = build(
        lambda: dcgan.Generator((channels, side, side), 3, config), Key("generator").torch_generator()
    )
    return made.eval()


def a_critic(side: int, channels: int = 1, **options: Any) -> dcgan.Critic:
    config = dcgan_config(**options)
    return build(
        lambda: dcgan.Critic((channels, side, side), 3, config, Key("dropout")), Key("critic").torch_generator()
    )


@pytest.mark.parametrize("preset", ["quick", "article"])
@pytest.mark.parametrize("classes", ["embedded", "none"])
@pytest.mark.parametrize(("side", "channels"), [(side, 1 + 2 * (place % 2)) for place, side in enumerate(SIDES)])
def test_every_size_is_drawn_and_judged(preset: str, classes: str, side: int, channels: int) -> None:
    generator = a_generator(side, channels, preset=preset, classes=classes)
    noise, labels = torch.randn(3, generator.noise_size, generator=Key("n").torch_generator()), torch.arange(3)
    images = generator(noise, labels)
    assert images.shape == (3, channels, side, side)
    assert images.abs().max() <= 1
    assert 0.1 < images.std() < 0.6, "first images are neither all grey nor black and white"
    scores = a_critic(side, channels, preset=preset, classes=classes)(images, labels)
    assert scores.shape == (3,)
    assert scores.isfinite().all()


def test_the_article_has_its_network_and_schedule() -> None:
    config = dcgan.PRESETS["article"]
    with torch.device("meta"):
        critic = dcgan.Critic((3, 128, 128), 1, config, Key("dropout"))
        generator = dcgan.Generator((3, 128, 128), 1, config)
    downs = [layer for layer in critic.modules() if isinstance(layer, nn.Conv2d)]
    assert [tuple(layer.weight.shape) for layer in downs] == [(128, 3, 4, 4)] + [(128, 128, 4, 4)] * 4
    ups = [layer for layer in generator.modules() if isinstance(layer, nn.ConvTranspose2d)]
    channels = [1024, 128, 128, 128, 128, 3]
    assert [tuple(layer.weight.shape) for layer in ups] == [(a, b, 4, 4) for a, b in pairwise(channels)]
    assert not [layer for layer in generator.modules() if isinstance(layer, nn.Conv2d | nn.GroupNorm)]
    assert generator.first.out_features == 4 * 4 * 1024
    assert (critic.real.in_features, critic.real.out_features) == (4 * 4 * 128, 1)
    assert (critic.slope, generator.slope, critic.dropout.share) == (0.02, 0.02, 0.4)
    assert (config.learning_rate, config.last_rate, config.beta1, config.batch_size) == (2e-4, 1.0, 0.5, 128)
    assert (config.loss, config.watch_every) == ("binary", 100)
    assert (config.augment, config.penalty, config.fade_in_share, config.variety) == (0, 0, 0, 0)


def test_each_class_has_a_generator_that_learned_from_it_alone() -> None:
    train = easy_set([5, 3, 4])
    method = dcgan.Method(dcgan.Config(**SMALL))
    everything = method.learn(train, Key("one"))
    without = method.learn(train.take(np.flatnonzero(train.labels != 1)), Key("one"))
    of_class = everything.network.of_class
    assert isinstance(of_class, nn.ModuleList)
    for name, weights in without.weights().items():
        assert np.array_equal(weights, everything.weights()[name]) == (not name.startswith("of_class.1."))
        if name.startswith("of_class.1."):
            assert not weights.any(), "nothing was learned of it"
    assert without.class_counts == (5, 0, 4)
    assert everything.details["generator_steps"] == 3 * 6


def test_a_training_that_fails_names_the_class() -> None:
    train = easy_set([3, 3])
    with pytest.raises(MethodFailed, match=r"dcgan, class 'class 0': .* NaN"):
        dcgan.Method(dcgan.Config(**SMALL, learning_rate=1e30)).learn(train, Key("one"))


def test_without_classes_a_set_of_several_is_refused_before_it_is_learned_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method = dcgan.Method(dcgan.Config(**SMALL, classes="none"))
    assert len(method.grow(easy_set([5]), 2, Key("one")).images) == 10
    learned = method.learn(easy_set([3, 3]), Key("one"))
    monkeypatch.setattr(method, "learn", lambda *_: pytest.fail("time was spent"))
    remedy = "of 2 classes; take classes=one_a_class or classes=embedded"
    with pytest.raises(MethodFailed, match=remedy):
        method.fit(easy_set([3, 3]), None, Key("one"))
    with pytest.raises(MethodFailed, match=remedy):
        method.more(learned, easy_set([3, 3]), np.arange(6), Key("one"))
