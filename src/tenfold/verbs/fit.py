"""`fit`: train a generator and keep it, with a checkpoint that a training killed at any moment goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from tenfold.core.options import FitOptions
from tenfold.core.output import require_apart
from tenfold.core.progress import about, duration
from tenfold.core.results import DryRun, Result
from tenfold.core.types import Data, ImageDataset
from tenfold.generators.generator_io import CHECKPOINT, FILE, save_generator
from tenfold.methods import GeneratorMethod, load_generator
from tenfold.runs.code import code_of
from tenfold.runs.directory import CODE, RunDirectory, make_ready
from tenfold.training.callbacks import Grids, Metrics, ProgressBar
from tenfold.training.device import current_device
from tenfold.training.loop import TrainingLoop
from tenfold.verbs import on_chosen_device
from tenfold.verbs.generators import classes, generator_key, parse_generator, training_time
from tenfold.verbs.wanted import read_images


@dataclass(frozen=True, eq=False)
class Fitted(Result):
    """A generator that is kept, and what it learned from."""

    json_names: ClassVar = {"images": "real_images"}

    directory: Path
    method: str
    images: int
    class_names: tuple[str, ...]
    generator_hash: str
    details: Mapping[str, Any]
    found: bool = False
    """It was there already: nothing was trained."""

    @property
    def sentence(self) -> str:
        learned = f"{self.method} learned from {self.images} images of {classes(len(self.class_names))}"
        if steps := self.details.get("generator_steps"):
            learned += f" in {steps} steps"
        learned += f": {self.directory / FILE}"
        return f"{learned} (finished before; nothing was trained)" if self.found else learned


@on_chosen_device
def fit(method: str, data: Data, out: str | Path, options: FitOptions | None = None, **changes: Any) -> Fitted:
    """Train the generator of `method` (such as cgan or dagan, with options in brackets) and keep it in `out`.

    Writes generator.safetensors and generator.json, metrics.jsonl and grids/ as it learns, and a checkpoint. Where a
    training with the same options was stopped or killed, it goes on, to the same bits; where one is finished, nothing
    is done. A set with a single class is enough.

    Args:
        options: which images, which seed, and `budget` (seconds): the steps are cut to what fits.
        changes: fields of `FitOptions` by name; they stand above `options`.

    Raises:
        InputError: the method, the data or `out` cannot be used, or `out` holds a training of another kind.
        MethodFailed: the losses became NaN or the images collapsed, again and again.
    """
    options, fitted, directory = FitOptions.of(options, changes), parse_generator(method), Path(out)
    require_apart(directory, data)
    make_ready(directory, "fit")
    real = read_images(data, options)
    fitted, was_finished = fitted.for_set(real), (directory / FILE).with_suffix(".json").exists()
    named = {"method": method, "data": str(data) if isinstance(data, str | Path) else data.name}
    training = {"generator": fitted.name(), **asdict(fitted.config)}
    # However it was named: a training goes on to the same bits on the same kind of device.
    asked = named | options.to_json() | {"device": current_device().kind} | training
    reads = {real.name: real.fingerprint(), CODE: code_of(type(fitted).__module__)}
    # What they are stands in `training` and in the fingerprint.
    changeable = [*named, *[CODE] * was_finished]
    with RunDirectory.opened(directory, "fit", asked, reads, changeable=changeable):
        if not was_finished:
            _train(fitted, real, directory, options.budget, options.seed)
        _forget_checkpoints(directory)
        kept = load_generator(directory)
    generator = kept.generator
    return Fitted(
        directory, fitted.name(), len(real), generator.class_names, generator.hash, generator.details, was_finished
    )


@on_chosen_device
def fit_forecast(method: str, data: Data, options: FitOptions | None = None, **changes: Any) -> DryRun:
    """Say what `fit` would train with these options and how long that takes; writes nothing.

    Raises:
        InputError: the method or the data cannot be used.
        MethodFailed: there is too little to learn from.
    """
    options = FitOptions.of(options, changes)
    real = read_images(data, options)
    fitted = parse_generator(method).for_set(real)
    steps, seconds = training_time(fitted, real, options.seed, options.budget)
    count = fitted.trainings(real)
    whole = count * (fitted.config.steps or 0)
    networks = f"{count} networks of {fitted.name()}, one a class," if count > 1 else fitted.name()
    channels, height, width = real.image_shape
    pace = f"{1000 * seconds / steps:.3g} ms" if seconds < steps else duration(seconds / steps)
    sentence = (
        f"{networks} would be trained on {len(real)} images of {classes(real.class_count)} "
        f"({channels} x {height} x {width}) for {steps} steps of {fitted.config.batch_size} images: "
        f"{about(seconds)} at {pace} a step"
    )
    if steps < whole:
        sentence += f"; {whole} steps do not fit into {duration(options.budget or 0)}"
    return DryRun(
        sentence,
        {
            "method": fitted.name(), "images": len(real), "image_shape": list(real.image_shape),
            "classes": real.class_count, "networks": count, "steps": steps, "steps_without_budget": whole,
            "seconds_a_step": round(seconds / steps, 6), "seconds": round(seconds, 1),
        },
    )  # fmt: skip


def _train(fitted: GeneratorMethod, real: ImageDataset, directory: Path, budget: float | None, seed: int) -> None:
    every_step = fitted.logs_every_step
    loop = TrainingLoop(
        callbacks=[
            ProgressBar(f"training {fitted.name()}"),
            Metrics(directory, 1 if every_step else 10),
            Grids(directory, every_step),
        ],
        checkpoint=directory / CHECKPOINT,
        budget=None if budget is None else budget / fitted.trainings(real),
    )
    generator = fitted.learn(real, generator_key(fitted, seed), loop)
    save_generator(directory / FILE, fitted.name(), generator, real, generator.details, seed)


def _forget_checkpoints(directory: Path) -> None:
    """Of the parts too, and what a kill has left of a checkpoint that was being written."""
    for pattern in (CHECKPOINT, f".{CHECKPOINT}.*"):
        for path in directory.rglob(pattern):
            path.unlink(missing_ok=True)
