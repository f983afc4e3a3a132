"""How much of a trial is not training, what a second worker process adds, and how often images lie in the memory.

In one process, in seconds of its processor, so that what else runs on the machine does not count: what of a trial of
`raw` and of `classical` is neither forward pass nor backward pass nor step. Then trials in one worker process and in
two, in turns; the seconds on the wall are worth reading on a quiet machine alone. Images are made up.

    python benchmarks/overhead.py [--images 1000] [--rounds 5] [--trials 4] [--steps 100] [--out FILE.md]
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from memory import family
from shared import machine, table

from tenfold.core.files import write_text
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.splits import make_splits, plan_folds
from tenfold.runs import Job
from tenfold.runs.arms import parse_arm
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors.processes import Processes
from tenfold.runs.plan import ArmConfig, TrialConfig, classifier_for
from tenfold.runs.trial import judged
from tenfold.training import loop
from tenfold.training.device import Device, one_thread
from tenfold.training.step import Clock

KINDS = ((1, 28), (3, 64))
"""Channels and side."""
ARMS = ("raw", "classical")
CORE = "forward/backward/step"
KEY, CPU = Key("overhead"), Device("cpu")
MOST_OUTSIDE, LEAST_RATIO = 0.1, 1.85
LOOK_EVERY = 0.1
"""Seconds."""
TICKS = os.sysconf("SC_CLK_TCK")


class ProcessorClock(Clock):
    """Seconds of the processor, not on the wall, in the parts of all trainings of a trial: of its choices too."""

    def __init__(self, total: dict[str, float]) -> None:
        super().__init__()
        self.total = total

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        start = time.process_time()
        with super().__call__(part):
            yield
        self.total[part] = self.total.get(part, 0.0) + time.process_time() - start


def made_up(count: int, channels: int, side: int) -> ImageDataset:
    """Ten classes of noise, each with a bright band at a height of its own."""
    labels = np.arange(count) % 10
    images = KEY.numpy_generator().integers(0, 160, (count, channels, side, side), dtype=np.uint8)
    for label in range(10):
        top = label * side // 10
        images[labels == label, :, top : top + side // 10] += 90
    return ImageDataset.of_arrays("made-up", images, labels, tuple("abcdefghij"))


def config_of(data: ImageDataset, arm: str, steps: int | None, seed: int = 0) -> TrialConfig:
    classifier = classifier_for(data)
    classifier = classifier if steps is None else replace(classifier, steps=steps)
    return TrialConfig(ArmConfig(parse_arm(arm, "raw"), 1.0, classifier), seed, 0, 0)


@one_thread()
def parts_of_a_trial(data: ImageDataset, arm: str, steps: int | None) -> dict[str, float]:
    """Seconds of the processor in each part of a trial, and in all of it."""
    split = make_splits(data, plan_folds(data, 5), 0, KEY)[0]
    judged(config_of(data, arm, 5), data, split)  # torch loads parts of itself: paid once a worker
    parts: dict[str, float] = {}
    before, loop.Clock = loop.Clock, partial(ProcessorClock, parts)  # type: ignore[assignment, misc]
    try:
        start = time.process_time()
        judged(config_of(data, arm, steps), data, split)
        parts["whole"] = time.process_time() - start
    finally:
        loop.Clock = before  # type: ignore[misc]
    return parts


def shares(count: int, steps: int | None) -> tuple[list[list[object]], float]:
    """A row for each kind of images and arm, and the largest share outside of training."""
    rows, largest = [], 0.0
    for channels, side in KINDS:
        data = made_up(count, channels, side)
        for arm in ARMS:
            parts = parts_of_a_trial(data, arm, steps)
            whole, outside = parts["whole"], 1 - parts[CORE] / parts["whole"]
            named = [f"{100 * parts.get(name, 0.0) / whole:.1f} %" for name in ("batches", "average", "validation")]
            rows.append([f"{side} x {side} x {channels}", arm, f"{whole:.1f}", *named, f"{100 * outside:.1f} %"])
            largest = max(largest, outside)
    return rows, largest


class Workers:
    """So many worker processes that are warm, and what they take while they work."""

    def __init__(self, run: RunDirectory, data: ImageDataset, count: int, steps: int, device: Device = CPU) -> None:
        self.device, self.run, self.data, self.count, self.steps = device, run, data, count, steps
        split = make_splits(data, plan_folds(data, 5), 0, KEY)[0]
        self.reads = {"images": run.keep(data), "split": run.keep(split.arrays())}
        self.executor = Processes(device, count)
        self.seed = count * 10**6
        self.images: list[float] = []
        """Bytes of images that all processes hold, a page that several hold counted once, at each look."""
        self.done(2 * count)

    def done(self, trials: int) -> tuple[float, float]:
        """Seconds on the wall, and of the workers' processors, for so many trials."""
        jobs = []
        for _ in range(trials):
            self.seed += 1
            config = asdict(config_of(self.data, "raw", self.steps, self.seed))
            jobs.append(Job("tenfold.runs.trial:run_trial", config, self.reads, device=self.device.kind, kind="raw"))
        start, busy, left = time.perf_counter(), self._processor_seconds(), trials
        while left:
            while jobs and self.executor.accepts(jobs[0]):
                self.executor.submit(jobs.pop(0), self.run)
            for finished in self.executor.completed(LOOK_EVERY):
                if finished.failure is not None:
                    raise finished.failure
                left -= 1
            self.images.append(sum(mapped_bytes(process, self.run.path) for process in family(os.getpid())))
        return time.perf_counter() - start, self._processor_seconds() - busy

    def stop(self) -> None:
        self.executor.stop()
        self.executor.__exit__(None, None, None)

    def _processor_seconds(self) -> float:
        return sum(processor_seconds(process) for process in family(os.getpid())[1:])


def processor_seconds(process: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def mapped_bytes(process: int, directory: Path) -> float:
    """What of the files of a directory lies in this process's memory: its share of what others hold too."""
    taken, inside = 0, False
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                inside = str(directory) in line
            elif inside and line.startswith("Pss:"):
                taken += int(line.split()[1]) * 1024
    return taken


def side_by_side(data: ImageDataset, rounds: int, trials: int, steps: int) -> tuple[list[list[object]], float]:
    """A row for one worker and one for two, and how many times the trials of one two have done: the median round."""
    with (
        tempfile.TemporaryDirectory() as directory,
        RunDirectory.opened(Path(directory) / "run", "benchmark overhead", {}, {"made-up": ""}) as run,
    ):
        teams = [Workers(run, data, count, steps) for count in (1, 2)]
        try:
            seconds = np.array([[team.done(trials) for team in teams] for _ in range(rounds)])
        finally:
            for team in teams:
                team.stop()
        ratio = float(np.median(seconds[:, 0, 0] / seconds[:, 1, 0]))
        wall, busy = np.median(seconds, 0).T
        rows: list[list[object]] = [
            [
                team.count,
                f"{60 * trials / wall[k]:.1f}",
                f"{busy[k] / trials:.2f}",
                f"{np.median(team.images) / data.images.nbytes:.2f}",
            ]
            for k, team in enumerate(teams)
        ]
    return rows, ratio


def page(options: argparse.Namespace) -> list[str]:
    load = os.getloadavg()[0]
    rows, largest = shares(options.images, options.whole_steps)
    channels, side = KINDS[0]
    workers, ratio = side_by_side(
        made_up(options.images, channels, side), options.rounds, options.trials, options.steps
    )
    quiet = "the machine was quiet" if load < 0.5 else f"others were at work (load {load:.1f} before the start)"
    return [
        "# What of a trial is not training, and what a second worker adds",
        "",
        f"{options.images:,} made-up images of ten classes, one fold. {machine()}; {quiet}.",
        "Made by `python benchmarks/overhead.py --out benchmarks/results/overhead.md`.",
        "",
        *table(
            ["images", "arm", "processor s", "batches", "average", "validation", "outside forward, backward, step"],
            rows,
        ),
        "",
        f"At most {100 * largest:.1f} % (goal: under {100 * MOST_OUTSIDE:.0f} %).",
        "",
        f"{options.rounds} rounds of {options.trials} trials (raw, {side} x {side}, {options.steps} steps):",
        "",
        *table(["workers", "trials a minute", "processor s a trial", "images in memory, of one copy"], workers),
        "",
        f"Two workers do {ratio:.2f} times the trials of one (goal: {LEAST_RATIO}, on two cores that are free).",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=4, help="in a round")
    parser.add_argument("--steps", type=int, default=100, help="of a trial in a round")
    parser.add_argument("--whole-steps", type=int, help="of a trial whose parts are told; as many as usual")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = "\n".join(page(options))
    print(text)
    if options.out:
        write_text(options.out, text + "\n")


if __name__ == "__main__":
    main()
