from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_step import GROUP, STEPS, MadeUpStep, Restarting, RollingBack, contents, disturbed, trained
from torch import Tensor, nn

from tenfold.core.errors import InputError, TooLittleMemory
from tenfold.training import loop as loop_module
from tenfold.training.callbacks import Callback
from tenfold.training.checkpoint import checkpoints_in
from tenfold.training.loop import TrainingLoop
from tenfold.training.schedule import cosine
from tenfold.training.step import Diverged, Look, Step


class Killed(BaseException):
    """Stands for a SIGKILL."""


class Notebook(Callback):
    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def begin(self, number: int, steps: int) -> None:
        self.events.append(("begin", number, steps))

    def step(self, number: int, steps: int, losses: Any) -> None:
        self.events.append(("step", number, steps))

    def look(self, number: int, steps: int, look: Look) -> None:
        self.events.append(("look", number, dict(look.figures)))

    def trouble(self, number: int, text: str) -> None:
        self.events.append(("trouble", number, text))

    def before_checkpoint(self) -> None:
        self.events.append(("checkpoint",))

    def end(self) -> None:
        self.events.append(("end",))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [result for result in self.events if result[0] == kind]


def killed_at(steps: set[int]) -> Callable[[MadeUpStep, int], None]:
    """Kill before each of these steps, once."""

    def kill(step: MadeUpStep, number: int) -> None:
        if number in steps:
            steps.remove(number)
            raise Killed

    return kill


def resumed(kind: type[MadeUpStep], kills: set[int], checkpoint: Path) -> dict[str, Any]:
    start = disturbed(kind, killed_at(kills))
    while True:
        try:
            return trained(start, checkpoint=checkpoint)
        except Killed:
            continue


@pytest.mark.usefixtures("checkpoint_at_every_chance")
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kills=st.sets(st.integers(0, STEPS - 1), min_size=1, max_size=4),
    kind=st.sampled_from([MadeUpStep, Restarting, RollingBack]),
)
def test_a_killed_training_goes_on_to_the_same_bytes(
    kills: set[int], kind: type[MadeUpStep], tmp_path_factory: pytest.TempPathFactory
) -> None:
    checkpoint = tmp_path_factory.mktemp("killed") / "checkpoint.safetensors"
    assert resumed(kind, set(kills), checkpoint) == trained(kind)


@pytest.mark.usefixtures("checkpoint_at_every_chance")
def test_a_resume_repeats_no_more_than_a_group_of_batches(tmp_path: Path) -> None:
    taken: list[int] = []
    kill = killed_at({STEPS - 1})

    def watch(step: MadeUpStep, number: int) -> None:
        kill(step, number)
        taken.append(number)

    start = disturbed(MadeUpStep, watch)
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        trained(start, checkpoint=checkpoint)
    taken.clear()
    trained(start, checkpoint=checkpoint)
    assert taken == list(range(STEPS - GROUP, STEPS))


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    def refuse(step: MadeUpStep, number: int) -> None:
        raise AssertionError

    checkpoint = tmp_path / "checkpoint.safetensors"
    first = trained(checkpoint=checkpoint)
    assert trained(disturbed(MadeUpStep, refuse), checkpoint=checkpoint) == first


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    class Other(MadeUpStep):
        def __init__(self, attempt: int = 0) -> None:
            super().__init__(attempt)
            self.networks = self.networks | {"third": nn.utils.skip_init(nn.Linear, 2, 2)}

    checkpoint = tmp_path / "checkpoint.safetensors"
    trained(checkpoint=checkpoint)
    with pytest.raises(InputError, match="another training"):
        trained(Other, checkpoint=checkpoint)


def spoil_at(*steps: int) -> Callable[[MadeUpStep, int], None]:
    """Make the weights NaN before these steps, counted over all attempts."""
    count = itertools.count()

    def spoil(step: MadeUpStep, number: int) -> None:
        if next(count) in steps:
            with torch.no_grad():
                step.networks["network"][0].weight.fill_(math.nan)  # type: ignore[index, operator, union-attr]

    return spoil


def test_nan_starts_the_training_again_as_the_next_attempt() -> None:
    outcome = TrainingLoop().run(disturbed(Restarting, spoil_at(4)))
    assert (outcome.attempt, outcome.recoveries) == (1, 1)
    plain = TrainingLoop().run(lambda attempt: Restarting(1))
    assert contents(outcome)["tensors"] == contents(plain)["tensors"]


def test_nan_rolls_back_to_the_last_look_with_a_smaller_rate_and_other_draws() -> None:
    notebook, rates = Notebook(), []

    def watch(step: MadeUpStep, number: int) -> None:
        spoil(step, number)
        rates.append((number, step.optimizers["other"].param_groups[0]["lr"]))

    spoil = spoil_at(7)
    outcome = TrainingLoop(callbacks=[notebook]).run(disturbed(RollingBack, watch))
    assert (outcome.attempt, outcome.recoveries) == (0, 1)
    assert notebook.of("trouble") == [("trouble", 9, "the losses became NaN")]
    assert [number for number, _ in rates] == [*range(9), *range(6, STEPS)]
    assert {rate for _, rate in rates[:9]} == {0.1}
    assert {rate for _, rate in rates[9:]} == {0.05}
    assert outcome.step.values["strength"] == pytest.approx(1.5 * 1.01**8)


def test_a_third_roll_back_starts_anew_and_a_fourth_fails() -> None:
    outcome = TrainingLoop().run(disturbed(RollingBack, spoil_at(4, 7, 10)))
    assert (outcome.attempt, outcome.recoveries) == (3, 3)
    with pytest.raises(Diverged, match="NaN, and smaller steps did not mend it"):
        TrainingLoop().run(disturbed(RollingBack, spoil_at(4, 7, 10, 13)))
    with pytest.raises(Diverged, match=r"NaN$"):
        TrainingLoop().run(disturbed(MadeUpStep, spoil_at(4)))


@pytest.mark.usefixtures("checkpoint_at_every_chance")
def test_a_training_that_rolled_back_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    def start(kills: set[int]) -> Callable[[int], MadeUpStep]:
        kill = killed_at(kills)

        def both(step: MadeUpStep, number: int) -> None:
            kill(step, number)
            if number == 7 and step.values["strength"] < 1.4:  # until the first roll-back
                spoil_at(0)(step, number)

        return disturbed(RollingBack, both)

    expected = trained(start(set()))
    assert expected["numbers"][2] == 1
    kills, checkpoint = {5, 8, 16}, tmp_path / "checkpoint.safetensors"
    going = start(kills)
    for _ in range(4):
        try:
            result = trained(going, checkpoint=checkpoint)
        except Killed:
            continue
    assert result == expected


def starved(most: int) -> Callable[[MadeUpStep, int], None]:
    """Memory for batches of which at least so many parts are made."""

    def starve(step: MadeUpStep, number: int) -> None:
        if step.micro_batches < most and number >= 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    return starve


@pytest.mark.parametrize("kind", [MadeUpStep, RollingBack])
def test_out_of_memory_halves_the_parts_of_a_batch_and_is_recorded(kind: type[MadeUpStep]) -> None:
    notebook, made = Notebook(), []
    outcome = TrainingLoop(callbacks=[notebook]).run(disturbed(kind, starved(4), made))
    assert outcome.micro_batches == 4
    assert [result[2] for result in notebook.of("trouble")] == [
        f"out of memory; batches go through the network in {parts} parts from here on" for parts in (2, 4)
    ]
    # It begins anew, so that what half a step has changed is not there any more.
    assert contents(outcome)["tensors"] == trained(kind)["tensors"]
    assert set(made[-1].parts_used[-STEPS:]) == {4}


def test_too_little_memory_for_the_smallest_parts_fails_the_training_alone() -> None:
    with pytest.raises(TooLittleMemory, match="for the smallest part of a batch; try a smaller --size"):
        TrainingLoop().run(disturbed(MadeUpStep, starved(8)))

    def start(attempt: int) -> Step:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TooLittleMemory, match="cpu has too little memory"):
        TrainingLoop().run(start)


def test_the_budget_cuts_the_steps_to_what_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seconds = itertools.count()
    ticking = SimpleNamespace(perf_counter=lambda: 10.0 * next(seconds), monotonic=lambda: 0.0)
    monkeypatch.setattr(loop_module, "time", ticking)
    notebook, start = Notebook(), disturbed(MadeUpStep, killed_at({33}))
    loop = TrainingLoop(callbacks=[notebook], checkpoint=tmp_path / "checkpoint.safetensors", budget=10.0)
    long = MadeUpStep(steps=100)
    # 20 steps take 10 seconds by this clock: 0.9 * 10 seconds are 18 more after the 24th.
    assert loop.run(lambda attempt: long).steps == 24 + 18
    assert notebook.of("step")[-1] == ("step", 42, 42)
    assert notebook.of("look")[-1][1] == 42
    assert start(0).steps == STEPS
    again = TrainingLoop(checkpoint=tmp_path / "checkpoint.safetensors", budget=10.0)
    assert again.run(lambda attempt: MadeUpStep(steps=100)).steps == 42


def test_rates_are_base_times_factor_times_schedule_for_each_group() -> None:
    rates: list[tuple[float, ...]] = []

    class Watched(MadeUpStep):
        def __init__(self, attempt: int = 0) -> None:
            super().__init__(attempt)
            self.schedules = {"network": cosine}

        def step(self, number: int) -> dict[str, Tensor]:
            groups = [*self.optimizers["network"].param_groups, *self.optimizers["other"].param_groups]
            rates.append(tuple(group["lr"] for group in groups))
            return super().step(number)

    trained(Watched)
    shares = [cosine(number, STEPS) for number in range(STEPS)]
    assert rates == [(0.1 * share, 0.05 * share, 0.1) for share in shares]


def test_callbacks_hear_of_every_step_and_look_and_of_the_end_of_a_failure_too(tmp_path: Path) -> None:
    notebook = Notebook()
    outcome = TrainingLoop(callbacks=[notebook], checkpoint=tmp_path / "checkpoint.safetensors").run(MadeUpStep)
    assert notebook.events[0] == ("begin", 0, STEPS)
    assert notebook.of("step") == [("step", number, STEPS) for number in range(1, STEPS + 1)]
    assert [result[1] for result in notebook.of("look")] == [6, 12, 18, 24]
    assert notebook.of("look")[-1][2] == outcome.figures
    assert notebook.events[-2:] == [("checkpoint",), ("end",)]
    failed = Notebook()
    with pytest.raises(Diverged):
        TrainingLoop(callbacks=[failed]).run(disturbed(MadeUpStep, spoil_at(4)))
    assert failed.events[-1] == ("end",)


@pytest.mark.parametrize(("first", "looks"), [(0, [10, 20, 24]), (1, [1, 11, 21, 24])])
def test_looks_are_counted_from_the_first_one(first: int, looks: list[int]) -> None:
    class Looking(MadeUpStep):
        look_every, first_look = 10, first

    notebook = Notebook()
    trained(Looking, callbacks=[notebook])
    assert [result[1] for result in notebook.of("look")] == looks


def test_a_training_of_no_steps_has_an_outcome() -> None:
    outcome = TrainingLoop().run(lambda attempt: MadeUpStep(steps=0))
    assert outcome.steps == 0


def test_parts_have_checkpoints_and_callbacks_of_their_own(tmp_path: Path) -> None:
    part = TrainingLoop(checkpoint=tmp_path / "checkpoint.safetensors", budget=3.0).part("cats")
    assert part.checkpoint == tmp_path / "cats" / "checkpoint.safetensors"
    assert part.budget == 3.0
    assert TrainingLoop().part("cats").checkpoint is None


def test_the_time_of_each_part_is_told() -> None:
    outcome = TrainingLoop().run(MadeUpStep)
    assert set(outcome.seconds) == {"setup", "average"}
    assert outcome.device == TrainingLoop().device.description


def test_the_pace_is_taken_from_steps_that_leave_nothing() -> None:
    made: list[MadeUpStep] = []
    pace = TrainingLoop().seconds_a_step(disturbed(MadeUpStep, lambda step, number: None, made))
    assert 0 < pace < 10
    assert len(made) == 1


def test_a_step_reads_no_value_back_from_the_device() -> None:
    """On the meta device an `.item()`, a copy to the host and a tensor left on the CPU all raise."""
    step = MadeUpStep(device="meta")
    for number in range(3):
        loop_module._take(step, number, 1.0)


@pytest.mark.usefixtures("checkpoint_at_every_chance")
def test_a_named_training_goes_on_where_checkpoints_are_kept(tmp_path: Path) -> None:
    taken: list[int] = []

    def run(kills: set[int], identity: str = "one") -> Any:
        kill = killed_at(kills)

        def watch(step: MadeUpStep, number: int) -> None:
            kill(step, number)
            taken.append(number)

        return contents(TrainingLoop.named(identity).run(disturbed(MadeUpStep, watch)))

    with pytest.raises(Killed):
        run({9})
    assert TrainingLoop.named("one").checkpoint is None, "outside nothing is kept"
    with checkpoints_in(tmp_path):
        with pytest.raises(Killed):
            run({9})
        assert [path.name[0] for path in tmp_path.iterdir()] == ["."], "it is hidden from what a job leaves"
        taken.clear()
        assert run(set()) == trained()
        assert taken == list(range(9, STEPS))
        taken.clear()
        run(set(), "other")
        assert taken == list(range(STEPS))
