"""What one training brings to the loop: what it learns, what it draws, one step of it, and a look at it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.core.errors import LESS_MEMORY, TenfoldError, TooLittleMemory, is_out_of_memory
from tenfold.training.checkpoint import Parts
from tenfold.training.device import Device
from tenfold.training.distributed import current_ranks
from tenfold.training.schedule import Average, Schedule

LossOf = Callable[..., tuple[Tensor, dict[str, Tensor]]]


class TrainingFailed(TenfoldError):
    """A training cannot be brought to its end: its arm fails, and no other."""


class Diverged(TrainingFailed):
    """Losses became NaN or infinite, or a generator collapsed, and what the loop does about it did not mend it."""


@dataclass(frozen=True)
class Trouble:
    """Why a training goes back."""

    text: str
    collapsed: bool = False
    """All values are finite, but of no use."""


@dataclass(frozen=True)
class Recovery:
    """How a training goes on after a trouble."""

    restart: bool = True
    """From other first weights, as the next attempt; otherwise from the last sound look."""
    slower: float = 1.0
    """What the learning rate is divided by from here on. What restarts may as well set its rates by the attempt."""


@dataclass(frozen=True, eq=False)
class Look:
    """What a look at a training has found."""

    figures: Mapping[str, float] = field(default_factory=dict)
    images: Tensor | None = None
    """R x K x C x H x W in [-1, 1]: rows of a grid that shows what has been learned."""
    note: str = ""
    """A few words for the progress bar."""
    trouble: Trouble | None = None


class Clock:
    """Seconds spent in each named part of a training."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start


class Step:
    """One training, for `TrainingLoop` to run; made anew, at its first step, for every attempt.

    A subclass sets the attributes that it needs before it is handed to the loop and implements `step`. All that later
    steps depend on stands in `networks`, `optimizers`, `generators`, `values` and `best_weights`: checkpoints and
    roll-backs hold these. In a step no value is read back from the device, and what is drawn, is drawn on the CPU.
    """

    steps: int
    networks: Mapping[str, nn.Module]
    """By name, averages too."""
    optimizers: Mapping[str, torch.optim.Optimizer]
    generators: Mapping[str, torch.Generator] = {}
    """All on the CPU."""
    values: dict[str, Any] = {}  # noqa: RUF012  # a subclass that has any makes its own
    """Plain JSON values."""
    best_weights: Mapping[str, Tensor] = {}
    """Of the best look so far; a look replaces them as a whole."""

    schedules: Mapping[str, Schedule] = {}
    """By the optimiser's name; one that is not named keeps its rate."""
    average: Average | None = None

    look_every: int | None = None
    """Steps between two looks; None has only one, at the end."""
    first_look: int = 0
    """The looks are after this step and each `look_every` steps from there, counted from 1, and after the last."""

    most_recoveries: int = 0
    rolls_back: bool = False
    """Whether `recovery` may go back to a look: its state is then kept in memory, and checkpoints are looks."""
    remedy: str = "smaller steps"
    """What did not mend it, for the message of a training that is given up."""

    micro_batches: int = 1
    """Parts in which a batch goes through the networks; the loop doubles it where memory is short."""
    most_micro_batches: int = 1
    """Beyond it the training fails; 1 where a batch cannot be parted."""

    timed: Callable[[str], AbstractContextManager[Any]] = nullcontext
    """`with self.timed("batches"):` counts the seconds inside for the outcome."""

    def step(self, number: int) -> dict[str, Tensor]:
        """Take one step after `number` others; returns losses, on the device and without gradients."""
        raise NotImplementedError

    def begin(self) -> None:
        """Called before the first step of an attempt, but not where a state is put back."""

    def restored(self, number: int) -> None:
        """Called where the state after `number` steps was put back: batches made ahead of it are void."""

    def look(self, number: int) -> Look:
        """Look at the training after `number` steps; may note in `values` what later steps depend on."""
        return Look()

    def recovery(self, trouble: Trouble, recoveries: int) -> Recovery:
        """What is done about a trouble, which is the `recoveries`th."""
        return Recovery(restart=not self.rolls_back)

    def recovered(self, trouble: Trouble, recoveries: int, values: Mapping[str, Any]) -> None:
        """Called where the training stands after that, with the values from before it."""

    def between_batches(self, number: int) -> bool:
        """Whether a checkpoint can be taken after `number` steps: not within a group of batches made in one go."""
        return True

    def parts(self) -> Parts:
        """What a checkpoint holds beside plain values."""
        return Parts(self.networks, self.optimizers, self.generators, self.best_weights)


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished training."""

    step: Step
    steps: int
    """That were taken; fewer than asked for where the budget cut them."""
    attempt: int
    recoveries: int
    micro_batches: int
    """Parts into which batches had to be cut for want of memory; 1 usually."""
    figures: Mapping[str, float]
    """Of the last look."""
    seconds: Mapping[str, float]
    """In each part of the training. On a GPU those of a step are what asking for it takes: a look waits for it."""
    device: str

    @property
    def shortage(self) -> dict[str, int]:
        """For the details of what was trained: nothing, unless memory was short."""
        return {"micro_batches": self.micro_batches} if self.micro_batches > 1 else {}


@contextmanager
def failing_for_memory(device: Device) -> Iterator[None]:
    """A device that has too little memory for what is done inside fails that, and nothing else.

    Raises:
        TooLittleMemory: instead of torch's own error.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise TooLittleMemory(f"{device.name} has too little memory for this; {LESS_MEMORY}") from error


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the slope of a loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def descend_in_parts(
    optimizers: Collection[torch.optim.Optimizer], batch: Sequence[Tensor], parts: int, loss_of: LossOf
) -> dict[str, Tensor]:
    """One step down the slope of a batch's loss, for whose networks the batch is cut into so many parts.

    Of several processes that train together each takes its share of the batch, and all take the same step.

    Args:
        batch: tensors of B rows that belong together.
        loss_of: rows of each of these -> a mean over them, and losses to be told.

    Returns:
        The losses of the whole batch.
    """
    ranks = current_ranks()
    batch = [ranks.share(rows) for rows in batch]
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    told: list[dict[str, Tensor]] = []
    for part in zip(*(rows.tensor_split(parts) for rows in batch), strict=True):
        loss, losses = loss_of(*part)
        share = len(part[0]) / len(batch[0])
        (loss * share if share < 1 else loss).backward()
        told.append({name: value * share for name, value in losses.items()} if share < 1 else losses)
    losses = {name: torch.stack([one[name] for one in told]).sum(0) for name in told[0]} if told[1:] else told[0]
    ranks.average([*_slopes(optimizers), *losses.values()])
    for optimizer in optimizers:
        optimizer.step()
    return losses


def _slopes(optimizers: Iterable[torch.optim.Optimizer]) -> Iterator[Tensor]:
    """The gradients of all that these move."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            yield from (one.grad for one in group["params"] if one.grad is not None)


def is_finite(*values: Tensor) -> bool:
    """Whether all values are; waits for the device, so that only looks ask it."""
    return all(bool(value.isfinite().all()) for value in values)
