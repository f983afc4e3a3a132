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
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr
from shared import Config, counted, machine, measured, table

from tenfold.core.files import write_text
from tenfold.core.keys import Key
from tenfold.core.study_options import StudyOptions
from tenfold.core.types import ImageDataset, Split
from tenfold.data.splits import make_splits
from tenfold.evaluation.compare import Design, compare
from tenfold.methods import method_class
from tenfold.runs import Context, trial
from tenfold.runs.directory import RunDirectory
from tenfold.runs.plan import TrialConfig
from tenfold.runs.preparation import prepare
from tenfold.runs.repeats import Limits, run_trials
from tenfold.training.recipe import Recipe

Result = dict[str, Any]

STEPS = 150
"""Of each classifier's training: less than the product's, since what is asked is whether the procedure errs."""


SAME = {"arms": "classical,classical#2,placebo"}
MORE = {"arms": "classical,oracle(times=1)", "per_class": 10, "size": 14}
ALIKE: Sequence[tuple[str, Mapping[str, Any], Mapping[str, str]]] = (
    ("mnist", SAME | {"repeats": 4, "per_class": 20, "size": 14}, {"A/A": "classical#2", "placebo": "placebo"}),
    ("digits", SAME | {"repeats": 2, "per_class": 20}, {"A/A": "classical#2", "placebo": "placebo"}),
    ("emnist_letters", MORE | {"repeats": 2}, {"positive": "oracle(times=1)"}),
    ("emnist_letters", MORE | {"repeats": 4}, {"positive": "oracle(times=1)"}),
)
"""Studies alike: their set, their options, and by gate the arm that the chosen arm may choose beside the baseline.
Images of 14 x 14 pixels train in a second; the procedure is the same at any size."""


def study(config: Config, context: Context) -> dict[str, Result]:
    """What one study finds, by gate."""
    prepared = prepare(config["data"], StudyOptions(learning_curve=False, seed=config["seed"], **config["options"]))
    images = prepared.data.part("train")
    plan = replace(prepared.plan, classifier=replace(prepared.plan.classifier, steps=STEPS))
    run = RunDirectory(context.directory)
    done = run_trials(plan, prepared.data, run, workers=1, limits=Limits(), report=lambda *_: None)
    document = {}
    for gate, arm in config["asked"].items():
        rules = (plan.fold_plan.evaluated, plan.fold_plan.folds, plan.baseline, (arm,), plan.margin)
        verdict = compare(done.trials, Design(images.labels, images.groups, images.class_names, *rules))
        document[gate] = {
            "outcome": verdict.outcome,
            "estimate": verdict.difference.estimate,
            "low": verdict.difference.low,
            "high": verdict.difference.high,
            "error": verdict.difference.standard_error,
            "accuracy": next(arm.balanced_accuracy.estimate for arm in verdict.arms if arm.name == plan.baseline),
            "images": verdict.images,
            "repeats": verdict.repeats,
        }
    return document


def canary(config: Config, context: Context) -> bool:
    """Whether a trial notices that its new images are those of its own test fold."""
    kind, seed = config["kind"], config["seed"]
    options = StudyOptions(arms="classical,cgan(times=1)", per_class=20, seed=seed, learning_curve=False)
    prepared = prepare(config["data"], options)
    plan = replace(prepared.plan, classifier=replace(prepared.plan.classifier, steps=20))
    arm = next(arm for arm in plan.arms if arm.trains_generator)
    stolen: list[ImageDataset] = []
    honest = trial.open_fold

    def burgled(images: ImageDataset, split: Split) -> Any:
        stolen[:] = [images.part("train").take(split.test)]
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


def _mirrored(test: ImageDataset, data: ImageDataset, key: Key) -> ImageDataset:
    noise = key.numpy_generator().normal(0, 5, test.images.shape)
    return replace(test, images=np.clip(np.rint(test.images[..., ::-1] + noise), 0, 255).astype(np.uint8))


def _shifted(test: ImageDataset, data: ImageDataset, key: Key) -> ImageDataset:
    """By a tenth of the side both ways, filled up with the edge."""
    by = max(1, test.images.shape[-1] // 10)
    padded = np.pad(test.images, ((0, 0), (0, 0), (by, 0), (0, by)), mode="edge")
    return replace(test, images=np.ascontiguousarray(padded[..., :-by, by:]))


def _none(test: ImageDataset, data: ImageDataset, key: Key) -> ImageDataset:
    """No canary: as many real images that nobody studies. To be caught would be a false alarm."""
    reserve = data.part("reserve")
    return reserve.take(key.numpy_generator().permutation(len(reserve))[:100])


KINDS: dict[str, Callable[[ImageDataset, ImageDataset, Key], ImageDataset]] = {
    "exact copies": _exact,
    "copies with noise of 5 grey levels": _noisy,
    "mirrored copies with noise of 5 grey levels": _mirrored,
    "copies shifted by a tenth of the side both ways": _shifted,
    "one test image in ten, among honest ones": _few,
    "none (honest images)": _none,
}


HEAD = (
    "studies", "images", "repeats", "number", "accuracy %", "mean difference", "mean standard error", "helped (95 %)",
    "hurt", "no practical difference", "not proven", "nothing preferred", "interval holds 0", "power expected",
)  # fmt: skip


def row(name: str, results: Sequence[Result]) -> Sequence[object]:
    """One line of the verdicts that studies alike came to."""
    count = len(results)
    outcomes = [result["outcome"] for result in results]
    helped = outcomes.count("helped")
    mean = {key: float(np.mean([result[key] for result in results])) for key in ("estimate", "error", "accuracy")}
    covered = sum(result["low"] <= 0 <= result["high"] for result in results)
    # The chance that an estimate this far from 0, give or take its error, is found significant.
    power = float(np.mean([ndtr(mean["estimate"] / result["error"] - 1.96) for result in results if result["error"]]))
    return (
        name,
        results[0]["images"],
        results[0]["repeats"],
        count,
        f"{100 * mean['accuracy']:.1f}",
        f"{100 * mean['estimate']:+.2f}",
        f"{100 * mean['error']:.2f}",
        f"**{helped}** ({counted(helped, count)})",
        outcomes.count("hurt"),
        outcomes.count("no_practical_difference"),
        outcomes.count("not_proven"),
        outcomes.count("nothing_preferred"),
        f"{covered} of {count}",
        f"{100 * power:.0f} %" if name.startswith("positive") else "",
    )


def main() -> None:
    """Run the gates that are asked for and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", action="append", choices=["A/A", "placebo", "positive", "canary"])
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--work", type=Path, default=Path("runs/gates"))
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    gates = options.gate or ["A/A", "placebo", "positive", "canary"]
    start, rows, caught = time.monotonic(), [], []
    for data, how, arms in ALIKE:
        asked = {gate: arm for gate, arm in arms.items() if gate in gates}
        if asked:
            common = {"data": data, "options": how, "asked": asked}
            seeds = range(1000, 1000 + options.studies)
            results = measured(study, [common | {"seed": seed} for seed in seeds], options.work, options.workers)
            rows += [
                row(f"{gate}, {data} {how['per_class']} a class", [one[gate] for one in results]) for gate in asked
            ]
    if "canary" in gates:
        kinds = [{"data": data, "kind": kind} for data in ("digits", "mnist") for kind in KINDS]
        configs = [kind | {"seed": seed} for kind in kinds for seed in range(options.studies)]
        noticed = measured(canary, configs, options.work, options.workers)
        for number, kind in enumerate(kinds):
            count = sum(noticed[number * options.studies :][: options.studies])
            told = f"{count} of {options.studies} ({counted(count, options.studies)})"
            caught.append((*kind.values(), told))
    minutes = math.ceil((time.monotonic() - start) / 60)
    text = report(table(HEAD, rows), table(("data", "new images", "caught"), caught), minutes, options.studies)
    print(text)
    if options.out:
        write_text(options.out, text)


def report(lines: Sequence[str], canaries: Sequence[str], minutes: int, studies: int) -> str:
    """The results file."""
    return "\n".join(
        [
            "# Gates on real images",
            "",
            f"`python benchmarks/gates.py`, {studies} studies a line, {minutes} minutes, {machine()}.",
            f"Classifiers of {STEPS} steps; mnist and emnist_letters at 14 x 14 pixels. Differences in points of",
            "balanced accuracy. Every study draws other images of its set and has other seeds.",
            "",
            *lines,
            "",
            "## Canaries: new images that are those of the test fold",
            "",
            *canaries,
            "",
        ]
    )


if __name__ == "__main__":
    main()
