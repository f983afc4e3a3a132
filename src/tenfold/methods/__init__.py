"""What a method is, and how the folder finds one by its name.

A method is one file: a frozen `Config`, its networks and losses, and a final `Method`. Nothing is registered:
`methods/cgan.py` is the method `cgan`.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pydantic

import tenfold.methods
from tenfold.core.errors import InputError, TenfoldError, did_you_mean
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.recipe import Recipe

PARTS = ("generating", "kept", "sifting", "transferring")
"""Files of the folder that are no methods."""


class MethodFailed(TenfoldError):
    """The method could not do its work on these images (a collapsed generator, say): its arm is FAILED."""

    exit_status = 2


@dataclass(frozen=True, eq=False)
class Grown:
    """New labelled images and where each came from."""

    images: npt.NDArray[np.uint8]
    """N x C x H x W."""
    labels: npt.NDArray[np.int64]
    parents: tuple[tuple[int, ...], ...]
    """For each new image the real ones it was made from, as indices into the training set; () when it was
    made from what a network learned of all of them."""
    seeds: tuple[int, ...]
    generator: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    """The trained generator's weights by name; empty when there is none."""
    details: Mapping[str, Any] = field(default_factory=dict)
    near_copies: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """N marks of what a generator only remembered; empty of methods whose images are siblings by design."""

    def as_dataset(self, train: ImageDataset) -> ImageDataset:
        """The new images as a set of their own; a child shares the group of its first parent."""
        fresh = int(train.groups.max(initial=-1)) + 1
        groups = [train.groups[p[0]] if p else fresh + i for i, p in enumerate(self.parents)]
        return ImageDataset(
            name=f"{train.name}, grown",
            images=self.images,
            labels=self.labels,
            class_names=train.class_names,
            groups=np.asarray(groups, dtype=np.int64),
            sources=tuple(f"grown[{i}]" for i in range(len(self.images))),
            roles=np.full(len(self.images), "train"),
        )


class Method(ABC):
    """One way of getting more out of few labelled images."""

    Config: ClassVar[type[Any]]
    PRESETS: ClassVar[Mapping[str, Any]] = {}
    """A `Config` for each value of its option `preset`, if it has one: what `make_method` takes unless told."""
    is_control: ClassVar[bool] = False
    """A control shows what the comparison can and cannot see; it is laid on the baseline and never picked."""

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
    """It takes vectors (N x F x 1 x 1) as well as pictures."""

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
            train: the training fold without its inner validation images.
            reserve: more real images, never in any fold; None unless the method `needs_reserve`.
            key: names every draw.

        Raises:
            MethodFailed: nothing usable came out.
        """

    def grow(self, train: ImageDataset, times: float, key: Key) -> Grown:
        """About `times` new images for each real one; only of methods that make files (`makes_files`).

        Raises:
            MethodFailed: nothing usable came out.
        """
        raise NotImplementedError(f"{self.name()} makes no image files")

    def outside(self) -> str:
        """A hash of what it reads beside the training images (weights, related pictures); empty where nothing.

        It is a part of the plan: with other files under the same name a trial is another one.
        """
        return ""

    def shared_training(self, image_shape: tuple[int, int, int]) -> tuple[str, dict[str, Any]] | None:
        """A training that no fold has a part in, done once for all trials: a job's function (`module:name`) and its
        configuration. Before `fit`, `shared` is set to the directory with the files that it left."""
        return None

    def undecided(self) -> Mapping[str, tuple[str, ...]]:
        """Options that are left for inner images to choose, in the order in which to choose them, each with the
        values between which they choose: the usual one first, which wins a tie and is taken where there are none.
        """
        return {}

    def for_set(self, train: ImageDataset) -> Self:
        """The method with what its configuration leaves to the size of the set, such as `steps`."""
        return self

    def usual_options(self) -> dict[str, str]:
        """The first candidate of each open option: what is taken where nothing is there to choose by."""
        return {name: candidates[0] for name, candidates in self.undecided().items()}

    @classmethod
    def makes_files(cls) -> bool:
        """Whether its new images can be written down; some methods only work on batches while training."""
        return cls.grow is not Method.grow

    @classmethod
    def name(cls) -> str:
        return cls.__module__.rpartition(".")[2]


def spread(times: float, images: int) -> npt.NDArray[np.int64]:
    """About `times` x `images` indices, at least one, in rising order and spread evenly over all images.

    Images often stand in the order of their classes: taking them from the front would leave the last ones short.
    """
    count = max(1, round(times * images))
    return np.arange(count, dtype=np.int64) * images // count


def method_names() -> list[str]:
    """Every method there is: the files of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(tenfold.methods.__path__) if m.name not in PARTS)


def method_class(name: str) -> type[Method]:
    """The class `Method` of the file of that name.

    Raises:
        InputError: there is no such method; the message names the nearest one.
    """
    if name not in method_names():
        raise InputError(f"there is no method '{name}'.{did_you_mean(name, method_names())}")
    found: type[Method] = importlib.import_module(f"tenfold.methods.{name}").Method
    return found


def make_method(name: str, options: dict[str, Any] | None = None) -> Method:
    """A method with its configuration read strictly; what is not given is the preset's, or its default.

    Raises:
        InputError: unknown method, unknown option, or a value of the wrong kind.
    """
    found = method_class(name)
    known = found.Config.__dataclass_fields__
    for option in options or {}:
        if option not in known:
            raise InputError(f"{name} has no option '{option}'.{did_you_mean(option, known)}")
    preset = found.PRESETS.get(str((options or {}).get("preset", getattr(found.Config, "preset", ""))))
    given = {**(vars(preset) if preset else {}), **(options or {})}
    try:
        return found(pydantic.TypeAdapter(found.Config).validate_python(given))
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        raise InputError(f"{name}({problem['loc'][0]}={problem['input']}): {problem['msg']}") from error
