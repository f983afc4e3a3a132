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
from tenfold.generators import keeping
from tenfold.generators.contest import Contest
from tenfold.generators.duel import Duel
from tenfold.generators.keeping import DirectoryKeeper
from tenfold.methods import MethodFailed, dcgan, make_method
from tenfold.networks.blocks import build

SMALL: dict[str, Any] = {"steps": 6, "batch_size": 6, "width": 4, "least_diversity": 0.0, "label_filter": False}
SIDES = (8, 16, 28, 45, 64, 128, 150)


def a_generator(side: int, channels: int = 1, **options: Any) -> dcgan.Generator:
    config = dcgan.Config(**{**SMALL, **options})
    made: dcgan.Generator = build(
        lambda: dcgan.Generator((channels, side, side), 3, config), Key("generator").torch_generator()
    )
    return made.eval()


def a_critic(side: int, channels: int = 1, **options: Any) -> dcgan.Critic:
    config = dcgan.Config(**{**SMALL, **options})
    return build(
        lambda: dcgan.Critic((channels, side, side), 3, config, Key("dropout")), Key("critic").torch_generator()
    )


@pytest.mark.parametrize("preset", ["quick", "article"])
@pytest.mark.parametrize("classes", ["embedded", "none"])
@pytest.mark.parametrize(("side", "channels"), [(side, 1 + 2 * (place % 2)) for place, side in enumerate(SIDES)])
def test_every_size_is_drawn_and_judged(preset: str, classes: str, side: int, channels: int) -> None:
    generator = a_generator(side, channels, preset=preset, classes=classes)
    noise, labels = torch.randn(3, generator.noise_size, generator=Key("n").torch_generator()), torch.arange(3)
    pictures = generator(noise, labels)
    assert pictures.shape == (3, channels, side, side)
    assert pictures.abs().max() <= 1
    assert 0.1 < pictures.std() < 0.6, "first pictures are neither all grey nor black and white"
    scores = a_critic(side, channels, preset=preset, classes=classes)(pictures, labels)
    assert scores.shape == (3,)
    assert scores.isfinite().all()


def test_the_article_has_its_network_and_schedule() -> None:
    config = dcgan.Config(preset="article")
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
    quick, article = dcgan.Config(), dcgan.Config(preset="article")
    assert article == replace(article)
    for option, value in dcgan.PRESETS["article"].items():
        assert (getattr(quick, option), getattr(article, option)) == (dcgan.PRESETS["quick"][option], value)
    given = make_method("dcgan", {"preset": "article", "steps": str(quick.steps), "augment": "0.25"}).config
    assert given == replace(article, steps=quick.steps, augment=0.25)


def test_both_presets_decide_the_same_options() -> None:
    assert set(dcgan.PRESETS["quick"]) == set(dcgan.PRESETS["article"])
    with pytest.raises(InputError, match=r"dcgan\(preset=thorough\)"):
        make_method("dcgan", {"preset": "thorough"})
    with pytest.raises(InputError, match=r"dcgan\(steps=-1\)"):
        make_method("dcgan", {"steps": -1})


@pytest.mark.parametrize("classes", ["one_a_class", "embedded"])
def test_what_a_seed_gives_does_not_depend_on_its_neighbours(classes: str) -> None:
    method = dcgan.Method(dcgan.Config(**SMALL, classes=classes))
    learned = method.learn(easy_set([4, 4, 4]), Key("one"))
    labels, seeds = torch.arange(150) % 3, np.arange(1000, 1150)
    together = method.draw(learned.generator, labels, seeds, learned.image_shape)
    for index in (0, 63, 64, 149):
        alone = method.draw(learned.generator, labels[[index]], seeds[[index]], learned.image_shape)
        assert np.array_equal(alone[0], together[index])
    swapped = method.draw(learned.generator, (labels + 1) % 3, seeds, learned.image_shape)
    assert (swapped != together).any(axis=(1, 2, 3)).all(), "the class decides too"


@pytest.mark.parametrize("classes", ["one_a_class", "embedded", "none"])
def test_weights_load_into_an_empty_network_that_draws_the_same(classes: str) -> None:
    train = easy_set([4, 4] if classes != "none" else [8])
    method = dcgan.Method(dcgan.Config(**SMALL, classes=classes))
    learned = method.learn(train, Key("one"))
    before = torch.get_rng_state()
    empty = method.generator(train.image_shape, train.class_count)
    assert torch.equal(before, torch.get_rng_state())
    assert all(weights.dtype == np.float32 for weights in learned.weights().values())
    labels = torch.arange(8) % train.class_count
    wanted = method.draw(learned.generator, labels, np.arange(8), train.image_shape)
    assert not np.array_equal(method.draw(empty, labels, np.arange(8), train.image_shape), wanted)
    empty.load_state_dict({name: torch.from_numpy(value) for name, value in learned.weights().items()})
    assert np.array_equal(method.draw(empty, labels, np.arange(8), train.image_shape), wanted)


def test_each_class_has_a_generator_that_learned_from_it_alone() -> None:
    train = easy_set([5, 3, 4])
    method = dcgan.Method(dcgan.Config(**SMALL))
    everything = method.learn(train, Key("one"))
    without = method.learn(train.take(np.flatnonzero(train.labels != 1)), Key("one"))
    of_class = everything.generator.of_class
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
    drawn = method.draw(learned.generator, torch.from_numpy(labels), np.arange(40), train.image_shape)
    means = np.stack([train.images[train.labels == k].mean(0) for k in range(2)])
    nearest = np.abs(drawn[:, None] - means).mean((2, 3, 4)).argmin(1)
    assert (nearest == labels).mean() > 0.9


class Killed(Exception):
    """Stands for a kill, after a checkpoint."""


class KilledKeeper(DirectoryKeeper):
    """A checkpoint a look, and an end in the midst of a step after it."""

    def log(self, step: int, figures: Mapping[str, torch.Tensor]) -> None:
        if step == 5 and self.directory.name.startswith("class-1"):
            raise Killed
        super().log(step, figures)

    def part(self, name: str) -> KilledKeeper:
        return KilledKeeper(self.directory / name, name)


def test_a_killed_training_goes_on_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    train, method = easy_set([4, 4]), dcgan.Method(dcgan.Config(**SMALL, watch_every=3))
    straight = method.learn(train, Key("one"), DirectoryKeeper(tmp_path / "straight", "straight"))
    with pytest.raises(Killed):
        method.learn(train, Key("one"), KilledKeeper(tmp_path / "killed", "killed"))
    resumed = method.learn(train, Key("one"), DirectoryKeeper(tmp_path / "killed", "resumed"))
    for part in ("class-0-class-0", "class-1-class-1"):
        files = [(tmp_path / run / part / "checkpoint.safetensors").read_bytes() for run in ("straight", "killed")]
        assert files[0] == files[1]
    assert all(np.array_equal(weights, straight.weights()[name]) for name, weights in resumed.weights().items())
    assert resumed.details == straight.details


def test_the_checkpoint_holds_what_dropout_draws_next() -> None:
    config = dcgan.Config(**SMALL, preset="article", classes="embedded")
    method, train = dcgan.Method(config), easy_set([4, 4])

    def started() -> tuple[Contest, Duel]:
        contest = method.contest(train, Key("one"))
        return contest, Duel.start(contest, config, Key("one"))

    (contest, duel), (_, other) = started(), started()
    pictures, labels = contest.draw(4, Key("draw").torch_generator())
    first = duel.critic(pictures, labels, 1.0)
    packed = duel.packed()
    second = duel.critic(pictures, labels, 1.0)
    assert not torch.equal(first, second), "dropout is at work"
    other.restore(packed)
    assert torch.equal(other.critic(pictures, labels, 1.0), second)
    duel.critic.eval()
    assert torch.equal(duel.critic(pictures, labels, 1.0), duel.critic(pictures, labels, 1.0))
