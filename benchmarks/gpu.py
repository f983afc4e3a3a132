"""What each way of using a graphics card is worth: steps a second, and trials a minute packed on one card.

The steps of a classifier (mnist-sized), of cgan, dagan and dcgan: as they are, in bfloat16, with weights that are not
channels last, through torch.compile, and through it with CUDA graphs. In rounds, so that all settings meet the same
machine. Without a card it runs on the processor, for a look at the program itself; nothing is written then.

    python benchmarks/gpu.py [--device cuda] [--settings plain,bfloat16] [--steps 50] [--rounds 5] [--packed 1,8]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from overhead import Workers, made_up
from shared import machine, table

from tenfold.core.files import write_text
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import GeneratorMethod, make_method
from tenfold.runs.directory import RunDirectory
from tenfold.runs.plan import classifier_for
from tenfold.training.classifier import ClassifierStep, ClassifierTask
from tenfold.training.device import Device, state_precision
from tenfold.training.step import Step

METHODS = ("classifier", "cgan", "dagan", "dcgan")
SETTINGS = ("plain", "bfloat16", "contiguous", "compile", "graphs")
MANY = 10**6
"""Steps that no measurement reaches."""
LEAST_PACKED = 5.0
PAGE = Path(__file__).parent / "results" / "gpu.md"


def step_of(method: str, data: ImageDataset, device: Device) -> Step:
    key = Key("gpu") / method
    if method == "classifier":
        recipe = make_method("classical").fit(data, None, key)
        return ClassifierStep(ClassifierTask(data, None, recipe, key, classifier_for(data)), 0, device)
    made = make_method(method, {"steps": MANY, "watch_every": MANY})
    assert isinstance(made, GeneratorMethod)
    return made.for_set(data).generator(data).start(data, key, device)(0)


class Contestant:
    """One method's steps in one setting, warm."""

    def __init__(self, method: str, setting: str, data: ImageDataset, device: Device) -> None:
        self.device, self.setting, self.number = device, setting, 0
        self.step = step_of(method, data, device)
        for network in self.step.networks.values():
            if setting == "contiguous":
                network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            elif setting in ("compile", "graphs"):
                network.compile(mode="reduce-overhead" if setting == "graphs" else "default")
        self.seconds(3)

    def seconds(self, steps: int) -> float:
        """Of one step, the mean of so many."""
        half: AbstractContextManager[Any] = nullcontext()
        if self.setting == "bfloat16":
            half = torch.autocast(self.device.kind, torch.bfloat16)
        self.device.synchronise()
        start = time.perf_counter()
        with half:
            for _ in range(steps):
                self.step.step(self.number % 200)  # a classifier's batches are planned
                self.number += 1
        self.device.synchronise()
        return (time.perf_counter() - start) / steps


def raced(
    method: str, settings: Sequence[str], data: ImageDataset, device: Device, steps: int, rounds: int
) -> list[list[object]]:
    """A row for each setting; what a setting ends in stands in its row."""
    found: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    warm: dict[str, Callable[[int], float]] = {}
    for setting in settings:
        try:
            warm[setting] = Contestant(method, setting, data, device).seconds
        except Exception as error:  # a setting that does not work is a finding too
            failed[setting] = f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"
    for _ in range(rounds):
        for setting, seconds in warm.items():
            found.setdefault(setting, []).append(seconds(steps))
    plain = np.array(found["plain"])
    rows: list[list[object]] = []
    for setting in settings:
        if setting in failed:
            rows.append([method, setting, "failed", failed[setting]])
        else:
            own = np.array(found[setting])
            rows.append([method, setting, f"{1 / np.median(own):.1f}", f"{np.median(plain / own):.2f}"])
    return rows


def packed(data: ImageDataset, counts: Sequence[int], device: Device, steps: int, rounds: int) -> list[list[object]]:
    """Trials a minute with so many worker processes on the device, in turns, and how many times the first's."""
    with (
        tempfile.TemporaryDirectory() as directory,
        RunDirectory.opened(Path(directory) / "run", "benchmark gpu", {}, {"made-up": ""}) as run,
    ):
        teams = [Workers(run, data, count, steps, device) for count in counts]
        try:
            pace = np.array([[2 * t.count / t.done(2 * t.count)[0] for t in teams] for _ in range(rounds)])
        finally:
            for team in teams:
                team.stop()
    return [
        [count, f"{60 * np.median(pace[:, k]):.1f}", f"{np.median(pace[:, k] / pace[:, 0]):.2f}"]
        for k, count in enumerate(counts)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--settings", default=",".join(SETTINGS), help="plain is always among them")
    parser.add_argument("--steps", type=int, default=50, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--packed", default="1,8", help="worker processes")
    parser.add_argument("--trial-steps", type=int, default=400)
    options = parser.parse_args()
    device = Device.chosen(options.device)
    state_precision(device)
    torch.set_num_threads(1)
    data = made_up(options.images, 1, 28)
    settings = list(dict.fromkeys(["plain", *options.settings.split(",")]))
    rows = [
        row
        for method in options.methods.split(",")
        for row in raced(method, settings, data, device, options.steps, options.rounds)
    ]
    counts = [int(count) for count in options.packed.split(",")]
    lines = [
        "# What each way of using a graphics card is worth",
        "",
        f"{options.images:,} made-up images, 28 x 28. {device.description}; {machine()}.",
        "Made by `python benchmarks/gpu.py`.",
        "",
        *table(["training", "setting", "steps a second", "times plain"], rows),
        "",
        f"Trials of raw in {options.trial_steps} steps, in turns (goal of packing: {LEAST_PACKED:g} times):",
        "",
        *table(
            ["worker processes", "trials a minute", "times the first"],
            packed(data, counts, device, options.trial_steps, options.rounds),
        ),
    ]
    text = "\n".join(lines)
    print(text)
    if device.kind == "cuda":
        write_text(PAGE, text + "\n")


if __name__ == "__main__":
    main()
