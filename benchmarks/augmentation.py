"""What classical augmentation and mixing are worth, alone and together, on few images and on more.

For each set, size and seed the same images: a subset of so many a class, of which about a sixth is the validation
split that stops trainings early and selects what `classical` leaves open. Every row is one training, `auto` too: what
it chose by short tries is trained anew.

    TENFOLD_DATA=... python benchmarks/augmentation.py [--sets mnist,cifar10] [--per-class 20,100,500] [--seeds 5]
        [--mixing-seeds 5] [--augmix-seeds 5] [--work DIR] [--out FILE.md]

Mixing, and AugMix with its consistency term, which takes four times as long as the others, may be given fewer seeds.
What is finished is kept in DIR and not done again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from shared import Config, measured, table, with_interval

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.data.splits import make_splits, plan_folds
from tenfold.methods import make_method
from tenfold.runs import Context
from tenfold.runs.arms import parse_arms
from tenfold.runs.plan import Plan, classifier_for, make_plan
from tenfold.runs.trial import ArmImages, train_arm
from tenfold.runs.tries import words
from tenfold.training.classifier import TrainedClassifier, train_classifier

MIXING = ("mixup", "cutmix", "augmix", "manifold")
NAMED = {policy: f"classical({policy})" for policy in ("light", "standard", "strong")}
ARMS = ("raw", *NAMED.values(), "classical(auto)", *MIXING, *(f"classical+{name}" for name in MIXING))
TESTED = 5000
"""Test images, the same for all."""


@cache
def whole(name: str) -> tuple[ImageDataset, ImageDataset]:
    """The images that subsets are drawn from, and the test images."""
    data = load(name, per_class=1000)
    test = data.part("test")
    return data.part("train"), test.take(Key("test").numpy_generator().permutation(len(test))[:TESTED])


def subset(name: str, per_class: int, seed: int) -> ImageDataset:
    """So many images of each class; a smaller subset of one seed is part of the larger ones."""
    images, _ = whole(name)
    order = Key(f"subset-{seed}").numpy_generator().permutation(len(images))
    chosen = [order[images.labels[order] == label][:per_class] for label in range(images.class_count)]
    return images.take(np.sort(np.concatenate(chosen)))


def measure(config: Config, context: Context) -> dict[str, Any]:
    """Test accuracy and seconds of every arm on one subset, and what `auto` chose by which validation losses."""
    name, seed, left_out = config["set"], config["seed"], config["left_out"]
    data, (_, test) = subset(name, config["per_class"], seed), whole(name)
    key = Key(f"seed-{seed}")
    split = make_splits(data, plan_folds(data), 0, key)[0]
    train = data.take(np.sort(np.concatenate([split.train, split.test])))
    validation = data.take(split.validation)
    arms = {arm.name: arm for arm in parse_arms([name for name in ARMS if "(" not in name])}
    plan = make_plan(data, tuple(arms.values()), plan_folds(data), repeats=1, seed=seed, times=1)
    result: dict[str, Any] = {"accuracy": {}, "seconds": {}}

    def note(arm: str, classifier: TrainedClassifier) -> TrainedClassifier:
        result["accuracy"][arm] = float((classifier.probabilities(test.images).argmax(1) == test.labels).mean())
        result["seconds"][arm] = round(sum(classifier.details["seconds"].values()), 2)
        return classifier

    for policy, name in NAMED.items():
        recipe = make_method("classical", {"policy": policy, "flips": "no"}).fit(train, None, key)
        note(name, train_classifier(train, validation, recipe, key / "classifier", classifier_for(data)))
    chosen = train_arm(plan.training(arms["classical"]), ArmImages(train, validation, None), key)
    note("classical(auto)", chosen.classifier)
    selected = chosen.details["settled"]
    result |= {"settled": words(selected["classical"]), "inner_losses": chosen.details["inner_losses"]["classical"]}
    result["seconds"]["choosing"] = chosen.details["seconds"]["choosing"]
    for arm in arms.values():
        if arm.name != "classical" and not {part.method for part in arm.components}.intersection(left_out):
            note(arm.name, _trained(arm, train, validation, key, plan, selected))
    return result


def _trained(arm: Any, train: Any, validation: Any, key: Key, plan: Plan, selected: Any) -> TrainedClassifier:
    return train_arm(plan.training(arm), ArmImages(train, validation, None), key, selected).classifier


Findings = Mapping[tuple[str, int], Sequence[Mapping[str, Any]]]
"""By set and images a class, of all seeds."""


def accuracies(by_samples: Findings) -> list[str]:
    """Markdown: a row an arm, a column a set and size."""
    rows = []
    for arm in ARMS:
        values = [
            [100 * run["accuracy"][arm] for run in runs if arm in run["accuracy"]] for runs in by_samples.values()
        ]
        rows.append([arm, *(_cell(each, len(runs)) for each, runs in zip(values, by_samples.values(), strict=True))])
    return table(["arm", *(f"{name}, {size} a class" for name, size in by_samples)], rows)


def _cell(values: Sequence[float], seeds: int) -> str:
    """The mean with Student's interval over seeds, and how many there were where it is not all."""
    if len(values) < 2:
        return f"{values[0]:.1f} (one seed)" if values else ""
    fewer = f"; {len(values)} seeds)" if len(values) < seeds else ")"
    return with_interval(values).removesuffix(")") + fewer


def auto_lines(results: Findings) -> Iterator[str]:
    """How far `auto` is from the best named policy, and what it chose."""
    for (name, size), runs in results.items():
        judged = ("classical(auto)", *NAMED.values())
        means = {arm: np.mean([100 * run["accuracy"][arm] for run in runs]) for arm in judged}
        best = max(NAMED.values(), key=means.__getitem__)
        behind = means[best] - means["classical(auto)"]
        chosen = [run["settled"] for run in runs]
        counts = ", ".join(f"{words} in {chosen.count(words)}" for words in sorted(set(chosen)))
        yield f"- {name}, {size} a class: {behind:+.2f} points behind {best}, the best named. Chosen: {counts}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default="mnist,cifar10")
    parser.add_argument("--per-class", default="20,100,500")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--mixing-seeds", type=int, default=5)
    parser.add_argument("--augmix-seeds", type=int, default=5)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    cells = [(name, int(size)) for name in wanted.sets.split(",") for size in wanted.per_class.split(",")]

    def left_out(seed: int) -> Sequence[str]:
        return MIXING if seed >= wanted.mixing_seeds else ("augmix",) * (seed >= wanted.augmix_seeds)

    configs = [
        {"set": name, "per_class": size, "seed": seed, "left_out": left_out(seed)}
        for seed in range(wanted.seeds)
        for name, size in cells
    ]
    results = measured(measure, configs, wanted.work)
    found = {cell: results[number :: len(cells)] for number, cell in enumerate(cells)}
    text = "\n".join([*accuracies(found), "", *auto_lines(found)])
    print(text)
    if wanted.out:
        wanted.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
