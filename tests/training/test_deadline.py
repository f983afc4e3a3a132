from __future__ import annotations

import time

import pytest
from made_up_step import MadeUpStep

from tenfold.training.deadline import TimeIsUp, current_deadline, ending_at
from tenfold.training.loop import TrainingLoop


def test_a_training_is_broken_off_as_it_takes_a_step_after_its_time() -> None:
    start = time.monotonic()
    with ending_at(time.time() + 0.2), pytest.raises(TimeIsUp):
        TrainingLoop().run(lambda attempt: MadeUpStep(steps=10**6))
    assert time.monotonic() - start < 30


def test_one_that_may_be_shorter_ends_with_what_it_has_learned() -> None:
    with ending_at(time.time() + 0.2, shortens=True):
        outcome = TrainingLoop().run(lambda attempt: MadeUpStep(steps=10**6))
    assert 0 < outcome.steps < 10**6
    assert outcome.steps == outcome.step.steps


def test_one_that_may_be_shorter_takes_a_step_even_where_the_time_is_up() -> None:
    with ending_at(time.time() - 5, shortens=True):
        assert TrainingLoop().run(lambda attempt: MadeUpStep(steps=50)).steps == 1


def test_a_deadline_changes_nothing_of_what_ends_in_time() -> None:
    def weights() -> list[float]:
        outcome = TrainingLoop().run(lambda attempt: MadeUpStep(steps=30))
        weights: list[float] = outcome.step.networks["network"][0].weight.detach().flatten().tolist()
        return weights

    alone = weights()
    with ending_at(time.time() + 3600):
        assert weights() == alone
    with ending_at(None):
        assert current_deadline() is None
