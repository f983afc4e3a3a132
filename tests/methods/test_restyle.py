from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from made_up_sets import easy_set
from made_up_styles import styled_set
from tenfold.core.keys import Key
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


def test_images_of_a_label_that_the_judge_refuses_are_left_out(
    learned: Restyler, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = styled_set(40)
    grown = Method(Config()).more(learned, real, np.arange(40), Key("more"))
    assert learned.judge is not None
    assert np.array_equal(learned.judge(grown.images), grown.labels)

    def never(self: TrainedClassifier, images: Any) -> Any:
        return np.eye(4, dtype=np.float32)[np.zeros(len(images), int)]

    monkeypatch.setattr(TrainedClassifier, "probabilities", never)
    firsts = Method(Config()).more(learned, real, np.arange(40), Key("more"))
    assert set(firsts.labels) == {0}
    assert firsts.details["wrong_label"] >= 30 * ROUNDS


def test_one_class_cannot_be_restyled() -> None:
    with pytest.raises(MethodFailed, match="only one"):
        short().fit(easy_set([6]), None, Key("one"))


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


def test_images_of_another_size_are_restyled_at_theirs() -> None:
    restyler, large = short().learn(styled_set(20), Key("one")), easy_set([4, 4, 4, 4], (1, 12, 12))
    conditions = restyler.conditions(large, Key("styles"))(np.arange(16), np.arange(16))
    assert restyler.sample(conditions, range(16), large.image_shape).shape == (16, 1, 12, 12)
