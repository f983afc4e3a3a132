"""What a claim is, how it is decided whether it holds, and how the folder finds one by its name.

A claim is a list of jobs and a summary of their results. What is fixed text (what was published, the design, titles
and notes) stands in a TOML file of the claim's name. Nothing is registered: `claims/mixup.py` and `claims/mixup.toml`
are the claim `mixup`.
"""

from __future__ import annotations

import importlib
import inspect
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tenfold.claims import claim_names
from tenfold.claims.tables import Figure, Results, Rows, Table, difference_names, figures
from tenfold.core.configuration import read_strictly
from tenfold.core.errors import InputError, did_you_mean
from tenfold.evaluation import Interval
from tenfold.runs import Job
from tenfold.runs.arms import parse_component
from tenfold.training.device import current_device

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
    effect: float
    """The claimed gain as a share, above 0."""
    values: Mapping[str, float]
    """Shares in 0..1 by name."""


@dataclass(frozen=True)
class TableText:
    """The words of a table; holes in braces are filled from values by name."""

    title: str
    unit: Literal["%", "points"]
    note: str = ""

    def table(self, columns: Iterable[str], rows: Mapping[str, Sequence[Figure | None]], **values: Any) -> Table:
        """The figures under these words."""
        return Table(self.title.format(**values), self.unit, tuple(columns), rows, self.note.format(**values))


@dataclass(frozen=True)
class ImageText:
    """The words of an image of the report."""

    title: str
    """No two of a claim alike: the file is named by it."""
    caption: str

    def image(self, png: bytes, **values: Any) -> ReportImage:
        """The image under these words."""
        return ReportImage(self.title.format(**values), self.caption.format(**values), png)


@dataclass(frozen=True)
class Text:
    """The fixed words of a claim."""

    sentence: str
    source: str
    they_say: TheySay
    seeds: int
    """How many, unless the user says otherwise; 2 at least."""
    quick_seeds: int
    measured: str
    """What was measured, as one clause that can stand after "we measured"."""
    interval: str
    """What the interval that decides speaks of, in a few words."""
    settings: Mapping[str, str]
    """What the reader needs to judge the experiment: sizes, conventions."""
    tables: Mapping[str, TableText] = field(default_factory=dict)
    images: Mapping[str, ImageText] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else was published, in a form of the claim's own."""

    def settings_with(self, **values: Any) -> dict[str, str]:
        """The settings, their holes filled."""
        return {name: text.format(**values) for name, text in self.settings.items()}

    def beside(self, table: str, measured: Mapping[str, Figure], **values: Any) -> Table:
        """The values that were published beside the measured ones of the same names."""
        rows = {name: (Figure(self.they_say.values[name]), figure) for name, figure in measured.items()}
        return self.tables[table].table(("they say", "we measured"), rows, **values)

    def of_arms(
        self, results: Results, setting: str, name: str, arms: Iterable[str], pairs: Sequence[tuple[str, str]]
    ) -> tuple[Table, Table]:
        """The tables `few` and `differences`: accuracies of arms and paired differences, a row for each value of a
        setting, whose `name` has a hole for the value."""
        accuracies: Rows = {}
        differences: Rows = {}
        for value in results.settings(setting):
            of = {arm: results.of(arm=arm, **{setting: value}).recognised() for arm in arms}
            accuracies[name.format(value)] = figures(of.values())
            differences[name.format(value)] = figures(of[arm] - of[other] for arm, other in pairs)
        few, gains = self.tables["few"], self.tables["differences"]
        count = len(differences) * len(pairs)
        return few.table(arms, accuracies), gains.table(difference_names(pairs), differences, count=count)


@dataclass(frozen=True)
class ReportImage:
    """An image of the report, which is also kept beside it as a file of its own."""

    title: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Summary:
    """What the trainings showed."""

    effect: Interval
    """The gain as a share with its 95 % interval; this one decides whether the claim holds."""
    values: Mapping[str, float]
    """Shares in 0..1, by the names of `TheySay.values`."""
    samples: Mapping[str, int]
    tables: Sequence[Table]
    words: Mapping[str, Any] = field(default_factory=dict)
    """Fill the holes of what the claim's text says of the measurement."""
    other_intervals: Mapping[str, Interval] = field(default_factory=dict)
    """The same effect with intervals that speak of something else."""
    notes: Sequence[str] = ()
    """Beside those of the text."""
    images: Sequence[ReportImage] = ()


class Claim(ABC):
    """A published claim and the experiment that repeats it."""

    @cached_property
    def text(self) -> Text:
        """The fixed words, from the TOML file beside the claim's own."""
        path = Path(inspect.getfile(type(self))).with_suffix(".toml")
        return read_strictly(Text, tomllib.loads(path.read_text("utf-8")), path.name)

    @abstractmethod
    def settings(self, quick: bool) -> dict[str, Any]:
        """What the reader needs to judge the experiment; plain JSON values."""

    @abstractmethod
    def jobs(self, seeds: Sequence[int], quick: bool) -> list[Job]:
        """All that is to be trained; each has a `seed` in its configuration where it is one of several."""

    @abstractmethod
    def summary(self, results: Results) -> Summary:
        """What all trainings together show."""


def job(
    function: Callable[..., Any], label: str, config: Mapping[str, Any], cost: float, arm: str = "", **needs: Job
) -> Job:
    """A training of a claim.

    Args:
        function: of a module, called with the configuration and the job's context.
        cost: about how many seconds it takes.
        arm: as `parse_component` reads it, whose methods it trains with.
        needs: jobs whose files it reads, by the names that it knows them by.
    """
    methods = [parse_component(component).method for component in arm.split("+") if component]
    return Job(
        f"{function.__module__}:{function.__qualname__}",
        config,
        needs=needs,
        modules=tuple(f"tenfold.methods.{method}" for method in methods),
        device=current_device().kind,
        label=label,
        cost=cost,
    )


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


def make_claim(name: str) -> Claim:
    """The claim of the file of that name.

    Raises:
        InputError: there is no such claim; the message names the nearest one.
    """
    if name not in claim_names():
        raise InputError(f"there is no claim '{name}'.{did_you_mean(name, claim_names())}")
    claim: Claim = importlib.import_module(f"tenfold.claims.{name}").Claim()
    return claim
