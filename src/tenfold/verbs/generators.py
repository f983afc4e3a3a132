"""What `fit`, `sample` and `grow` share: which methods have a generator, its draws' name, and how long it takes."""

from __future__ import annotations

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import Method, method_class, method_names
from tenfold.methods.generating import GeneratorMethod
from tenfold.methods.restyle import Method as Restyle
from tenfold.runs.arms import parse_component
from tenfold.training.loop import BUDGET_SHARE, TrainingLoop


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
    method, loop = method.for_set(real), TrainingLoop()
    count = method.trainings(real)
    start = method.start(real, generator_key(method, seed), loop.device)
    pace = loop.seconds_a_step(start, method.config.threads)
    steps = count * (method.config.steps or 0)
    if budget is not None:
        steps = min(steps, max(count, int(budget * BUDGET_SHARE / pace)))
    return steps, steps * pace


def restyling_time(method: Restyle, real: ImageDataset, seed: int) -> tuple[int, float]:
    """The same of restyle's autoencoder: its steps and their seconds."""
    pace, steps = method.seconds_a_step(real, generator_key(method, seed)), method.for_set(real).config.steps or 0
    return steps, steps * pace
