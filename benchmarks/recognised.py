"""Are a generator's images of the class they are drawn for? Asked of a classifier of other real images.

For each seed a generator learns from a few images of each class, drawn anew, and a classifier from many others. Five
images for each of the few are judged: how many the classifier recognises, beside held-out real images; how far those
of a class spread; how many lie nearer to a training image than all but 1 % of held-out real images do. None is
filtered or rejected before.

    TENFOLD_DATA=... python benchmarks/recognised.py [--sets digits,mnist] [--method cgan] [--per-class 20]
        [--seeds 5] [--precision float32,bfloat16] [--out benchmarks/results/recognised.md]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import numpy as np
import torch

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.duplicates import near_copies
from tenfold.data.load import load
from tenfold.methods import make_method, spread
from tenfold.methods.generating import GeneratorMethod
from tenfold.runs.plan import classifier_for
from tenfold.training.classifier import TrainedClassifier, train_classifier

TIMES = 5
"""Generated images for each real one."""
JUDGE_IMAGES = 6000
"""That the classifier learns from, at most."""
HELD_OUT = 2000
"""Real images, at most, that it is tested on beside the generated ones."""
GOAL = 0.85


@dataclass(frozen=True)
class Figures:
    """Of one training."""

    seed: int
    seconds: float
    steps: int
    recoveries: int
    recognised: float
    real: float
    """The share of held-out real images that the classifier recognises."""
    diversity: float
    near_copies: float

    def row(self) -> str:
        shares = f"{self.recognised:.1%} | {self.real:.1%} | {self.diversity:.2f} | {self.near_copies:.1%}"
        return f"| {self.seed} | {self.seconds:.0f} | {self.steps} | {self.recoveries} | {shares} |"


def judge(data: ImageDataset, key: Key) -> tuple[TrainedClassifier, ImageDataset]:
    """A classifier of images that the generator does not learn from, and real images that it has not seen either."""
    rest, test, random = data.part("reserve"), data.part("test"), key.numpy_generator()
    rest = rest.take(random.permutation(len(rest))[:JUDGE_IMAGES])
    recipe = make_method("classical", {"policy": "standard", "flips": "no"}).fit(rest, None, key)
    classifier = train_classifier(rest, None, recipe, key / "classifier", classifier_for(rest))
    return classifier, test.take(random.permutation(len(test))[:HELD_OUT])


def train_and_judge(name: str, method: str, options: dict[str, str], per_class: int, seed: int) -> Figures:
    torch.set_num_threads(1)
    data, key = load(name, per_class=per_class, seed=seed), Key(f"seed-{seed}")
    train, (classifier, held_out) = data.part("train"), judge(data, key / "judge")
    trainer = cast(GeneratorMethod, make_method(method, dict(options)))
    start = time.perf_counter()
    learned = trainer.learn(train, key / method)
    seconds = time.perf_counter() - start
    chosen = spread(TIMES, len(train))
    seeds = [(key / "sample" / index).seed for index in range(len(chosen))]
    drawn = trainer.draw(learned.generator, trainer.conditions(train, chosen), seeds, train.image_shape)

    def share(images: np.ndarray, labels: np.ndarray) -> float:
        return float((classifier.probabilities(images).argmax(1) == labels).mean())

    return Figures(
        seed,
        seconds,
        learned.details["generator_steps"],
        learned.details["recoveries"],
        share(drawn, train.labels[chosen]),
        share(held_out.images, held_out.labels),
        learned.details["diversity"],
        near_copies(drawn, train.images, held_out.images).share,
    )


def table(name: str, method: str, precision: str, per_class: int, rows: Sequence[Figures]) -> list[str]:
    met = sum(row.recognised >= GOAL for row in rows)
    return [
        f"## {method} on {name}, {per_class} images a class, {precision}",
        "",
        "| seed | seconds | steps | roll-backs | recognised | real, held out | diversity | near copies |",
        "|---|---|---|---|---|---|---|---|",
        *[row.row() for row in rows],
        "",
        f"At least {GOAL:.0%} recognised: {met} of {len(rows)} seeds.",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default="digits,mnist")
    parser.add_argument("--method", default="cgan")
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    lines = [
        "# Are generated images of the class they are drawn for?",
        "",
        f"{platform.machine()}, {cores} cores, a training on each, one thread a training; torch {version('torch')}. "
        f"Made by `python benchmarks/recognised.py`.",
        "",
        f"{TIMES} images for each real one, none filtered or rejected. Recognised: by a classifier of up to "
        f"{JUDGE_IMAGES:,} other real",
        "images. Diversity: the spread of a class's images over that of its real ones, the least of all classes.",
        "Near copies: nearer to a training image than all but 1 % of held-out real images; 1 % is what chance gives.",
        "",
    ]
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        for name in wanted.sets.split(","):
            for precision in wanted.precision.split(","):
                job = partial(train_and_judge, name, wanted.method, {"precision": precision}, wanted.per_class)
                part = table(
                    name, wanted.method, precision, wanted.per_class, list(pool.map(job, range(wanted.seeds)))
                )
                print("\n".join(part), flush=True)
                lines += part
    if wanted.out:
        wanted.out.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
