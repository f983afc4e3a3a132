"""What a study's classifier reaches when it is trained for longer, or is another network, beside a plain one.

Each draw takes other images of the set, of which about a sixth are the validation images, and one training of each
arm with each setting. Sets with a test part are tested on 2,000 of its images, others on a fifth of their own.

    TENFOLD_DATA=... python benchmarks/judge.py [--sets cifar10] [--per-class 20,100,500] [--settings 400,800r]
        [--arms "raw,classical(policy=standard),classical"] [--draws 3] [--work DIR] [--out benchmarks/results/judge]

A setting is a number of steps, with an r that of the residual network, whose batches are half as large; 400 steps of
the small one with the first arm of a method are what its others are compared with. 0 images a class are all. What is
finished is kept in DIR and not done again; what was measured before with other sets or settings stays in OUT.json;
OUT.md shows all of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from shared import Cell, Config, gain_over, machine, measured_cells, over_draws, table, write_cells

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.data.splits import make_splits, plan_folds
from tenfold.evaluation.scores import balanced_accuracy
from tenfold.runs import Context
from tenfold.runs.arms import parse_arms
from tenfold.runs.plan import make_plan
from tenfold.runs.trial import ArmImages, train_arm
from tenfold.training.classifier import ClassifierConfig

TESTED = 2000
"""Test images at most, the same for all draws."""
PLAIN = (400, False)
"""Steps and network that others are compared with."""
CELL = ("set", "per_class", "arm", "steps", "residual")
"""What tells one measurement from another."""


def drawn(
    name: str, per_class: int, seed: int, large_side: int | None = None
) -> tuple[ImageDataset, ImageDataset, ImageDataset]:
    """Training, validation and test images of one draw; with as many pixels as this beside, where files have them."""
    data = load(name, per_class=per_class or None, seed=seed, large_side=large_side)
    study, test = data.part("train"), data.part("test")
    split = make_splits(study, plan_folds(study), 0, Key(f"seed-{seed}"))[0]
    validation = study.take(split.validation)
    if not len(test):
        return study.take(split.train), validation, study.take(split.test)
    order = Key("test").numpy_generator().permutation(len(test))
    return study.take(np.sort(np.concatenate([split.train, split.test]))), validation, test.take(order[:TESTED])


def measure(config: Config, context: Context) -> dict[str, float]:
    """Balanced accuracy on the test images of one draw, in percent, and the training's seconds of computing."""
    train, validation, test = drawn(config["set"], config["per_class"], config["seed"])
    arms = parse_arms(list(dict.fromkeys(["raw", "classical", config["arm"]])))
    plan = make_plan(train, arms, plan_folds(train), repeats=1, seed=config["seed"], times=1)
    arm = next(one for one in arms if one.name == config["arm"])
    how = plan.training(arm)
    batch = 32 if config["residual"] else 64
    classifier = ClassifierConfig(steps=config["steps"], residual=config["residual"], batch_size=batch)
    how = replace(how, classifier=classifier)
    fitted = train_arm(how, ArmImages(train, validation, None), Key(f"seed-{config['seed']}"))
    predicted = fitted.classifier.probabilities(test.rows).argmax(1)
    return {
        "accuracy": round(100 * balanced_accuracy(test.labels, predicted), 2),
        "inner_loss": round(fitted.classifier.inner_loss, 4),
    }


def page(cells: list[Cell]) -> Iterator[str]:
    """Markdown: a row a cell, with its gain over the plain classifier on the same draws."""
    plain = {(cell["set"], cell["per_class"], _method(cell)): cell for cell in cells if cell["plain"]}
    rows = []
    for cell in cells:
        beside = plain.get((cell["set"], cell["per_class"], _method(cell)))
        size = f"{cell['per_class']} a class" if cell["per_class"] else "all"
        setting = f"{cell['steps']:,} steps{', residual' if cell['residual'] else ''}"
        gain = "" if beside is None or cell["plain"] else gain_over(cell, beside)
        rows.append([cell["set"], size, cell["arm"], setting, over_draws(cell["accuracy"]), gain])
    yield from table(["set", "images", "arm", "setting", "balanced accuracy, %", "points over the plain one"], rows)


def _method(cell: Mapping[str, Any]) -> str:
    return str(cell["arm"]).split("(")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default="cifar10")
    parser.add_argument("--per-class", default="20,100,500")
    parser.add_argument("--settings", default="400,800r")
    parser.add_argument("--arms", default="raw,classical(policy=standard),classical")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/judge"))
    wanted = parser.parse_args()
    settings = [(int(text.rstrip("r")), text.endswith("r")) for text in wanted.settings.split(",")]
    arms = wanted.arms.split(",")
    cells = [
        {"set": name, "per_class": int(size), "arm": arm, "steps": steps, "residual": residual}
        for name in wanted.sets.split(",")
        for size in wanted.per_class.split(",")
        for arm in arms
        for steps, residual in settings
    ]
    cells = measured_cells(measure, cells, wanted.draws, wanted.work)
    for cell in cells:
        first = next(arm for arm in arms if _method({"arm": arm}) == _method(cell))
        cell["plain"] = (cell["steps"], cell["residual"], cell["arm"]) == (*PLAIN, first)
    words = "# The classifier of a study with longer training\n\n"
    words += f"`python benchmarks/judge.py`; {machine()}. " + " ".join(__doc__.split("\n\n")[1].split())
    write_cells(wanted.out, cells, CELL, page, words)


if __name__ == "__main__":
    main()
