"""The contestants, each in a process of its own, asked in turn: one trains or draws while the others wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from augment_timing import Seconds
from generators_setting import Setting

from tenfold.core.keys import Key

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Contestant:
    """A program that is told a setting and then serves `Turns`."""

    name: str
    program: str
    options: tuple[str, ...] = ()
    interpreter: str = sys.executable


class CannotTakePart(Exception):
    """The contestant's process ended before it was asked to; the reason is its last line."""


@dataclass
class Running:
    """A contestant's process."""

    contestant: Contestant
    setting: Setting
    parameters: tuple[int, int] = (0, 0)
    process: subprocess.Popen[str] = field(init=False)

    def __enter__(self) -> Running:
        command = [self.contestant.interpreter, str(HERE / self.contestant.program), json.dumps(asdict(self.setting))]
        threads = str(self.setting.threads)
        self.process = subprocess.Popen(
            [*command, *self.contestant.options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": threads},
        )
        try:
            self.parameters = tuple(self._answer()["parameters"])
        except CannotTakePart:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def ask(self, order: str, count: int) -> tuple[float, float]:
        """Seconds on the wall and of the processors; at the end bytes of memory and 0."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{order} {count}\n")
        self.process.stdin.flush()
        wall, processor = self._answer()
        return float(wall), float(processor)

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            lines = self.process.stderr.read().strip().splitlines()
            raise CannotTakePart(f"{self.contestant.name}: {lines[-1] if lines else 'ended without a word'}")
        return json.loads(line)


@dataclass
class Figures:
    """What one contestant showed, a value for each round, and the most memory that its process held."""

    step: Seconds
    processor: Seconds
    """Processor seconds of a step: what is left to compare where others keep the machine busy."""
    drawing: Seconds
    memory: float = 0.0


def race(
    contestants: Sequence[Contestant], setting: Setting, rounds: int, steps: int, drawn: int, warm_up: int = 2
) -> tuple[dict[str, Figures], list[str]]:
    """Seconds of a step and of `drawn` images; and a line for each contestant that could not take part.

    Raises: ValueError when the networks of two contestants differ in size.
    """
    left_out: list[str] = []
    with ExitStack() as stack:
        running: dict[str, Running] = {}
        for contestant in contestants:
            try:
                running[contestant.name] = stack.enter_context(Running(contestant, setting))
            except (CannotTakePart, OSError) as reason:
                left_out.append(str(reason))
        _same_size({name: each.parameters for name, each in running.items()})
        for each in running.values():
            each.ask("train", warm_up)
            each.ask("sample", drawn)
        figures = {name: Figures(*np.empty((3, rounds))) for name in running}
        order = Key("benchmark/turns").numpy_generator()
        for turn in range(rounds):
            for name in order.permutation(list(running)).tolist():
                wall, processor = running[name].ask("train", steps)
                figures[name].step[turn], figures[name].processor[turn] = wall / steps, processor / steps
                figures[name].drawing[turn], _ = running[name].ask("sample", drawn)
        for name, each in running.items():
            figures[name].memory, _ = each.ask("end", 0)
    return figures, left_out


def _same_size(parameters: Mapping[str, tuple[int, int]]) -> None:
    if len(set(parameters.values())) > 1:
        raise ValueError(f"parameters of generator and critic differ: {dict(parameters)}")
