"""What all contestants of the generators' benchmark are given, and how their processes talk. Standard library only:
Keras may live in an environment that has neither torch nor tenfold."""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One DCGAN and how it is trained: the article's network (METHODS: five convolutions of 128 channels and their
    mirror image), for any square size that is 4 times a power of two."""

    size: int
    real: int
    """Real images in a step; the critic sees as many generated ones beside them."""
    generated: int
    """Images in the generator's step."""
    generator_widths: tuple[int, ...]
    """Channels from the 4x4 map up to the last but one."""
    threads: int
    pixels: str
    """A .npy file, uint8 N x 3 x H x W."""
    seed: int
    critic_width: int = 128
    noise: int = 100
    slope: float = 0.02
    dropout: float = 0.4
    rate: float = 2e-4
    beta1: float = 0.5

    @property
    def halvings(self) -> int:
        return int(math.log2(self.size // 4))

    @classmethod
    def parse(cls, text: str) -> Setting:
        values = json.loads(text)
        return cls(**values | {"generator_widths": tuple(values["generator_widths"])})


class Watch:
    """Seconds on the wall and of processor time since it was made."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.process_time() - self.processor


class Turns:
    """The contestant's end of the line: asked on standard input, answered on standard output, a JSON a line."""

    def __init__(self, sample: Callable[[int], object], parameters: tuple[int, int]) -> None:
        self.sample = sample
        self.answers = sys.stdout
        sys.stdout = sys.stderr  # what a library prints is no answer
        self.answer({"parameters": parameters})

    def answer(self, message: Any) -> None:
        print(json.dumps(message), file=self.answers, flush=True)

    def steps(self) -> int:
        """Steps to train now; before that, samples are drawn as often as is asked. Leaves the program at the end."""
        for line in sys.stdin:
            order, count = line.split()
            if order == "train":
                return int(count)
            if order == "end":
                break
            watch = Watch()
            self.sample(int(count))
            self.answer(watch.read())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
        self.answer((memory, 0.0))
        sys.exit(0)

    def train(self, step: Callable[[], object]) -> None:
        """Until the end, as many steps as are asked for, and the seconds that they took."""
        while True:
            count = self.steps()
            watch = Watch()
            for _ in range(count):
                step()
            self.answer(watch.read())
