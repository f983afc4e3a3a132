"""What a method is, and how the folder finds one by its name.

A method is one file: a frozen `Config`, its networks and losses, and a final `Method`. Nothing is registered:
`methods/cgan.py` is the method `cgan`.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

import tenfold.methods
from tenfold.core.configuration import read_strictly
from tenfold.core.errors import InputError, MethodFailed, did_you_mean
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import Generator, GeneratorConfig
from tenfold.generators.filtering import Filters, Grown, classifier_of, draw, spread
from tenfold.generators.generator_io import found_in, read_generator
from tenfold.generators.learned import redrawing
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Recipe
from tenfold.training.step import TrainingFailed

__all__ = [
    "GeneratorMethod", "Grown", "KeptGenerator", "Method", "MethodFailed", "load_generator", "make_method",
    "method_class", "method_names", "spread",
]  # fmt: skip

Change = Callable[[npt.NDArray[np.uint8], Key], npt.NDArray[np.uint8]]
"""B x C x H x W of any size and the name of all draws -> as many changed images of that size."""


class Method(ABC):
    """One way of getting more out of few labelled images."""

    Config: ClassVar[type[Any]]
    PRESETS: ClassVar[Mapping[str, Any]] = {}
    """A `Config` for each value of its option `preset`, if it has one: what `make_method` takes unless told."""
    is_control: ClassVar[bool] = False
    """A control shows what the comparison can and cannot see; it is laid on the baseline and never picked."""
    is_start: ClassVar[bool] = False
    """A start is what a classifier begins with, such as a pre-trained network, and no way of growing a set."""
    needs_reserve: ClassVar[bool] = False
    """It is handed the real images that no fold holds; every other method has the training fold alone."""
    trains_generator: ClassVar[bool] = False
    """Its new images come from a network that learned from all of them, and `grow` keeps that network."""
    mixes_labels: ClassVar[bool] = False
    """Its batches have labels that are shares of several classes."""
    smooths_labels: ClassVar[bool] = False
    """It takes a little of every label away and spreads it over all classes."""
    changes_batches: bool = False
    """It works on what the classifier reads in every step: transforms, or a loss of its own."""
    takes_no_steps: ClassVar[bool] = False
    """Its classifier is fitted at once, so that nothing can work on batches beside it."""
    reads_vectors: ClassVar[bool] = False
    """It takes vectors (N x F x 1 x 1) as well as images."""
    has_objective: bool = False
    """It minimises a loss of its own, of which an arm can hold only one."""
    shared: Path | None = None
    """Where the files of its `shared_training` are; where None, it does without."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        """Learn from the training images alone and say what the classifier should read.

        Args:
            train: the training fold without its validation images.
            reserve: more real images, never in any fold; None unless the method `needs_reserve`.

        Raises:
            MethodFailed: nothing usable came out.
        """

    def grow(self, train: ImageDataset, times: float, key: Key) -> Grown:
        """About `times` new images for each real one; only of methods that make files (`makes_files`).

        Raises:
            MethodFailed: nothing usable came out.
        """
        raise NotImplementedError(f"{self.name()} makes no image files")

    def changing(self, train: ImageDataset) -> Change | None:
        """What `grow` makes new images of single real ones with, which may be larger than those that were read; None
        where new images are as large as what was learned from."""
        return None

    def external_fingerprint(self) -> str:
        """A hash of what it reads beside the training images (weights, related images); empty where nothing.

        It is a part of the plan: with other files under the same name a trial is another one.
        """
        return ""

    def shared_training(self, image_shape: tuple[int, int, int]) -> tuple[str, dict[str, Any]] | None:
        """A training that no fold has a part in, done once for all trials: a job's function (`module:name`) and its
        configuration. Before `fit`, `shared` is set to the directory with the files that it left."""
        return None

    def search_space(self) -> Mapping[str, tuple[str, ...]]:
        """Options that are left for validation images to choose, in the order in which to choose them, each with the
        values between which they choose: the usual one first, which wins a tie and is taken where there are none.
        """
        return {}

    def for_set(self, train: ImageDataset) -> Self:
        """The method with what its configuration leaves to the size of the set, such as `steps`."""
        return self

    def default_options(self) -> dict[str, str]:
        """The first candidate of each open option: what is taken where nothing is there to choose by."""
        return {name: candidates[0] for name, candidates in self.search_space().items()}

    @classmethod
    def makes_files(cls) -> bool:
        """Whether its new images can be written down; some methods only work on batches while training."""
        return cls.grow is not Method.grow

    @classmethod
    def name(cls) -> str:
        return cls.__module__.rpartition(".")[2]


class GeneratorMethod(Method):
    """A method whose new images come from a `Generator`: it says which, and what its options leave to the set."""

    generator_class: ClassVar[type[Generator]]
    trains_generator = True
    config: GeneratorConfig

    shown: ClassVar[int | None] = None
    step_bounds: ClassVar[tuple[int, int]]
    """How often each image is shown where no option says how many steps; the fewest and most taken for it."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.changes_batches = self.config.online

    def for_set(self, train: ImageDataset) -> Self:
        if self.config.steps is not None or self.shown is None:
            return self
        fewest, most = self.step_bounds
        steps = min(max(self.shown * len(train) // self.config.batch_size, fewest), most)
        return type(self)(replace(self.config, steps=steps))

    def trainings(self, train: ImageDataset) -> int:
        """How many networks it trains, one after another."""
        return 1

    @property
    def logs_every_step(self) -> bool:
        """Whether a kept training has a line of figures for every step and a grid for every look."""
        return False

    def generator(self, train: ImageDataset) -> Generator:
        """One that has learned nothing yet, for images of this kind."""
        return self.generator_class(self.for_set(train).config, train.class_names, train.image_shape)

    def learn(self, train: ImageDataset, key: Key, loop: TrainingLoop | None = None) -> Generator:
        """One that has learned from these images alone.

        Args:
            loop: where and under whose eyes it trains; a plain one unless given.

        Raises:
            MethodFailed: there is too little to learn from, or nothing usable came out, again and again.
        """
        generator = self.generator(train)
        try:
            generator.fit(train, key, loop)
        except TrainingFailed as error:
            raise MethodFailed(f"{self.name()}: {error}") from error
        return generator

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        if self.config.online:
            return self.online(self.learn(train, key))
        return self.recipe(self.grow(train, self.config.times, key), train)

    def online(self, generator: Generator) -> Recipe:
        """What the classifier reads where images are drawn anew in every batch.

        Raises:
            MethodFailed: nothing that the generator makes may be used.
        """
        if refusal := generator.refusal or ("" if generator.draws_labels else "what it draws is of no class"):
            raise MethodFailed(f"{self.name()}: {refusal}")
        redraw = redrawing(generator, self.config.times / (1 + self.config.times))
        return Recipe(redraws=(redraw,), details=generator.details)

    def recipe(self, grown: Grown, train: ImageDataset) -> Recipe:
        """What the classifier reads of new images: those that are no near copies.

        Raises:
            MethodFailed: all are.
        """
        new = grown.as_dataset(train).take(np.flatnonzero(~grown.near_copies))
        if not len(new):
            raise MethodFailed(f"{self.name()}: all its images are near copies of real ones; nothing is used")
        return Recipe(extra=new, details=grown.details)

    def grow(self, train: ImageDataset, times: float, key: Key) -> Grown:
        return self.more(self.learn(train, key), train, spread(times, len(train)), key)

    def more(self, generator: Generator, real: ImageDataset, chosen: npt.NDArray[np.int64], key: Key) -> Grown:
        """A new image for each of the chosen real ones (one may be chosen several times), as far as usable.

        Rejected ones are made anew with other seeds, three times at most; near copies that are left are marked.

        Raises:
            MethodFailed: nothing that the generator makes may be used, or the classifier agrees with none.
        """
        chosen = chosen[np.argsort(real.labels[chosen], kind="stable")]
        grown = draw(generator, chosen, np.arange(len(chosen)), self.filters(generator, real, key), key)
        if not len(grown.labels):
            raise MethodFailed(
                f"{self.name()}: a classifier of the real images agrees with the label of none of "
                f"{grown.details['drawn']} images; nothing is used from it"
            )
        return grown

    def filters(self, generator: Generator, real: ImageDataset, key: Key) -> Filters:
        """What its images are held against, where it may make any of these real ones.

        Raises:
            MethodFailed: nothing that the generator makes may be used.
        """
        if generator.refusal:
            raise MethodFailed(f"{self.name()}: {generator.refusal}")
        judge = (generator.judge or classifier_of(real, key)) if self.config.label_filter else None
        return Filters.of(judge, real)


def method_names() -> list[str]:
    """Every method there is: the files of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(tenfold.methods.__path__))


def method_class(name: str) -> type[Method]:
    """The class `Method` of the file of that name.

    Raises:
        InputError: there is no such method; the message names the nearest one.
    """
    if name not in method_names():
        raise InputError(f"there is no method '{name}'.{did_you_mean(name, method_names())}")
    method: type[Method] = importlib.import_module(f"tenfold.methods.{name}").Method
    return method


def make_method(name: str, options: dict[str, Any] | None = None) -> Method:
    """A method with its configuration read strictly; what is not given is the preset's, or its default.

    Raises:
        InputError: unknown method, unknown option, or a value of the wrong kind.
    """
    method, options = method_class(name), options or {}
    preset = method.PRESETS.get(str(options.get("preset", getattr(method.Config, "preset", ""))))
    return method(read_strictly(method.Config, {**(vars(preset) if preset else {}), **options}, name))


@dataclass(frozen=True, eq=False)
class KeptGenerator:
    """A generator read from its files, ready to make images."""

    path: Path
    method: GeneratorMethod
    generator: Generator


def load_generator(path: Path) -> KeptGenerator:
    """Read what `save_generator` wrote; `path` may also be the directory of a fit, of a run or of a grown set.

    Raises:
        InputError: there is no generator, it is no safetensors file, or its JSON is missing or does not fit.
    """
    path = found_in(path)
    description, weights = read_generator(path)
    try:
        method = make_method(description.method, dict(description.config))
        if not isinstance(method, GeneratorMethod):
            raise ValueError(f"{method.name()} trains no generator")
        generator = method.generator_class(method.config, description.class_names, description.image_shape)
        generator.class_counts, generator.details = description.class_counts, description.details
        generator.value_ranges = description.value_ranges
        generator.load(weights)
    except (RuntimeError, LookupError, TypeError, ValueError, InputError) as error:
        raise InputError(f"{path} and {path.stem}.json do not hold a generator of this version") from error
    return KeptGenerator(path, method, generator)
