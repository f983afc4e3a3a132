from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from made_up_sets import easy_set
from made_up_styles import styled_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.generators import filtering
from tenfold.generators.filtering import ROUNDS
from tenfold.methods import MethodFailed, make_method, restyle
from tenfold.methods.restyle import Config, Method, Restyler
from tenfold.training.classifier import TrainedClassifier

SHORT: dict[str, Any] = {
    "steps": 4,
    "batch_size": 8,
    "width": 4,
    "judge_steps": 4,
    "probe_steps": 4,
    "least_swap_accuracy": 0.0,
    "label_filter": False,
}


def short(**options: Any) -> Method:
    method = make_method("restyle", SHORT | options)
    assert isinstance(method, Method)
    return method


@pytest.fixture(scope="module")
def learned() -> Restyler:
    """Learned in earnest, on a set whose style and label are known apart."""
    options = {"steps": 200, "batch_size": 32, "width": 8, "reader_extra": 32, "reader_steps": 3, "guide": 0.1}
    options |= {"beta": 0.05, "learning_rate": 3e-3, "judge_steps": 40, "probe_steps": 100}
    method = make_method("restyle", options)
    assert isinstance(method, Method)
    return method.learn(styled_set(240), Key("earnest"))


def test_a_small_set_is_restyled_well_enough_to_be_used(learned: Restyler) -> None:
    gates = learned.gates
    assert gates.judge_accuracy > 0.95
    assert gates.swap_accuracy > 0.85
    assert gates.reconstruction_error < gates.trivial_error
    assert gates.style["ink"] > 0.3
    assert learned.refusal is None


def test_what_cannot_be_read_is_refused_and_the_reason_told(
    learned: Restyler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned, "details", {"gates": {"swap_accuracy": 0.8432}})
    with pytest.raises(MethodFailed, match=r"84.3 % of the restyled images, and below 85 % none are used"):
        Method(Config()).more(learned, styled_set(40), np.arange(40), Key("more"))
    monkeypatch.setattr(learned, "config", replace(learned.config, least_swap_accuracy=0.84))
    assert learned.refusal is None


def test_an_arm_below_the_gate_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MethodFailed, match="none are used"):
        short(least_swap_accuracy=1.01).fit(styled_set(40), None, Key("one"))


def test_images_of_a_label_that_the_judge_refuses_are_left_out(
    learned: Restyler, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = styled_set(40)
    grown = Method(Config()).more(learned, real, np.arange(40), Key("more"))
    assert learned.judge is not None
    assert np.array_equal(learned.judge(grown.images), grown.labels)
    counts = {name: grown.details[name] for name in ("drawn", "wrong_label", "usable")}
    assert counts["drawn"] >= 40 >= len(grown.images)
    assert counts["usable"] == np.count_nonzero(~grown.near_copies)

    def never(self: TrainedClassifier, images: Any) -> Any:
        return np.eye(4, dtype=np.float32)[np.zeros(len(images), int)]

    monkeypatch.setattr(TrainedClassifier, "probabilities", never)
    firsts = Method(Config()).more(learned, real, np.arange(40), Key("more"))
    assert set(firsts.labels) == {0}
    assert firsts.details["wrong_label"] >= 30 * ROUNDS
    with pytest.raises(MethodFailed, match="agrees with the label of none of"):
        Method(Config()).more(learned, real, np.flatnonzero(real.labels == 1), Key("more"))


def test_near_copies_are_marked_and_no_arm_trains_on_them(learned: Restyler, monkeypatch: pytest.MonkeyPatch) -> None:
    real = styled_set(40)
    monkeypatch.setattr(filtering, "copies_among", lambda images, *_: (np.arange(len(images)) % 2 == 0, 0.0))
    monkeypatch.setattr(Method, "learn", lambda *_: learned)
    recipe = Method(Config()).fit(real, None, Key("one"))
    grown = Method(Config()).grow(real, 1.0, Key("one"))
    assert recipe.extra is not None
    assert len(recipe.extra) == np.count_nonzero(~grown.near_copies)
    monkeypatch.setattr(filtering, "copies_among", lambda images, *_: (np.ones(len(images), bool), 0.0))
    with pytest.raises(MethodFailed, match="near copies"):
        Method(Config()).fit(real, None, Key("one"))


def test_each_style_of_another_class_comes_once_before_two_are_mixed() -> None:
    real = easy_set([6, 3])
    grown = short().grow(real, 2.0, Key("one"))
    for label, others in ((0, {6, 7, 8}), (1, {0, 1, 2, 3, 4, 5})):
        parents = [p for p, own in zip(grown.parents, grown.labels, strict=True) if own == label]
        single = [p[0] for p in parents if len(p) == 1]
        assert len(set(single)) == len(single) == min(len(others), len(parents))
        assert {parent for pair in parents for parent in pair} <= others
        assert all(len(set(pair)) == 2 for pair in parents if len(pair) > 1)
    groups = grown.as_dataset(real).groups
    assert groups.tolist() == [int(real.groups[p[0]]) for p in grown.parents]


def test_a_single_style_is_not_mixed_with_itself() -> None:
    grown = short().grow(easy_set([3, 1]), 3.0, Key("one"))
    assert {p for p, label in zip(grown.parents, grown.labels, strict=True) if label == 0} == {(3,)}


def test_one_class_cannot_be_restyled() -> None:
    with pytest.raises(MethodFailed, match="only one"):
        short().fit(easy_set([6]), None, Key("one"))


def test_a_training_that_explodes_is_told() -> None:
    with pytest.raises(MethodFailed, match="restyle: the losses became NaN"):
        short(learning_rate=1e30, bounded=False).grow(easy_set([4, 4]), 1, Key("one"))


def test_the_judge_takes_no_part_in_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    guides: list[Any] = []
    train = restyle.train_fader

    def noted(*arguments: Any, **named: Any) -> Any:
        guides.append(arguments[3])
        return train(*arguments, **named)

    monkeypatch.setattr(restyle, "train_fader", noted)
    restyler = short().learn(styled_set(40), Key("one"))
    assert guides[0] is not None
    assert restyle.GUIDE_WIDTH != restyle.JUDGE_WIDTH
    assert restyler.judge is not None
    short(preset="article").learn(styled_set(40), Key("one"))
    assert guides[1] is None


def test_the_preset_of_the_article_is_its_loss() -> None:
    config = make_method("restyle", {"preset": "article"}).config
    assert (config.target, config.bounded, config.reader_steps, config.reader_extra) == ("article", False, 1, 0)
    assert (config.guide, config.ramp_share, config.dropout, config.scaled_readers) == (0.0, 0.0, 0.2, False)
    assert make_method("restyle", {"preset": "article", "beta": 0.7}).config.beta == 0.7
    with pytest.raises(InputError, match="preset"):
        make_method("restyle", {"preset": "articel"})


@pytest.mark.parametrize(("images", "steps"), [(100, 600), (3000, 1406), (60000, 2000)])
def test_the_steps_follow_the_number_of_images(images: int, steps: int) -> None:
    assert Method(Config()).for_set(easy_set([images])).config.steps == steps
    assert Method(Config(steps=7)).for_set(easy_set([images])).config.steps == 7


@pytest.mark.parametrize("preset", ["fast", "article"])
def test_what_was_kept_paints_the_same(preset: str) -> None:
    real = styled_set(20)
    restyler, again = short(preset=preset).learn(real, Key("one")), short(preset=preset).generator(real)
    again.load({name: torch.from_numpy(value) for name, value in restyler.weights().items()})
    chosen, seeds = np.arange(20), np.arange(20)
    first, second = (
        one.sample(one.conditions(real, Key("styles"))(chosen, seeds), seeds, real.image_shape)
        for one in (restyler, again)
    )
    assert np.array_equal(first, second)


def test_images_of_another_size_are_restyled_at_theirs() -> None:
    restyler, large = short().learn(styled_set(20), Key("one")), easy_set([4, 4, 4, 4], (1, 12, 12))
    conditions = restyler.conditions(large, Key("styles"))(np.arange(16), np.arange(16))
    assert restyler.sample(conditions, range(16), large.image_shape).shape == (16, 1, 12, 12)
