from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from made_up_sets import easy_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.generators import Conditions, Generator, Images, Indices
from tenfold.generators.gan import GanStep
from tenfold.methods import MethodFailed, dcgan, make_method
from tenfold.networks.blocks import build
from tenfold.training import loop as loops
from tenfold.training.callbacks import Callback
from tenfold.training.checkpoint import State
from tenfold.training.device import Device
from tenfold.training.loop import TrainingLoop

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


def test_an_option_that_is_given_wins_over_the_preset_whatever_its_value() -> None:
    quick, article = dcgan.Config(), dcgan.PRESETS["article"]
    assert make_method("dcgan").config == quick == dcgan.PRESETS["quick"]
    assert make_method("dcgan", {"preset": "article"}).config == article
    given = make_method("dcgan", {"preset": "article", "steps": str(quick.steps), "augment": "0.25"}).config
    assert given == replace(article, steps=quick.steps, augment=0.25)


def test_what_is_no_preset_and_no_value_is_refused() -> None:
    with pytest.raises(InputError, match=r"dcgan\(preset=thorough\)"):
        make_method("dcgan", {"preset": "thorough"})
    with pytest.raises(InputError, match=r"dcgan\(steps=-1\)"):
        make_method("dcgan", {"steps": -1})


@pytest.mark.parametrize("classes", ["one_a_class", "embedded"])
def test_what_a_seed_gives_does_not_depend_on_its_neighbours(classes: str) -> None:
    method = dcgan.Method(dcgan.Config(**SMALL, classes=classes))
    learned = method.learn(easy_set([4, 4, 4]), Key("one"))
    labels, seeds = np.arange(150) % 3, np.arange(1000, 1150)
    together = drawn(learned, labels, seeds)
    for index in (0, 63, 64, 149):
        alone = drawn(learned, labels[[index]], seeds[[index]])
        assert np.array_equal(alone[0], together[index])
    swapped = drawn(learned, (labels + 1) % 3, seeds)
    assert (swapped != together).any(axis=(1, 2, 3)).all(), "the class decides too"


@pytest.mark.parametrize("classes", ["one_a_class", "embedded", "none"])
def test_weights_load_into_an_empty_network_that_draws_the_same(classes: str) -> None:
    train = easy_set([4, 4] if classes != "none" else [8])
    method = dcgan.Method(dcgan.Config(**SMALL, classes=classes))
    learned = method.learn(train, Key("one"))
    empty = method.generator(train)
    assert all(weights.dtype == np.float32 for weights in learned.weights().values())
    labels = np.arange(8) % train.class_count
    wanted = drawn(learned, labels, np.arange(8))
    empty.load({name: torch.zeros(value.shape) for name, value in learned.weights().items()})
    assert not np.array_equal(drawn(empty, labels, np.arange(8)), wanted)
    empty.load({name: torch.from_numpy(value) for name, value in learned.weights().items()})
    assert np.array_equal(drawn(empty, labels, np.arange(8)), wanted)


def drawn(generator: Generator, labels: Indices, seeds: Indices) -> Images:
    return generator.sample(Conditions.of_labels(labels), seeds, generator.image_shape)


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


@pytest.mark.parametrize("classes", ["one_a_class", "embedded"])
def test_the_bands_of_easy_classes_are_learned(classes: str) -> None:
    train = easy_set([8, 8], noise=10)
    method = dcgan.Method(dcgan.Config(classes=classes, steps=80, batch_size=16, width=6, label_filter=False))
    learned = method.learn(train, Key("one"))
    labels = np.repeat([0, 1], 20)
    images = drawn(learned, labels, np.arange(40))
    means = np.stack([train.images[train.labels == k].mean(0) for k in range(2)])
    nearest = np.abs(images[:, None] - means).mean((2, 3, 4)).argmin(1)
    assert (nearest == labels).mean() > 0.9


class Killed(Exception):
    """Stands for a kill, after a checkpoint."""


class Kill(Callback):
    """An end in the midst of a step of the second class."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def part(self, name: str) -> Kill:
        return Kill(name)

    def step(self, number: int, steps: int, losses: Mapping[str, torch.Tensor]) -> None:
        if number == 5 and self.name.startswith("class-1"):
            raise Killed


def test_a_killed_training_goes_on_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    train, method = easy_set([4, 4]), dcgan.Method(dcgan.Config(**SMALL, watch_every=3))
    files = {run: tmp_path / run / "checkpoint.safetensors" for run in ("straight", "killed")}
    straight = method.learn(train, Key("one"), TrainingLoop(checkpoint=files["straight"]))
    with pytest.raises(Killed):
        method.learn(train, Key("one"), TrainingLoop(callbacks=[Kill()], checkpoint=files["killed"]))
    resumed = method.learn(train, Key("one"), TrainingLoop(checkpoint=files["killed"]))
    for part in ("class-0-class-0", "class-1-class-1"):
        first, second = (
            State.unpack((file.parent / part / file.name).read_bytes()).tensors for file in files.values()
        )
        assert first.keys() == second.keys()
        assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert all(np.array_equal(weights, straight.weights()[name]) for name, weights in resumed.weights().items())
    assert resumed.details == straight.details


def test_the_checkpoint_holds_what_dropout_draws_next() -> None:
    method, train = make_method("dcgan", {**SMALL, "preset": "article", "classes": "embedded"}), easy_set([4, 4])
    assert isinstance(method, dcgan.Method)

    def started() -> GanStep:
        return GanStep(method.generator(train).problem(train, Key("one")), method.config, Key("one"), 0, Device())

    one, other = started(), started()
    images, labels = one.problem.draw(one.problem.images, 4, Key("draw").torch_generator())
    first = one.critic(images, labels, 1.0)
    packed = State.of(one.parts(), {}).pack()
    second = one.critic(images, labels, 1.0)
    assert not torch.equal(first, second), "dropout is at work"
    State.unpack(packed).restore(other.parts())
    assert torch.equal(other.critic(images, labels, 1.0), second)
    one.critic.eval()
    assert torch.equal(one.critic(images, labels, 1.0), one.critic(images, labels, 1.0))
