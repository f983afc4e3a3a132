"""`tenfold doctor`: what is found on this computer, what is wrong with it, and what it can train in ten minutes."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement

import tenfold
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.memory import GIB
from tenfold.core.progress import duration
from tenfold.core.results import Result
from tenfold.core.types import ImageDataset
from tenfold.training.classifier import ClassifierConfig, train_classifier
from tenfold.training.device import Device, hardware, using
from tenfold.training.recipe import Recipe

MINUTES = 10
SHAPES = ((1, 28, 28), (3, 32, 32), (3, 64, 64))
"""C, H, W of the images whose pace is measured."""
MEASURED_STEPS = 8
ENOUGH_MEMORY, ENOUGH_DISK = 2.0, 1.0
"""GiB."""


@dataclass(frozen=True)
class Pace:
    """How fast the classifier of a study trains on images of one shape."""

    image_shape: tuple[int, int, int]
    """C, H, W."""
    seconds_per_training: float
    """On one of the workers."""
    trainings: int
    """In ten minutes, by all workers together."""


@dataclass(frozen=True, eq=False)
class Doctor(Result):
    """What was found."""

    versions: dict[str, str | None]
    """Of Python, tenfold and each library that it needs; None where it is missing."""
    extras: dict[str, bool]
    """Of each extra, whether all of it is installed."""
    processor: str
    device: str
    """`cpu`, or the GPU that trainings would use."""
    workers: int
    """Trainings at one time, a thread each."""
    free_memory_gib: float | None
    """None where the system does not say."""
    free_disk_gib: float
    """Where the command was given."""
    pace: list[Pace]
    problems: list[str] = field(default_factory=list)
    """What is wrong, each with what mends it."""

    @property
    def sentence(self) -> str:
        """Whether anything is wrong."""
        if not self.problems:
            return "Nothing is wrong here."
        return "One problem was found." if len(self.problems) == 1 else f"{len(self.problems)} problems were found."

    @property
    def text(self) -> str:
        """A line for each thing that was looked at, and then what is wrong."""
        memory = "unknown" if self.free_memory_gib is None else _gib(self.free_memory_gib)
        lines = [
            *(f"{name:<26} {version or 'missing'}" for name, version in self.versions.items()),
            *(
                f"{'extra ' + name:<26} {'installed' if there else _install(name)}"
                for name, there in sorted(self.extras.items())
            ),
            f"{'processor':<26} {self.processor}",
            f"{'device':<26} {self.device}",
            f"{'trainings at one time':<26} {self.workers}",
            f"{'free memory':<26} {memory}",
            f"{'free disk here':<26} {_gib(self.free_disk_gib)}",
            f"In {MINUTES} minutes this computer trains (an arm of a default study is 20 trainings):",
            *(_pace_line(pace) for pace in self.pace),
            *(f"problem: {problem}" for problem in self.problems),
            self.sentence,
        ]
        return "\n".join(lines)


def doctor() -> Doctor:
    """What is installed, the device, threads, free memory and disk, what is trained in ten minutes, and faults."""
    versions, extras, problems = _libraries()
    try:
        device = Device.chosen()
    except InputError as error:
        problems.append(f"TENFOLD_DEVICE: {error}")
        device = Device()
    with using(device):
        free, workers, found = device.free_bytes(), device.workers(), hardware()
        pace = [_pace(shape, workers) for shape in SHAPES]
    memory = None if free is None else free / GIB
    disk = shutil.disk_usage(".").free / GIB
    if memory is not None and memory < ENOUGH_MEMORY:
        problems.append(f"only {_gib(memory)} of memory are free; close other programs, or give --workers 1")
    return Doctor(
        {"python": platform.python_version(), "tenfold": tenfold.__version__, **versions},
        extras,
        found["processor"],
        device.description,
        workers,
        memory,
        disk,
        pace,
        problems + _place_problems(disk),
    )


def _libraries() -> tuple[dict[str, str | None], dict[str, bool], list[str]]:
    """Versions of what is needed, the extras, and what of the former is missing or too old."""
    versions: dict[str, str | None] = {}
    extras: dict[str, bool] = {}
    problems: list[str] = []
    for line in metadata.requires("tenfold") or ():
        requirement = Requirement(line)
        version = _version(requirement.name)
        fits = version is not None and requirement.specifier.contains(version, prereleases=True)
        extra = _extra(requirement)
        if extra is not None:
            extras[extra] = extras.get(extra, True) and fits
        else:
            versions[requirement.name] = version
            if not fits:
                stands = "missing" if version is None else f"of version {version}"
                wanted = f"{requirement.name}{requirement.specifier}"
                problems.append(f"{requirement.name} is {stands}; pip install -c constraints.txt '{wanted}'")
    extras.pop("dev", None)  # for those who work on tenfold itself
    return versions, extras, problems


def _extra(requirement: Requirement) -> str | None:
    """The extra that a requirement is part of, as pip writes it: `; extra == "weights"`."""
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        return None
    return str(requirement.marker).rpartition("==")[2].strip(" \"'()")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _pace(shape: tuple[int, int, int], workers: int) -> Pace:
    """Measured on made-up images: what is paid once is in the shorter training too, and so is not multiplied."""
    config = ClassifierConfig()
    key = Key("doctor")
    count = 2 * config.batch_size
    images = key.numpy_generator().integers(0, 256, (count, *shape), dtype=np.uint8)
    data = ImageDataset.of_arrays("made up", images, np.arange(count) % 2, ("a", "b"))

    def seconds(steps: int) -> float:
        begun = time.perf_counter()
        train_classifier(data, None, Recipe(), key, ClassifierConfig(steps=steps))
        return time.perf_counter() - begun

    seconds(1)  # pays for what torch prepares once
    # The quickest of three: whatever else the computer does makes a training longer, and none shorter.
    short, longer = (min(seconds(steps) for _ in range(3)) for steps in (MEASURED_STEPS, 3 * MEASURED_STEPS))
    training = short + max(longer - short, 0.0) / (2 * MEASURED_STEPS) * (config.steps - MEASURED_STEPS)
    return Pace(shape, training, int(workers * 60 * MINUTES / training))


def _place_problems(free_disk: float) -> list[str]:
    problems = []
    if free_disk < ENOUGH_DISK:
        problems.append(f"only {_gib(free_disk)} of disk are free here; give --out on another disk")
    for place in (".", tempfile.gettempdir()):
        if not os.access(place, os.W_OK):
            where = "this directory" if place == "." else place
            problems.append(f"{where} cannot be written; change to another, or give --out")
    data = os.environ.get("TENFOLD_DATA")
    if data and not Path(data).is_dir():
        problems.append(f"TENFOLD_DATA names {data}, which is no directory; known sets are read from there")
    return problems


def _pace_line(pace: Pace) -> str:
    channels, height, width = pace.image_shape
    kind = "colour" if channels == 3 else "grey"
    each = duration(pace.seconds_per_training)
    return f"  {pace.trainings:>6,} classifiers on {height} x {width} {kind} images ({each} each)"


def _install(extra: str) -> str:
    return f"not installed; pip install -c constraints.txt 'tenfold[{extra}]'"


def _gib(amount: float) -> str:
    return f"{amount:.1f} GiB"
