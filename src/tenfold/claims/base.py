"""What a claim is, how it is decided whether it holds, and how the folder finds one by its name.

A claim is one file: what was published, the trainings that repeat it, and how their results are read. Nothing is
registered: the class `Claim` of `claims/mixup.py` is the claim `mixup`.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from tenfold.claims import claim_names
from tenfold.core.errors import InputError, did_you_mean
from tenfold.evaluation import Interval
from tenfold.evaluation.external_test import mean_interval

Holds = Literal["yes", "smaller", "no", "not_shown"]

RULE = (
    "Yes: the whole 95 % interval of the measured effect lies above 0 and reaches the claimed size. Smaller than "
    "claimed: it lies above 0 and ends below the claimed size. No: it does not lie above 0 and ends below the "
    "claimed size, so that this is ruled out and no smaller gain was shown either. Not shown: it holds both 0 and "
    "the claimed size."
)


@dataclass(frozen=True)
class TheySay:
    """What was published."""

    sentence: str
    values: Mapping[str, float]
    """Shares in 0..1 by name."""
    effect: float
    """The claimed gain as a share, above 0."""


@dataclass(frozen=True)
class Training:
    """One training: the unit of work and of resume."""

    name: str
    settings: Mapping[str, Any]
    """All that decides its outcome, as plain JSON values."""
    cost: float
    """About how many seconds it takes: only for the order and for the time left."""
    stage: int = 0
    """A stage begins when all trainings of the stages before it are finished; it may read the files they left."""


@dataclass(frozen=True)
class Finished:
    """A training with what came out of it."""

    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    """Plain JSON values."""
    seconds: float


@dataclass(frozen=True)
class Figure:
    """A number of a table; an interval where there is one, and the single values that it is the mean of."""

    estimate: float
    low: float | None = None
    high: float | None = None
    each: tuple[float, ...] = ()


@dataclass(frozen=True)
class Table:
    """Figures as rows by columns."""

    title: str
    unit: Literal["%", "points"]
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[Figure | None]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture of the report, which is also kept beside it as a file of its own."""

    title: str
    """No two of a claim alike: the file is named by it."""
    caption: str
    png: bytes


@dataclass(frozen=True)
class Found:
    """What the trainings showed."""

    effect: Interval
    """The gain as a share with its 95 % interval; this one decides whether the claim holds."""
    meaning: str
    """What the interval speaks of, in a few words."""
    values: Mapping[str, float]
    """Shares in 0..1, by the names of `TheySay.values`."""
    sentence: str
    """What was measured, as one clause that can stand after "we measured"."""
    samples: Mapping[str, int]
    tables: Sequence[Table]
    other_intervals: Mapping[str, Interval] = field(default_factory=dict)
    """The same effect with intervals that speak of something else."""
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = ()


class Claim(ABC):
    """A published claim and the experiment that repeats it."""

    sentence: ClassVar[str]
    source: ClassVar[str]
    they_say: ClassVar[TheySay]
    seeds: ClassVar[int]
    """How many, unless the user says otherwise; 2 at least."""
    quick_seeds: ClassVar[int]
    helpers: ClassVar[tuple[str, ...]] = ()
    """Further files of the folder that decide what a training gives, without their `.py`."""

    @abstractmethod
    def settings(self, quick: bool) -> dict[str, Any]:
        """What the reader needs to judge the experiment: sizes, epochs, conventions; plain JSON values."""

    @abstractmethod
    def trainings(self, seeds: Sequence[int], quick: bool) -> list[Training]:
        """All that is to be trained."""

    @abstractmethod
    def train(self, settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
        """One training from its settings and the files of earlier stages, in any process, on one thread.

        Args:
            settings: all that decides its outcome.
            files: a directory for what later stages read, such as weights. Only trainings of the same code share it;
                a file's name must tell apart what was made with other settings (`hash_of`).

        Returns:
            Plain JSON values. `files` among them lists the names of the files that were written there: a training
            whose files are gone is done again.
        """

    @abstractmethod
    def judge(self, finished: Sequence[Finished]) -> Found:
        """What all trainings together show."""


def holds(effect: Interval, claimed: float) -> Holds:
    """Whether a claimed gain is borne out by the interval of the measured one; both shares, the claimed above 0.

    `yes`: low > 0 and high >= claimed, a larger gain among them. `smaller`: low > 0 and high < claimed. `no`:
    low <= 0 and high < claimed. `not_shown`: low <= 0 and high >= claimed: where no gain is shown, only an interval
    that leaves room for the claimed one leaves the question open.

    Raises:
        ValueError: the claimed gain is not above 0, or the interval is not finite.
    """
    if not claimed > 0 or not np.isfinite([effect.low, effect.high]).all():
        raise ValueError(f"a claim is a gain above 0 and has a finite interval, not {claimed} and {effect}")
    if effect.low > 0:
        return "smaller" if effect.high < claimed else "yes"
    return "no" if effect.high < claimed else "not_shown"


def claimed_size_inside(effect: Interval, claimed: float) -> bool:
    """Whether the interval of the measured gain holds the claimed size."""
    return effect.low <= claimed <= effect.high


def packed(correct: npt.NDArray[np.bool_]) -> str:
    """Which of N test images were recognised, as text: a bit an image."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode("ascii")


def unpacked(text: str, count: int) -> npt.NDArray[np.bool_]:
    """The inverse of `packed`, for `count` images."""
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=count).astype(bool)


def recognised(finished: Sequence[Finished], **wanted: Any) -> npt.NDArray[np.float64]:
    """Test images x seeds, 1 where recognised, of the trainings with these settings, in the order of their seeds.

    Their results hold `correct` as `packed` gave it and `test_images`.
    """
    chosen = [one for one in finished if all(one.settings.get(name) == value for name, value in wanted.items())]
    chosen.sort(key=lambda one: int(one.settings["seed"]))
    columns = [unpacked(one.result["correct"], one.result["test_images"]) for one in chosen]
    return np.stack(columns, axis=1).astype(np.float64)


def mean_figure(values: npt.NDArray[np.float64]) -> Figure:
    """The mean of a table of test images x seeds with Student's interval over seeds."""
    each = values.mean(axis=0)
    interval = mean_interval(each)
    return Figure(interval.estimate, interval.low, interval.high, tuple(map(float, each)))


def hash_of(settings: Mapping[str, Any]) -> str:
    """12 hex digits over plain JSON values: a part of a file's name."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def picture_text(png: bytes) -> str:
    """A PNG as text, for the result of a training."""
    return base64.b64encode(png).decode("ascii")


def picture_bytes(text: str) -> bytes:
    """The inverse of `picture_text`."""
    return base64.b64decode(text)


def make_claim(name: str) -> Claim:
    """The claim of the file of that name.

    Raises:
        InputError: there is no such claim; the message names the nearest one.
    """
    if name not in claim_names():
        raise InputError(f"there is no claim '{name}'.{did_you_mean(name, claim_names())}")
    found: Claim = importlib.import_module(f"tenfold.claims.{name}").Claim()
    return found
