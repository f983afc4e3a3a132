"""Small trainings that processes share, for `torchrun made_up_ranks.py DIRECTORY`: what each of their steps loses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from made_up_sets import SHORT, easy_set
from tenfold.core.keys import Key
from tenfold.methods import GeneratorMethod, make_method
from tenfold.networks import unet
from tenfold.training import loop as loop_module
from tenfold.training.callbacks import Callback
from tenfold.training.classifier import ClassifierStep, ClassifierTask
from tenfold.training.device import Device
from tenfold.training.distributed import current_ranks, together
from tenfold.training.loop import Start, TrainingLoop
from tenfold.training.recipe import standard_augmentation
from tenfold.training.step import Look, Step, Trouble

STEPS, STOPPED = 12, 9  # batches of tiny images are made eight at a time, and only then come checkpoints
GANS: dict[str, dict[str, Any]] = {
    "cgan": {"batch_size": 16},
    "dagan": {"batch_size": 16},
    "dcgan": {"batch_size": 16, "preset": "article"},
}
KINDS = ("classifier", *GANS)
CPU = Device("cpu")


class Stop(Exception):
    """What a kill does to a training, in all of its processes."""


class Losses(Callback):
    def __init__(self) -> None:
        self.each: list[dict[str, float]] = []

    def step(self, number: int, steps: int, losses: Mapping[str, Tensor]) -> None:
        self.each.append({name: value.item() for name, value in losses.items()})


def start_of(kind: str) -> Start:
    train = easy_set([10, 14, 8], (1, 16, 16))
    if kind == "classifier":
        config = replace(SHORT, steps=STEPS, batch_size=16, looks=STEPS // 3)
        task = ClassifierTask(train, train, standard_augmentation(), Key("ranks"), config)
        return lambda attempt: ClassifierStep(task, attempt, CPU)
    method = make_method(kind, {"steps": STEPS, "watch_every": 3, "least_diversity": 0.0, **GANS[kind]})
    assert isinstance(method, GeneratorMethod)
    return method.for_set(train).generator(train).start(train, Key("ranks"), CPU)


def stopping(start: Start, at: int | None) -> Start:
    def stopped(attempt: int) -> Step:
        step = start(attempt)
        take = step.step

        def take_or_stop(number: int) -> dict[str, Tensor]:
            if number == at:
                raise Stop
            return take(number)

        step.step = take_or_stop  # type: ignore[method-assign]
        return step

    return stopped


@contextmanager
def in_double(wanted: bool) -> Iterator[None]:
    """Every float has 64 bits: dagan and Adam make of a rounding error a thousand times that in a step.

    What networks keep for later calls is of one precision, and so is forgotten before and after.
    """
    if not wanted:
        yield
        return
    plain = torch.Tensor.float
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    unet._places.cache_clear()
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        torch.Tensor.float = plain  # type: ignore[method-assign]
        unet._places.cache_clear()


def losses_of(kind: str, checkpoint: Path | None = None, stop: int | None = None) -> list[dict[str, float]]:
    """Of each step that was taken, from the checkpoint on if there is one."""
    told = Losses()
    before, loop_module.SECONDS_BETWEEN_CHECKPOINTS = loop_module.SECONDS_BETWEEN_CHECKPOINTS, -1.0
    try:
        with in_double(kind == "dagan"):
            TrainingLoop(CPU, [told], checkpoint).run(stopping(start_of(kind), stop))
    except Stop:
        pass
    finally:
        loop_module.SECONDS_BETWEEN_CHECKPOINTS = before
    return told.each


class Troubled(Step):
    """Only the second rank's look finds a NaN, or only the first's."""

    steps, look_every, most_recoveries = 4, 2, 1

    def __init__(self, attempt: int, rank: int) -> None:
        self.networks = {"network": torch.nn.Linear(1, 1, device="cpu")}
        self.optimizers, self.values, self.attempt = {}, {"rank": current_ranks().rank}, attempt
        self.troubled = current_ranks().rank == rank and not attempt

    def step(self, number: int) -> dict[str, Tensor]:
        return {}

    def look(self, number: int) -> Look:
        return Look(trouble=Trouble("NaN") if self.troubled else None)


def main() -> None:
    directory = Path(sys.argv[1])
    with together(CPU) as ranks:
        told: dict[str, Any] = {"count": ranks.count, "agreed": {}}
        for kind in KINDS:
            told[kind] = {
                "whole": losses_of(kind),
                "begun": losses_of(kind, directory / f"{kind}-two", STOPPED),
                "resumed": losses_of(kind, directory / f"{kind}-one"),
            }
        for rank in range(2):
            outcome = TrainingLoop(CPU).run(lambda attempt, rank=rank: Troubled(attempt, rank))
            told["agreed"][rank] = [outcome.attempt, outcome.step.values["rank"]]
        (directory / f"rank-{ranks.rank}.json").write_text(json.dumps(told), "utf-8")


if __name__ == "__main__":
    main()
