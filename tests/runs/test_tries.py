from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tenfold.core.types import Trial
from tenfold.methods import make_method
from tenfold.runs.tries import SHARE, most_chosen, select_hyperparameters, shortened, tries_to_select
from tenfold.training.classifier import ClassifierConfig
from tenfold.training.recipe import Recipe, Start

OPEN = {"policy": ("standard", "light", "strong"), "flips": ("no", "one", "both")}


class Tries:
    """Tries whose loss is a sum over the options."""

    def __init__(self, **losses: float) -> None:
        self.losses = losses
        self.tried: list[Mapping[str, str]] = []

    def __call__(self, options: Mapping[str, str]) -> float:
        self.tried.append(options)
        return sum(self.losses.get(value, 1.0) for value in options.values())


def test_options_are_chosen_one_after_the_other() -> None:
    loss = Tries(standard=0.5, light=0.9, strong=0.2, no=0.5, one=0.4, both=0.6)
    selection = select_hyperparameters(OPEN, loss)
    assert selection.options == {"policy": "strong", "flips": "one"}
    assert selection.losses == pytest.approx(
        {
            "policy=standard, flips=no": 1.0,
            "policy=light, flips=no": 1.4,
            "policy=strong, flips=no": 0.7,
            "policy=strong, flips=one": 0.6,
            "policy=strong, flips=both": 0.8,
        }
    )


def test_where_there_is_one_candidate_nothing_is_tried() -> None:
    loss = Tries()
    assert select_hyperparameters({"policy": ("light",)}, loss).options == {"policy": "light"}
    assert not loss.tried
    assert tries_to_select(make_method("classical", {"flips": "no"})) == 0


def test_a_tie_keeps_what_is_usual() -> None:
    assert select_hyperparameters(OPEN, Tries()).options == {"policy": "standard", "flips": "no"}


def test_the_tries_are_as_many_as_are_estimated() -> None:
    loss = Tries(horizontal=0.5)
    selection = select_hyperparameters(make_method("classical").search_space(), loss)
    assert selection.options == {"policy": "standard", "flips": "horizontal"}
    assert len(loss.tried) == tries_to_select(make_method("classical")) == 2
    assert tries_to_select(make_method("raw")) == 0
    assert make_method("classical").default_options() == {"policy": "standard", "flips": "no"}


def test_a_try_is_short_and_all_of_classicals_take_a_third_of_a_training_at_most() -> None:
    config = ClassifierConfig()
    _, brief = shortened(Recipe(), config)
    tried = tries_to_select(make_method("classical"))
    assert (brief.looks, brief.steps) == (1, round(SHARE * config.steps))
    assert tried * SHARE <= 1 / 3
    assert shortened(Recipe(), ClassifierConfig(steps=5))[1].steps == 1


def test_a_network_with_steps_of_its_own_is_tried_with_few_of_those() -> None:
    def network(*_: Any) -> Any: ...

    for steps, few in ((None, None), (0, 0), (240, 20)):
        start = shortened(Recipe(init=Start(network, steps=steps)), ClassifierConfig())[0].init
        assert start is not None
        assert start.steps == few


def trial(arm: str, fold: int, selected: Mapping[str, Any]) -> Trial:
    return Trial(arm, 0, fold, 0.5, 0.5, [], [], [], 1.0, {"settled": selected})


def test_what_most_folds_chose_is_taken_in_the_end() -> None:
    strong, light = ({"classical": {"policy": policy}} for policy in ("strong", "light"))
    trials = [trial("classical", fold, chosen) for fold, chosen in enumerate([strong, light, light])]
    trials += [trial("classical#2", fold, strong) for fold in range(3)]
    assert most_chosen(trials, "classical") == light
    assert most_chosen([], "classical") == {}
