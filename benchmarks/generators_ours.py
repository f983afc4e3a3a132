"""tenfold's dcgan in its own loop: what `tenfold fit dcgan` does step by step, stopped between turns.

python generators_ours.py SETTING [float32|bfloat16]      (a line of JSON; see generators_setting.py)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from generators_setting import Setting, Turns, Watch
from torch import Tensor

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import Conditions
from tenfold.generators.gan import GanGenerator, train_gan
from tenfold.methods import GeneratorMethod, make_method
from tenfold.training.callbacks import Callback
from tenfold.training.loop import TrainingLoop


class InTurns(Callback):
    """The loop hands a step's losses to its callbacks; this one then waits until more steps are asked for."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self._wait()

    def step(self, number: int, steps: int, losses: Mapping[str, Tensor]) -> None:
        for value in losses.values():
            value.item()  # the preset writes the losses of every step
        self.left -= 1
        if not self.left:
            self.turns.answer(self.watch.read())
            self._wait()

    def _wait(self) -> None:
        self.left = self.turns.steps()
        self.watch = Watch()


def dataset(images: npt.NDArray[np.uint8]) -> ImageDataset:
    """Images of one class."""
    count = len(images)
    return ImageDataset(
        name="noise",
        images=images,
        labels=np.zeros(count, np.int64),
        class_names=("noise",),
        groups=np.arange(count),
        sources=tuple(f"noise[{index}]" for index in range(count)),
        roles=np.full(count, "train"),
    )


def method(setting: Setting, precision: str) -> GeneratorMethod:
    """The preset `article`, for longer than any benchmark lasts."""
    options = {
        "preset": "article",
        "classes": "none",
        "steps": 10**6,
        "batch_size": setting.real,
        "threads": setting.threads,
        "precision": precision,
    }
    made = make_method("dcgan", options)
    assert isinstance(made, GeneratorMethod)
    return made


def main() -> None:
    setting = Setting.parse(sys.argv[1])
    if setting.generated != setting.real:
        raise SystemExit("the loop's two turns are of one size")
    precision = sys.argv[2] if len(sys.argv) > 2 else "float32"
    ours, train = method(setting, precision), dataset(np.load(setting.pixels))
    key = Key("benchmark/generators")
    made = ours.generator(train)
    assert isinstance(made, GanGenerator)
    problem = made.problem(train, key)
    made.network = generator = problem.generator.eval().requires_grad_(False)
    sizes = [sum(each.numel() for each in network.parameters()) for network in (generator, problem.critic)]

    def sample(count: int) -> npt.NDArray[np.uint8]:
        chosen = np.zeros(count, np.int64)
        return made.sample(Conditions.of_labels(chosen), np.arange(count), train.image_shape)

    loop = TrainingLoop(callbacks=[InTurns(Turns(sample, (sizes[0], sizes[1])))])
    train_gan(lambda own: made.problem(train, own), made.config, key, loop)


if __name__ == "__main__":
    main()
