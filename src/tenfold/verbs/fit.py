"""`fit`: train a generator and keep it, with a checkpoint that a training killed at any moment goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from tenfold.core.errors import InputError
from tenfold.core.options import FitOptions
from tenfold.core.output import require_apart
from tenfold.core.progress import about, duration
from tenfold.core.results import DryRun, Result
from tenfold.core.types import Data, ImageDataset
from tenfold.generators import Generator
from tenfold.generators.generator_io import CHECKPOINT, FILE, save_generator
from tenfold.methods import GeneratorMethod, load_generator
from tenfold.runs.code import code_of
from tenfold.runs.directory import CODE, RunDirectory, make_ready
from tenfold.training.callbacks import Grids, Metrics, ProgressBar
from tenfold.training.device import current_device
from tenfold.training.distributed import current_ranks
from tenfold.training.loop import TrainingLoop
from tenfold.verbs import on_all_devices, on_chosen_device
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


@on_all_devices
def fit(method: str, data: Data, out: str | Path, options: FitOptions | None = None, **changes: Any) -> Fitted:
    """Train the generator of `method` (such as cgan or dagan, with options in brackets) and keep it in `out`.

    Writes generator.safetensors and generator.json, metrics.jsonl and grids/ as it learns, and a checkpoint. Where a
    training with the same options was stopped or killed, it goes on, to the same bits; where one is finished, nothing
    is done. A set with a single class is enough.

    Processes that torchrun has started train it together, each on its share of every batch: the first of them writes,
    and a training goes on with another number of them.

    Args:
        options: which images, which seed, and `budget` (seconds): the steps are cut to what fits.
        changes: fields of `FitOptions` by name; they stand above `options`.

    Raises:
        InputError: the method, the data or `out` cannot be used, or `out` holds a training of another kind.
        MethodFailed: the losses became NaN or the images collapsed, again and again.
    """
    options, fitted, directory = FitOptions.of(options, changes), parse_generator(method), Path(out)
    ranks = current_ranks()
    require_apart(directory, data)
    if ranks.first:
        make_ready(directory, "fit")
    real = read_images(data, options)
    if ranks.agreed(real.fingerprint()) != real.fingerprint():
        raise InputError(f"process {ranks.rank} of the training reads other images in {real.name} than the first")
    fitted, was_finished = fitted.for_set(real), ranks.agreed((directory / FILE).with_suffix(".json").exists())
    kept: Fitted | None = None
    if ranks.first:
        named = {"method": method, "data": str(data) if isinstance(data, str | Path) else data.name}
        kept = _kept(fitted, real, directory, options, named, was_finished)
    elif not was_finished:
        _learned(fitted, real, directory, options)
    kept = ranks.agreed(kept)
    assert kept is not None
    return kept


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


def _kept(
    fitted: GeneratorMethod,
    real: ImageDataset,
    directory: Path,
    options: FitOptions,
    named: Mapping[str, str],
    was_finished: bool,
) -> Fitted:
    training = {"generator": fitted.name(), **asdict(fitted.config)}
    # However it was named: a training goes on to the same bits on the same kind of device.
    asked = {**named, **options.to_json(), "device": current_device().kind, **training}
    reads = {real.name: real.fingerprint(), CODE: code_of(type(fitted).__module__)}
    # What they are stands in `training` and in the fingerprint.
    changeable = [*named, *[CODE] * was_finished]
    with RunDirectory.opened(directory, "fit", asked, reads, changeable=changeable):
        if not was_finished:
            learned = _learned(fitted, real, directory, options)
            save_generator(directory / FILE, fitted.name(), learned, real, learned.details, options.seed)
        _forget_checkpoints(directory)
        generator = load_generator(directory).generator
    return Fitted(
        directory, fitted.name(), len(real), generator.class_names, generator.hash, generator.details, was_finished
    )


def _learned(fitted: GeneratorMethod, real: ImageDataset, directory: Path, options: FitOptions) -> Generator:
    every_step = fitted.logs_every_step
    loop = TrainingLoop(
        callbacks=[
            ProgressBar(f"training {fitted.name()}"),
            Metrics(directory, 1 if every_step else 10),
            Grids(directory, every_step),
        ],
        checkpoint=directory / CHECKPOINT,
        budget=None if options.budget is None else options.budget / fitted.trainings(real),
    )
    return fitted.learn(real, generator_key(fitted, options.seed), loop)


def _forget_checkpoints(directory: Path) -> None:
    """Of the parts too, and what a kill has left of a checkpoint that was being written."""
    for pattern in (CHECKPOINT, f".{CHECKPOINT}.*"):
        for path in directory.rglob(pattern):
            path.unlink(missing_ok=True)
