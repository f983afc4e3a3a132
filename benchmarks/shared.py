"""What benchmarks share: their trainings as jobs on tenfold's runner, the machine in words, and Markdown."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tenfold.evaluation.external_test import mean_interval
from tenfold.evaluation.scores import wilson_interval
from tenfold.methods import method_names
from tenfold.runs import Context, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors.processes import executor_for
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
