"""The product judged by its own promise, on real images: noise must not be called help, and help must be.

    TENFOLD_DATA=... python benchmarks/gates.py [--gate NAME] [--studies 20] [--work DIR] [--out FILE]

A/A        the baseline against itself under other seeds: "helped" in at most 5 % of studies
placebo    the baseline against itself with its images copied: likewise
positive   half of the images held back, then given: "helped" in 80 % where the power says so
canary     a generator that copies test images: caught, always

Each study draws other images of its set and other seeds. What is done lies under --work, and the same command goes
on from there; a change of the code begins anew.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr

from tenfold.core.files import read_json, write_json, write_text
from tenfold.core.keys import Key
from tenfold.core.options import StudyOptions
from tenfold.core.types import ImageDataset, Split
from tenfold.data.splits import make_splits
from tenfold.evaluation.compare import Design, compare
from tenfold.evaluation.scores import wilson_interval
from tenfold.methods import method_class
from tenfold.runs import trial
from tenfold.runs.directory import RunDirectory
from tenfold.runs.plan import TrialConfig
from tenfold.runs.repeats import Limits, run_trials
from tenfold.runs.study import prepare
from tenfold.training.recipe import Recipe

Result = dict[str, Any]

STEPS = 150
"""Of each classifier's training: less than the product's, since what is asked is whether the procedure errs."""


@dataclass(frozen=True)
class Question:
    """Some studies alike: what is compared on which images, and which arm is asked about."""

    gate: str
    data: str
    options: StudyOptions
    asked: tuple[str, ...]
    """The arms that PICK may choose between, beside the baseline."""

    @property
    def name(self) -> str:
        return f"{self.gate}, {self.data} {self.options.per_class} a class"


def questions() -> Iterator[Question]:
    """Pictures of 14 x 14 pixels train in a second; the procedure is the same at any size."""
    for data, size, repeats in (("mnist", 14, 4), ("digits", None, 2)):
        same = "classical,classical#2,placebo"
        options = StudyOptions(arms=same, repeats=repeats, per_class=20, size=size, learning_curve=False)
        yield Question("A/A", data, options, ("classical#2",))
        yield Question("placebo", data, options, ("placebo",))
    arms = "classical,oracle(times=1)"
    for repeats in (2, 4):
        options = StudyOptions(arms=arms, repeats=repeats, per_class=10, size=14, learning_curve=False)
        yield Question("positive", "emnist_letters", options, ("oracle(times=1)",))


def study(question: Question, seed: int, work: Path) -> Result:
    """One study in this process; what it found before is read again."""
    torch.set_num_threads(1)
    options = replace(question.options, seed=seed)
    prepared = prepare(question.data, options)
    images = prepared.data.part("train")
    plan = replace(prepared.plan, classifier=replace(prepared.plan.classifier, steps=STEPS))
    file = work / "studies" / f"{question.gate.replace('/', '')}-{plan.hash}.json"
    if file.exists():
        found: Result = read_json(file)
        return found
    done = run_trials(plan, prepared.data, RunDirectory(work), workers=1, limits=Limits(), report=lambda *_: None)
    rules = (plan.fold_plan.evaluated, plan.fold_plan.folds, plan.baseline, question.asked, plan.margin)
    verdict = compare(done.trials, Design(images.labels, images.groups, images.class_names, *rules))
    result = {
        "outcome": verdict.outcome,
        "estimate": verdict.difference.estimate,
        "low": verdict.difference.low,
        "high": verdict.difference.high,
        "error": verdict.difference.standard_error,
        "accuracy": next(arm.balanced_accuracy.estimate for arm in verdict.arms if arm.name == plan.baseline),
        "images": verdict.images,
        "repeats": verdict.repeats,
    }
    write_json(file, result)
    return result


def canary(data_name: str, kind: str, seed: int) -> bool:
    """Whether a trial notices that its new images are those of its own test fold."""
    torch.set_num_threads(1)
    options = StudyOptions(arms="classical,cgan(times=1)", per_class=20, seed=seed, learning_curve=False)
    prepared = prepare(data_name, options)
    plan = replace(prepared.plan, classifier=replace(prepared.plan.classifier, steps=20))
    arm = next(arm for arm in plan.arms if arm.trains_generator)
    stolen: list[ImageDataset] = []
    honest = trial.open_fold

    def burgled(images: ImageDataset, split: Split) -> Any:
        stolen[:] = [images.take(split.test)]
        return honest(images, split)

    trial.open_fold, fit = burgled, method_class("cgan").fit  # type: ignore[assignment]
    method_class("cgan").fit = lambda *_: Recipe(extra=KINDS[kind](stolen[0], prepared.data, Key(f"canary-{seed}")))  # type: ignore[method-assign]
    try:
        splits = make_splits(prepared.data.part("train"), plan.fold_plan, 0, Key(f"seed-{seed}"))
        split = splits[seed % plan.fold_plan.folds]
        config = TrialConfig(plan.training(arm), plan.seed, 0, split.fold)
        return trial.judged(config, prepared.data, split).failed is not None
    finally:
        trial.open_fold, method_class("cgan").fit = honest, fit  # type: ignore[method-assign]


def _exact(test: ImageDataset, data: ImageDataset, key: Key) -> ImageDataset:
    return test


def _noisy(test: ImageDataset, data: ImageDataset, key: Key) -> ImageDataset:
    noise = key.numpy_generator().normal(0, 5, test.images.shape)
    return replace(test, images=np.clip(np.rint(test.images + noise), 0, 255).astype(np.uint8))


def _few(test: ImageDataset, data: ImageDataset, key: Key) -> ImageDataset:
    """A tenth of the test images among real ones that nobody studies."""
    reserve = data.part("reserve")
    return reserve.take(np.arange(min(len(reserve), 100))).joined(test.take(np.arange(len(test))[::10]))


def _none(test: ImageDataset, data: ImageDataset, key: Key) -> ImageDataset:
    """No canary: as many real images that nobody studies. To be caught would be a false alarm."""
    reserve = data.part("reserve")
    return reserve.take(key.numpy_generator().permutation(len(reserve))[:100])


KINDS: dict[str, Callable[[ImageDataset, ImageDataset, Key], ImageDataset]] = {
    "exact copies": _exact,
    "copies with noise of 5 grey levels": _noisy,
    "one test image in ten, among honest ones": _few,
    "none (honest images)": _none,
}


def table(name: str, results: Sequence[Result]) -> str:
    """One line of the verdicts that studies alike came to."""
    count = len(results)
    outcomes = [result["outcome"] for result in results]
    helped = outcomes.count("helped")
    low, high = wilson_interval(helped / count, count)
    mean = {key: float(np.mean([result[key] for result in results])) for key in ("estimate", "error", "accuracy")}
    covered = sum(result["low"] <= 0 <= result["high"] for result in results)
    # The chance that an estimate this far from 0, give or take its error, is found significant.
    power = float(np.mean([ndtr(mean["estimate"] / result["error"] - 1.96) for result in results if result["error"]]))
    cells = (
        name,
        results[0]["images"],
        results[0]["repeats"],
        count,
        f"{100 * mean['accuracy']:.1f}",
        f"{100 * mean['estimate']:+.2f}",
        f"{100 * mean['error']:.2f}",
        f"**{helped}** ({100 * low:.0f} to {100 * high:.0f} %)",
        outcomes.count("hurt"),
        outcomes.count("no_practical_difference"),
        outcomes.count("not_proven"),
        f"{covered} of {count}",
        f"{100 * power:.0f} %" if name.startswith("positive") else "",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


HEADING = (
    "| studies | images | repeats | number | accuracy % | mean difference | mean standard error | helped (95 %) "
    "| hurt | no practical difference | not proven | interval holds 0 | power expected |\n" + "|---" * 13 + "|"
)


def main() -> None:
    """Run the gates that are asked for and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", action="append", choices=["A/A", "placebo", "positive", "canary"])
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--work", type=Path, default=Path("runs/gates"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    gates = options.gate or ["A/A", "placebo", "positive", "canary"]
    start, lines = time.monotonic(), []
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        for question in questions():
            if question.gate in gates:
                seeds = range(1000, 1000 + options.studies)
                count = len(seeds)
                results = list(pool.map(study, [question] * count, seeds, [options.work] * count))
                lines.append(table(question.name, results))
                print(lines[-1], flush=True)
        canaries = []
        if "canary" in gates:
            for data in ("digits", "mnist"):
                for kind in KINDS:
                    seeds, count = range(options.studies), options.studies
                    caught = sum(pool.map(canary, [data] * count, [kind] * count, seeds))
                    low, high = wilson_interval(caught / count, count)
                    canaries.append(
                        f"| {data} | {kind} | {caught} of {count} ({100 * low:.0f} to {100 * high:.0f} %) |"
                    )
                    print(canaries[-1], flush=True)
    if options.out:
        minutes = math.ceil((time.monotonic() - start) / 60)
        write_text(options.out, report(lines, canaries, minutes, options.studies))


def report(lines: Sequence[str], canaries: Sequence[str], minutes: int, studies: int) -> str:
    """The results file."""
    made_with = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    return "\n".join(
        [
            "# Gates on real images",
            "",
            f"`python benchmarks/gates.py`, {studies} studies a line, {minutes} minutes, {made_with}.",
            f"Classifiers of {STEPS} steps; mnist and emnist_letters at 14 x 14 pixels. Differences in points of",
            "balanced accuracy. Every study draws other images of its set and has other seeds.",
            "",
            HEADING,
            *lines,
            "",
            "## Canaries: new images that are those of the test fold",
            "",
            "| data | new images | caught |",
            "|---|---|---|",
            *canaries,
            "",
        ]
    )


if __name__ == "__main__":
    main()
