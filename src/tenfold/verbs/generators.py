"""What `fit`, `sample` and `grow` share: which methods have a generator, its draws' name, and how long it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import NoiseConfig
from tenfold.methods import GeneratorMethod, Method, method_class, method_names
from tenfold.runs.arms import parse_component
from tenfold.training.loop import BUDGET_SHARE, TrainingLoop

M = TypeVar("M", bound=Method)


def parse_generator(text: str) -> GeneratorMethod:
    """A method that trains a generator, from `name` or `name(option=value,...)`.

    Raises:
        InputError: the text does not read as that, or the method trains none.
    """
    component = parse_component(text)
    method = component.make({})
    if not isinstance(method, GeneratorMethod):
        able = ", ".join(name for name in method_names() if issubclass(method_class(name), GeneratorMethod))
        raise InputError(f"{component.method} trains no generator; methods that do: {able}")
    return method


def truncated(method: M, truncation: float | None) -> M:
    """The method with another bound on the noise that it draws from; as it is where None.

    Raises:
        InputError: the bound is not above 0, or there is no noise.
    """
    if truncation is None:
        return method
    if not isinstance(getattr(method, "config", None), NoiseConfig):
        raise InputError(f"--truncation bounds the noise of a generator, and {method.name()} draws from none")
    if not truncation > 0:
        raise InputError(f"--truncation must be above 0, not {truncation:g}")
    return type(method)(replace(method.config, truncation=float(truncation)))


def generator_key(method: Method | str, seed: int) -> Key:
    """Names every draw of a generator's training and of what it draws, the same for `fit`, `sample` and `grow`."""
    return Key(f"seed-{seed}") / "grow" / (method if isinstance(method, str) else method.name())


def classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count} classes"


def training_time(
    method: GeneratorMethod, real: ImageDataset, seed: int, budget: float | None = None
) -> tuple[int, float]:
    """Steps of all trainings, as far as the budget (seconds) allows, and the seconds that they take.

    The pace is that of about twenty steps, which are thrown away.

    Raises:
        MethodFailed: there is too little to learn from.
    """
    method, loop = method.for_set(real), TrainingLoop()
    count, steps = method.trainings(real), method.config.steps or 0
    generator = method.generator(real)
    pace = loop.seconds_a_step(generator.start(real, generator_key(method, seed), loop.device), generator.threads)
    steps *= count
    if budget is not None:
        steps = min(steps, max(count, int(budget * BUDGET_SHARE / pace)))
    return steps, steps * pace
