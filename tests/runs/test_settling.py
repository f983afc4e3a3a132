from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tenfold.core.types import Trial
from tenfold.methods import make_method
from tenfold.runs.plan import most_chosen, select_hyperparameters, trainings_to_select
from tenfold.training.classifier import TrainedClassifier

OPEN = {"policy": ("standard", "light", "strong"), "flips": ("no", "one", "both")}


@dataclass
class Stand:
    """Stands for a classifier of which only the loss is looked at."""

    inner_loss: float
    options: Mapping[str, str]


class Training:
    """A training whose loss is a sum over the options."""

    def __init__(self, **losses: float) -> None:
        self.losses = losses
        self.tried: list[Mapping[str, str]] = []

    def __call__(self, options: Mapping[str, str]) -> TrainedClassifier:
        self.tried.append(options)
        return cast(TrainedClassifier, Stand(sum(self.losses.get(value, 1.0) for value in options.values()), options))


def test_options_are_chosen_one_after_the_other() -> None:
    train = Training(standard=0.5, light=0.9, strong=0.2, no=0.5, one=0.4, both=0.6)
    selection = select_hyperparameters(OPEN, train)
    assert selection.options == {"policy": "strong", "flips": "one"}
    assert cast(Any, selection.classifier).options == selection.options
    assert selection.losses == pytest.approx(
        {
            "policy=standard, flips=no": 1.0,
            "policy=light, flips=no": 1.4,
            "policy=strong, flips=no": 0.7,
            "policy=strong, flips=one": 0.6,
            "policy=strong, flips=both": 0.8,
        }
    )


def test_a_tie_keeps_what_is_usual() -> None:
    assert select_hyperparameters(OPEN, Training()).options == {"policy": "standard", "flips": "no"}


def test_the_trainings_are_as_many_as_are_estimated() -> None:
    train = Training(horizontal=0.5)
    selection = select_hyperparameters(make_method("classical").search_space(), train)
    assert selection.options == {"policy": "standard", "flips": "horizontal"}
    assert len(train.tried) == trainings_to_select(make_method("classical")) == 4
    assert trainings_to_select(make_method("raw")) == 0
    assert make_method("classical").default_options() == {"policy": "standard", "flips": "no"}


def trial(arm: str, fold: int, selected: Mapping[str, Any]) -> Trial:
    return Trial(arm, 0, fold, 0.5, 0.5, [], [], [], 1.0, {"settled": selected})


def test_what_most_folds_chose_is_taken_in_the_end() -> None:
    strong, light = ({"classical": {"policy": policy}} for policy in ("strong", "light"))
    trials = [trial("classical", fold, chosen) for fold, chosen in enumerate([strong, light, light])]
    trials += [trial("classical#2", fold, strong) for fold in range(3)]
    assert most_chosen(trials, "classical") == light
    assert most_chosen([], "classical") == {}
