"""The one training loop: rates, average, looks, recovery from NaN, checkpoints, budget, memory, progress and clock.

What is trained is a `Step`. Where, for how long and who is told is the loop's: a trial trains with `TrainingLoop()`,
a command that keeps what it trains hands down one with a checkpoint and callbacks. A resume gives the same bytes.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from tenfold.core.errors import LESS_MEMORY, TooLittleMemory, is_out_of_memory
from tenfold.core.files import write_bytes
from tenfold.training.callbacks import Callback, listeners
from tenfold.training.checkpoint import State, checkpoint_of
from tenfold.training.deadline import TimeIsUp, current_deadline
from tenfold.training.device import Device, current_device, keep_large_blocks, threads
from tenfold.training.distributed import current_ranks
from tenfold.training.step import Clock, Diverged, Outcome, Step, Trouble, failing_for_memory

SECONDS_BETWEEN_CHECKPOINTS = 20.0
BUDGET_SHARE = 0.9
"""Of the time given; the rest is for what stands before and after the training."""
PACE_STEPS = (4, 24)
"""Steps between which the pace is taken; the first ones are slower."""

Start = Callable[[int], Step]
"""(attempt, counted from 0) -> a training at its first step; the attempt names the draws of its first weights."""


class TrainingLoop:
    """Where and how a training runs; hand it to whatever trains.

    Args:
        device: where networks live; `current_device()` unless given.
        callbacks: who is told of it.
        checkpoint: a file that holds the state every 20 seconds and at the end; one that is there is taken up.
        budget: seconds from now on; steps are cut to what fits. None is no limit but that of `ending_at`.
    """

    def __init__(
        self,
        device: Device | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
        budget: float | None = None,
    ) -> None:
        self.device, self.ranks, self.budget = device or current_device(), current_ranks(), budget
        self.callbacks, self.checkpoint = (tuple(callbacks), checkpoint) if self.ranks.first else ((), None)
        keep_large_blocks()
        self.started, self.deadline = time.monotonic(), current_deadline()
        if budget is None and self.deadline is not None and self.deadline.shortens:
            self.budget = self.deadline.seconds_left

    @classmethod
    def named(cls, identity: str) -> TrainingLoop:
        """With a checkpoint where the block of `checkpoints_in` around this call keeps them, if there is one.

        Args:
            identity: says all that decides the training: two of one identity come to the same.
        """
        return cls(checkpoint=checkpoint_of(identity))

    def part(self, name: str) -> TrainingLoop:
        """The loop for one of several trainings, one after another, that make one thing."""
        checkpoint = self.checkpoint and self.checkpoint.parent / name / self.checkpoint.name
        return TrainingLoop(self.device, [one.part(name) for one in self.callbacks], checkpoint, self.budget)

    def run(self, start: Start, thread_count: int = 1) -> Outcome:
        """Train to the end.

        Args:
            start: makes the training at its first step; called again for another attempt.
            thread_count: processor threads; 0 is all cores.

        Raises:
            Diverged: trouble came more often than the training's `most_recoveries`.
            TooLittleMemory: the device has too little memory, even for the smallest parts of a batch.
            TimeIsUp: the block of `ending_at` around the loop says so.
            InputError: the checkpoint is of another training.
        """
        with threads(thread_count), failing_for_memory(self.device):
            return _Run(self, start).to_the_end()

    def seconds_a_step(self, start: Start, thread_count: int = 1) -> float:
        """The pace of a training on this device, from about twenty steps that are thrown away."""
        first, last = PACE_STEPS
        with threads(thread_count):
            step = start(0)
            for number in range(last):
                if number == first:
                    self.device.synchronise()
                    started = time.perf_counter()
                _take(step, number, 1.0)
            self.device.synchronise()
        return (time.perf_counter() - started) / (last - first)


def _take(step: Step, number: int, rate_factor: float) -> dict[str, torch.Tensor]:
    """One step at its learning rate, and the average after it."""
    for name, optimizer in step.optimizers.items():
        share = schedule(number, step.steps) if (schedule := step.schedules.get(name)) else 1.0
        for group in optimizer.param_groups:
            # In this order: another one would move the last bit.
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * rate_factor * share
    losses = step.step(number)
    if (average := step.average) is not None:
        with step.timed("average"):
            networks = step.networks
            average.update(networks[average.averaged], networks[average.network], number + 1, step.steps)
    return losses


@dataclass(eq=False)
class _Place:
    """How far a training is and what happened to it; plain values for the checkpoint."""

    number: int = 0
    steps: int = 0
    attempt: int = 0
    recoveries: int = 0
    rate_factor: float = 1.0
    micro_batches: int = 1
    figures: dict[str, float] = field(default_factory=dict)


class _Run:
    """One training from its start or checkpoint to its end."""

    step: Step

    def __init__(self, loop: TrainingLoop, start: Start) -> None:
        self.loop, self.start, self.clock, self.place = loop, start, Clock(), _Place()
        self.sound: State | None = None
        """To go back to; None is the start of the attempt."""
        self.written = time.monotonic()
        self.pace_started: float | None = None
        path = loop.checkpoint
        kept = loop.ranks.agreed(path.read_bytes() if path is not None and path.exists() else None)
        if kept is not None:
            self.sound = State.unpack(kept)
            self.place = _Place(**self.sound.values["loop"])
            self._make()
            self._restore(self.sound)
            told = self.sound.values["callbacks"]
            for callback in loop.callbacks:
                if (name := type(callback).__name__) in told:
                    callback.resume(told[name])
        else:
            self._make()
            self.step.begin()
            self.place.steps = self.step.steps
            self._keep_in_memory()

    def to_the_end(self) -> Outcome:
        self._tell(lambda callback: callback.begin(self.place.number, self.step.steps))
        try:
            while self.place.number < self.step.steps:
                try:
                    self._advance()
                    continue
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                # Outside of the block, where nothing holds the failed step's tensors any more.
                self._cut_batches()
        finally:
            self._tell(lambda callback: callback.end())
        self.loop.device.synchronise()
        return Outcome(
            self.step, self.place.number, self.place.attempt, self.place.recoveries, self.place.micro_batches,
            self.place.figures, self.clock.seconds, self.loop.device.description,
        )  # fmt: skip

    def _advance(self) -> None:
        step, place, deadline = self.step, self.place, self.loop.deadline
        late = deadline is not None and self.loop.ranks.agreed(deadline.seconds_left <= 0)
        if deadline is not None and late and not deadline.shortens:
            raise TimeIsUp
        losses = _take(step, place.number, place.rate_factor)
        place.number += 1
        if late:
            place.steps = step.steps = place.number
        else:
            self._cut_to_budget()
        self._tell(lambda callback: callback.step(place.number, step.steps, losses))
        last = place.number >= step.steps
        if last or (step.look_every and (place.number - step.first_look) % step.look_every == 0):
            self._look()
        elif not step.rolls_back:
            self._keep_on_disk()

    def _look(self) -> None:
        step, place = self.step, self.place
        look = step.look(place.number)
        trouble, step.values = self.loop.ranks.agreed((look.trouble, step.values))
        if trouble is not None:
            self._recover(trouble)
            return
        place.figures = dict(look.figures)
        self._tell(lambda callback: callback.look(place.number, step.steps, look))
        self._keep_in_memory()
        self._keep_on_disk()

    def _recover(self, trouble: Trouble) -> None:
        before, place = self.step, self.place
        place.recoveries += 1
        if place.recoveries > before.most_recoveries:
            mended = f", and {before.remedy} did not mend it" if before.most_recoveries else ""
            raise Diverged(f"{trouble.text}{mended}")
        self._tell(lambda callback: callback.trouble(place.number, trouble.text))
        recovery, values = before.recovery(trouble, place.recoveries), dict(before.values)
        if recovery.restart:
            place.attempt = place.recoveries
            self.sound = None
        self._go_back()
        place.rate_factor /= recovery.slower
        self.step.recovered(trouble, place.recoveries, values)
        self._keep_in_memory()

    def _cut_batches(self) -> None:
        place, parts = self.place, 2 * self.place.micro_batches
        if parts > self.step.most_micro_batches or self.loop.ranks.count > 1:  # the others wait for its gradients
            name = self.loop.device.name
            raise TooLittleMemory(f"{name} has too little memory for the smallest part of a batch; {LESS_MEMORY}")
        text = f"out of memory; batches go through the network in {parts} parts from here on"
        self._tell(lambda callback: callback.trouble(place.number, text))
        place.micro_batches = parts
        self._go_back()

    def _go_back(self) -> None:
        """To the last sound state, or to the start of the attempt; what happened meanwhile is not forgotten."""
        place, sound = self.place, self.sound
        if sound is None:
            place.number = 0
            self._make()
            self.step.begin()
        else:
            place.number, place.figures = (sound.values["loop"][name] for name in ("number", "figures"))
            self._restore(sound)

    def _make(self) -> None:
        """The attempt at its first step."""
        self.__dict__.pop("step", None)  # first: two of them may not fit into the memory
        if self.loop.device.kind == "cuda":
            torch.cuda.empty_cache()
        with self.clock("setup"):
            self.step = self.start(self.place.attempt)
        self.step.timed = self.clock
        self.loop.ranks.join(self.step.networks.values())
        self._prepare()

    def _restore(self, state: State) -> None:
        self.step.best_weights = state.restore(self.step.parts())
        self.step.values = copy.deepcopy(state.values["step"])
        self._prepare()
        self.step.restored(self.place.number)

    def _prepare(self) -> None:
        self.step.steps = self.place.steps or self.step.steps
        self.step.micro_batches = self.place.micro_batches

    def _state(self, **more: Any) -> State:
        return State.of(self.step.parts(), {"loop": asdict(self.place), "step": self.step.values, **more})

    def _keep_in_memory(self) -> None:
        if self.step.rolls_back:
            self.sound = self._state().clone()

    def _keep_on_disk(self) -> None:
        """Now and then, and at the end."""
        checkpoint, place = self.loop.checkpoint, self.place
        due = place.number >= self.step.steps or time.monotonic() - self.written > SECONDS_BETWEEN_CHECKPOINTS
        if checkpoint is not None and due and self.step.between_batches(place.number):
            told = {type(callback).__name__: callback.before_checkpoint() for callback in self.loop.callbacks}
            write_bytes(checkpoint, self._state(callbacks=told).pack())
            self.written = time.monotonic()

    def _cut_to_budget(self) -> None:
        loop, place = self.loop, self.place
        if loop.budget is None or place.number not in PACE_STEPS:
            return
        loop.device.synchronise()
        if place.number == PACE_STEPS[0]:
            self.pace_started = time.perf_counter()
        elif self.pace_started is not None:
            pace = (time.perf_counter() - self.pace_started) / (PACE_STEPS[1] - PACE_STEPS[0])
            left = loop.budget * BUDGET_SHARE - (time.monotonic() - loop.started)
            fits = min(self.step.steps, place.number + max(1, int(left / pace)))
            place.steps = self.step.steps = loop.ranks.agreed(fits)

    def _tell(self, what: Callable[[Callback], Any]) -> None:
        for callback in (*self.loop.callbacks, *listeners()):
            what(callback)
