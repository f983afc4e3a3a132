"""What benchmarks share: their trainings as jobs on tenfold's runner, the machine in words, and Markdown."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tenfold.core.files import read_json, write_json, write_text
from tenfold.evaluation.external_test import mean_interval
from tenfold.evaluation.scores import wilson_interval
from tenfold.methods import method_names
from tenfold.runs import Context, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors.place import executor_for
from tenfold.runs.runner import run_all
from tenfold.training.device import available_cores, current_device

Config = Mapping[str, Any]


def measured(
    function: Callable[[Config, Context], Any],
    configs: Iterable[Config],
    work: Path | None = None,
    workers: int | None = None,
) -> list[Any]:
    """The results of a benchmark's function on each configuration, one a core at a time.

    Args:
        function: of a benchmark's file, which is found by its name.
        work: where finished results are kept and found again, until the code changes; runs/benchmark-NAME else.
    """
    name = Path(function.__code__.co_filename).stem
    jobs = [
        Job(
            f"{name}:{function.__name__}",
            config,
            modules=tuple(f"tenfold.methods.{method}" for method in method_names()),  # which arms name
            device=current_device().kind,
            label=" ".join(f"{value}" for value in config.values()),
        )
        for config in configs
    ]
    with (
        RunDirectory.opened(work or Path(f"runs/benchmark-{name}"), f"benchmark {name}", {}, {name: ""}) as run,
        executor_for(workers) as executor,
    ):
        return [one.result for one in run_all(name, jobs, run, executor)]


def machine() -> str:
    """The processor, its cores and torch's version."""
    return f"{platform.machine()}, {available_cores()} cores, torch {version('torch')}"


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of Markdown."""
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]


def with_interval(values: Sequence[float], form: str = ".1f") -> str:
    """The mean with Student's interval."""
    result = mean_interval(values)
    return f"{result.estimate:{form}} ({result.low:{form}} to {result.high:{form}})"


def counted(count: int, of: int, digits: int = 0) -> str:
    """Wilson's interval of a share, in percent."""
    low, high = wilson_interval(count / of, of)
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f} %"


Cell = dict[str, Any]
"""One setting that was measured, with a list over draws of each figure."""


def measured_cells(
    function: Callable[[Config, Context], Any], settings: Sequence[Config], draws: int, work: Path | None
) -> list[Cell]:
    """Each setting on so many draws, which its configuration has as `seed`."""
    results = measured(function, [{**one, "seed": seed} for seed in range(draws) for one in settings], work)
    own = [results[number :: len(settings)] for number in range(len(settings))]
    return [
        {**one, **{name: [each[name] for each in of] for name in of[0]}}
        for one, of in zip(settings, own, strict=True)
    ]


def write_cells(
    out: Path, cells: Iterable[Cell], names: Sequence[str], page: Callable[[list[Cell]], Iterable[str]], words: str
) -> None:
    """Keep what was measured before and now, the latter in place of what has the same `names`, and show all of it."""
    path = out.with_suffix(".json")
    known: list[Cell] = read_json(path)["cells"] if path.exists() else []
    by_names = {tuple(cell[name] for name in names): cell for cell in (*known, *cells)}
    everything = [by_names[key] for key in sorted(by_names)]
    write_json(path, {"hardware": f"{machine()}, 1 thread a training", "cells": everything})
    text = "\n".join(page(everything))
    print(text)
    write_text(out.with_suffix(".md"), f"{words}\n\n{text}\n")


def over_draws(values: Sequence[float]) -> str:
    """The mean, with its interval where there are several."""
    return with_interval(values) if len(values) > 1 else f"{values[0]:.1f} (one draw)"


def gain_over(cell: Cell, other: Cell) -> str:
    """Points of accuracy of one over another on the same draws."""
    draws = min(len(cell["accuracy"]), len(other["accuracy"]))
    return over_draws([a - b for a, b in zip(cell["accuracy"][:draws], other["accuracy"][:draws], strict=True)])


@dataclass(frozen=True)
class Comparison:
    """tenfold beside a peer, both measured in one run."""

    what: str
    """With its setting: "MixUp, 28x28x1, 1 thread"."""
    peer: str
    ratio: float
    """How many times as fast tenfold is."""
    low: float | None = None
    high: float | None = None
    """Quartiles over rounds, where there are rounds."""

    @property
    def words(self) -> str:
        places = 2 if self.ratio < 2 else 1
        spread = "" if self.low is None else f" ({self.low:.{places}f}..{self.high:.{places}f})"
        return f"{self.ratio:.{places}f}x{spread}"


def keep_comparisons(path: Path | None, comparisons: Iterable[Comparison]) -> None:
    """For run.py, which asks for them with `--comparisons PATH`."""
    if path is not None:
        write_json(path, [asdict(one) for one in comparisons])
