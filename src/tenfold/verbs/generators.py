"""What `fit`, `sample` and `grow` share: which methods have a generator, its draws' name, and how long it takes."""

from __future__ import annotations

from functools import partial

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators.adversarial import seconds_a_step
from tenfold.generators.keeping import BUDGET_SHARE
from tenfold.methods import Method, method_class, method_names
from tenfold.methods.generating import GeneratorMethod
from tenfold.methods.restyle import Method as Restyle
from tenfold.runs.arms import parse_component


def parse_generator(text: str) -> GeneratorMethod:
    """A method that trains a generator, from `name` or `name(option=value,...)`.

    Raises:
        InputError: the text does not read as that, or the method trains none.
    """
    component = parse_component(text)
    method = component.make({})
    if not isinstance(method, GeneratorMethod):
        if method.trains_generator:
            name = component.method
            raise InputError(
                f"{name} paints given pictures as another class and draws none from noise, so that there is no "
                f"generator to keep and sample: tenfold {name} DATA OUT, or tenfold grow DATA OUT --with {name}"
            )
        able = ", ".join(name for name in method_names() if issubclass(method_class(name), GeneratorMethod))
        raise InputError(f"{component.method} trains no generator; methods that do: {able}")
    return method


def generator_key(method: Method | str, seed: int) -> Key:
    """Names every draw of a generator's training and of what it draws, the same for `fit`, `sample` and `grow`."""
    return Key(f"seed-{seed}") / "grow" / (method if isinstance(method, str) else method.name())


def training_time(
    method: GeneratorMethod, real: ImageDataset, seed: int, budget: float | None = None
) -> tuple[int, float]:
    """Steps of all trainings, as far as the budget (seconds) allows, and the seconds that they take.

    The pace is that of about twenty steps, which are thrown away.

    Raises:
        MethodFailed: there is too little to learn from.
    """
    count = method.trainings(real)
    pace = seconds_a_step(partial(method.contest, real), method.config, generator_key(method, seed))
    steps = count * method.config.steps
    if budget is not None:
        steps = min(steps, max(count, int(budget * BUDGET_SHARE / pace)))
    return steps, steps * pace


def restyling_time(method: Restyle, real: ImageDataset, seed: int) -> tuple[int, float]:
    """The same of restyle's autoencoder: its steps and their seconds."""
    pace, steps = method.seconds_a_step(real, generator_key(method, seed)), method.settled(real).config.steps
    return steps, steps * pace
